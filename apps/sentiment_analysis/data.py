"""Labelled texts -> splits -> bucketed batches of token ids."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from apps.sentiment_analysis.config import SentimentConfig
from apps.sentiment_analysis.preprocessing import (
    TOKENIZER_FILE,
    Processor,
    make_encoder,
    normalize,
    pad,
    window_slices,
)
from apps.sentiment_analysis.snippets import NaiveBayes, last_words, telling_sentence
from shared.data.text_table import LabelledText, TextSplits, load_text_splits, load_tfds_texts, shuffled
from shared.files.errors import DataError
from shared.task import Splits

if TYPE_CHECKING:
    import tensorflow as tf

BUCKETS = (16, 24, 32, 40, 48, 64, 96, 128, 192, 256, 384, 512)
"""Padded lengths in training; sentences of 20 words then cost a third of what 64 tokens cost."""


def load_splits(config: SentimentConfig) -> Splits:
    """Splits of `config.dataset`, long training texts cut into windows.

    `info`: `class_names`, `notes` of the reader, and `texts`, how many training texts there were uncut.
    """
    texts = read_texts(config.dataset, config.data, config)
    processor = training_processor(config, texts.class_names)
    train = cut(shuffled(texts.train, config.seed), processor, config.pieces)
    info = {"class_names": texts.class_names, "notes": texts.notes, "texts": len(texts.train)}
    return Splits(train, texts.validation, texts.test, info)


def read_texts(dataset: str, data: str, config: SentimentConfig) -> TextSplits:
    """Read `tfds:<name>`, or the files at `data`."""
    if dataset.startswith("tfds:"):
        return load_tfds_texts(dataset.removeprefix("tfds:"), data_dir=config.data_dir, seed=config.seed)
    return load_text_splits(data, seed=config.seed)


def training_processor(config: SentimentConfig, class_names: Sequence[str]) -> Processor:
    """The serving `Processor`, before its variant is published."""
    settings = model_settings(config) | {"class_names": list(class_names)}
    file = Path() if config.model == "bag_of_words" else tokenizer_file(config)
    return Processor(settings, Path(), make_encoder(settings, file))


def model_settings(config: SentimentConfig) -> dict:
    """What an encoder must know."""
    settings: dict = {"model": config.model, "sequence_length": config.sequence_length}
    return settings | ({"hash_buckets": config.hash_buckets} if config.model == "bag_of_words" else {})


def tokenizer_file(config: SentimentConfig) -> Path:
    """`tokenizer.json` of the backbone whose word pieces the model reads."""
    from shared.backbones.loading import backbone_folder

    return backbone_folder(config.backbone) / TOKENIZER_FILE


def cut(examples: Sequence[LabelledText], processor: Processor, pieces: str) -> list[LabelledText]:
    """Texts that fit one window as they are; of longer ones the first and last window, or all."""
    result = []
    for example in examples:
        texts = processor.window_texts(example.text)
        if pieces == "head_tail" and len(texts) > 2:
            texts = [texts[0], texts[-1]]
        result += [dataclasses.replace(example, text=text) for text in texts]
    return result


def intermediate_snippets(config: SentimentConfig, class_names: Sequence[str]) -> list[LabelledText]:
    """Short pieces of the training texts of the intermediate data: of each its most telling sentence, or its end.

    Its test split is read only to keep texts that stand in both out.

    Raises:
        DataError: Its classes are not those of the data itself.
    """
    texts = read_texts("folder", config.intermediate, config)
    if list(texts.class_names) != list(class_names):
        raise DataError(
            [f"intermediate data has the classes {texts.class_names}, the data has {list(class_names)}"],
            "Both must have the same class names.",
        )
    rng = random.Random(config.seed)
    bayes = NaiveBayes(texts.train, class_names) if config.telling_share else None
    pieces = []
    for example in shuffled(texts.train, config.seed):
        if len(pieces) == (config.intermediate_limit or -1):
            break
        telling = bayes is not None and rng.random() < config.telling_share
        text = telling_sentence(example, bayes, config.snippet_words) if telling else None
        pieces.append(
            dataclasses.replace(example, text=text or last_words(example.text, config.snippet_words, rng))
        )
    return pieces


def make_batches(
    examples: Sequence[LabelledText], processor: Processor, config: SentimentConfig, *, training: bool
) -> tf.data.Dataset:
    """Batches `({"token_ids", "padding_mask"}, labels)`.

    In training, shuffled anew each epoch and put together by length, so that little is padding. Otherwise in
    order; of a text longer than one window the last window stands for it (a quick look during training: the
    published figures come from all windows, through the serving code).
    """
    import tensorflow as tf

    labels = np.array([processor.class_names.index(e.label) for e in examples], np.int32)
    encoded = processor.encoder.encode([normalize(e.text) for e in examples])
    room = processor.encoder.room
    windows = [processor.encoder.window(ids[window_slices(len(ids), room)[-1]]) for ids, _ in encoded]

    def batch(indices: Sequence[int], length: int | None = None) -> tuple:
        return pad([windows[i] for i in indices], length), labels[list(indices)]

    epoch = iter(range(10**9))

    def generate():
        if not training:
            for start in range(0, len(windows), config.batch_size):
                yield batch(range(start, min(start + config.batch_size, len(windows))))
            return
        rng = random.Random(f"{config.seed} {next(epoch)}")
        for length, indices in bucketed([len(w) for w in windows], config.batch_size, rng):
            yield batch(indices, length)

    ids = tf.TensorSpec((None, None), tf.int32)
    signature = ({"token_ids": ids, "padding_mask": ids}, tf.TensorSpec((None,), tf.int32))
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    count = -(-len(windows) // config.batch_size)
    return dataset.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2)


def bucketed(lengths: Sequence[int], batch_size: int, rng: random.Random) -> list[tuple[int, list[int]]]:
    """Shuffled batches of texts of like length: `(padded length, indices)`, `ceil(n / batch_size)` of them."""
    order = list(range(len(lengths)))
    rng.shuffle(order)
    bins: dict[int, list[int]] = {}
    batches = []
    for index in order:
        length = bucket(lengths[index])
        bins.setdefault(length, []).append(index)
        if len(bins[length]) == batch_size:
            batches.append((length, bins.pop(length)))
    rest = sorted((i for indices in bins.values() for i in indices), key=lambda i: lengths[i])
    for start in range(0, len(rest), batch_size):
        indices = rest[start : start + batch_size]
        batches.append((bucket(lengths[indices[-1]]), indices))
    rng.shuffle(batches)
    return batches


def bucket(length: int) -> int:
    """The smallest padded length that holds `length`."""
    return next((b for b in BUCKETS if b >= length), length)
