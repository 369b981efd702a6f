"""Batches for the CTC model: features at three speeds, buckets of equal length, SpecAugment."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from apps.speech_to_text.config import SpeechConfig
from apps.speech_to_text.ctc_decoding import encode_text
from apps.speech_to_text.features import ctc_features
from apps.speech_to_text.vocabulary import SAMPLE_RATE_HZ
from shared.data.audio_manifest import Utterance

if TYPE_CHECKING:
    import tensorflow as tf

SPEEDS = (0.9, 1.0, 1.1)


def change_speed(audio: np.ndarray, speed: float) -> np.ndarray:
    """Play faster or slower, pitch included (https://www.isca-archive.org/interspeech_2015/ko15_interspeech.html)."""
    if speed == 1.0:
        return audio
    import soxr

    return soxr.resample(audio, SAMPLE_RATE_HZ * speed, SAMPLE_RATE_HZ, quality="HQ")


def spec_augment(features: np.ndarray, config: SpeechConfig, random: np.random.Generator) -> np.ndarray:
    """Masks bands of time and of frequency with the mean: https://arxiv.org/abs/1904.08779."""
    features = features.copy()
    frames, mels = features.shape
    mean = features.mean()
    for _ in range(config.time_masks):
        width = int(random.integers(0, max(1, frames // 5) + 1))
        start = int(random.integers(0, frames - width + 1))
        features[start : start + width] = mean
    for _ in range(config.frequency_masks):
        width = int(random.integers(0, mels // 5 + 1))
        start = int(random.integers(0, mels - width + 1))
        features[:, start : start + width] = mean
    return features


class CtcData:
    """Features and classes of a split, kept in memory as float16.

    Recordings that cannot hold their own transcript (more characters than output frames) are left out.

    Args:
        examples: The split.
        config: The run's options.
        training: Also at other speeds, shuffled and augmented.
    """

    def __init__(self, examples: Sequence[Utterance], config: SpeechConfig, training: bool):
        self._config, self._training = config, training
        self._items: list[tuple[list[np.ndarray], list[int]]] = []
        speeds = SPEEDS if training and config.speed_perturbation else (1.0,)
        for utterance in examples:
            audio = utterance.read()
            if training and len(audio) > config.max_seconds * SAMPLE_RATE_HZ:
                continue
            classes = encode_text(utterance.text)
            made = [
                ctc_features(change_speed(audio, speed), config.num_mels, config.maximum_hz)
                for speed in speeds
            ]
            made = [m.astype(np.float16) for m in made if fits(len(m), classes, config.subsampling)]
            if made and classes:
                self._items.append((made, classes))
        self._random = np.random.default_rng(config.seed)

    def __len__(self) -> int:
        return -(-len(self._items) // self._config.batch_size)

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """One epoch: features, frame masks and packed targets."""
        size = self._config.batch_size
        order = np.arange(len(self._items))
        lengths = np.array([len(made[0]) for made, _ in self._items])
        if self._training:
            # Sort within pools of 20 batches: little padding, and no epoch is like another.
            self._random.shuffle(order)
            pools = [order[i : i + 20 * size] for i in range(0, len(order), 20 * size)]
            order = np.concatenate([pool[np.argsort(lengths[pool], kind="stable")] for pool in pools])
        groups = [order[i : i + size] for i in range(0, len(order), size)]
        if self._training:
            self._random.shuffle(groups)
        for group in groups:
            yield self._batch(group)

    def _batch(self, group: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        chosen = []
        for index in group:
            made, classes = self._items[index]
            features = made[int(self._random.integers(len(made))) if self._training else 0].astype(np.float32)
            if self._training:
                features = spec_augment(features, self._config, self._random)
            chosen.append((features, classes))
        return pack(chosen, self._config.subsampling)


def fits(frames: int, classes: Sequence[int], subsampling: int) -> bool:
    """Whether CTC can align: a frame for each character, and a blank between equal neighbours."""
    repeats = sum(a == b for a, b in itertools.pairwise(classes))
    return -(-frames // subsampling) >= len(classes) + repeats


def pack(
    chosen: Sequence[tuple[np.ndarray, Sequence[int]]], subsampling: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pad to one length: features, masks, and targets as `PackedCtcLoss` takes them."""
    # Lengths in steps of 16 frames: few shapes, few retracings.
    frames = -(-max(len(f) for f, _ in chosen) // 16) * 16
    longest = max(len(c) for _, c in chosen)
    features = np.zeros((len(chosen), frames, chosen[0][0].shape[1]), np.float32)
    masks = np.zeros((len(chosen), frames), np.float32)
    targets = np.zeros((len(chosen), 2 + longest), np.int32)
    for row, (array, classes) in enumerate(chosen):
        features[row, : len(array)] = array
        masks[row, : len(array)] = 1
        targets[row, :2] = -(-len(array) // subsampling), len(classes)
        targets[row, 2 : 2 + len(classes)] = classes
    return features, masks, targets


def ctc_batches(examples: Sequence[Utterance], config: SpeechConfig, *, training: bool) -> tf.data.Dataset:
    """The split as `({"features", "mask"}, packed targets)`."""
    import tensorflow as tf

    data = CtcData(examples, config, training)
    signature = (
        {
            "features": tf.TensorSpec((None, None, config.num_mels), tf.float32),
            "mask": tf.TensorSpec((None, None), tf.float32),
        },
        tf.TensorSpec((None, None), tf.int32),
    )

    def generate() -> Iterator:
        for features, masks, targets in data.batches():
            yield {"features": features, "mask": masks}, targets

    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(len(data))).prefetch(2)
