"""CTC decoding, its language model, alignment and features: against brute force and the libraries."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from apps.speech_to_text import ctc_decoding as ctc
from apps.speech_to_text.ctc_training import fits, pack
from apps.speech_to_text.features import ctc_features, log_mel, mel_filters


def frames(count: int, classes: int = 4, seed: int = 0) -> np.ndarray:
    return ctc.log_softmax(np.random.default_rng(seed).normal(size=(count, classes)) * 2)


def collapse(path) -> tuple[int, ...]:
    return tuple(c for c, _ in itertools.groupby(path) if c != ctc.BLANK)


@pytest.mark.parametrize("seed", range(5))
def test_wide_beam_is_exact(seed):
    log_probabilities = frames(5, seed=seed)
    totals: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(4), repeat=5):
        p = sum(log_probabilities[t, c] for t, c in enumerate(path))
        totals[collapse(path)] = np.logaddexp(totals.get(collapse(path), -np.inf), p)
    best = max(totals, key=totals.get)
    found = ctc.decode_beam(log_probabilities, beam_size=500, candidates=4)
    assert found.text == " ".join(ctc.decode_classes(best).split())
    assert found.log_probability == pytest.approx(totals[best])


def test_greedy_merges_repeats_and_keeps_doubles():
    path = [ctc.BLANK, *ctc.encode_text("t"), *ctc.encode_text("oo"), ctc.BLANK, *ctc.encode_text("o")]
    log_probabilities = np.full((len(path), 29), -9.0)
    log_probabilities[np.arange(len(path)), path] = 0
    assert ctc.decode_greedy(log_probabilities).text == "too"


def test_language_model_is_a_distribution_and_learns():
    model = ctc.CharacterModel.train(["seven", "six", "seven"], order=4)
    for context in (" ", " se", "zzz", " sev"):
        total = sum(model.probability(context, c) for c in [*ctc.CHARACTERS, model.END])
        assert total == pytest.approx(1)
    assert model.probability(" sev", "e") > 0.8
    again = ctc.CharacterModel.from_json(model.to_json())
    assert again.probability(" se", "v") == model.probability(" se", "v")


def test_language_model_decides_between_equal_sounds():
    log_probabilities = np.full((5, 29), math.log(0.001))
    for t, letters in enumerate(["s", "e", "vf", "e", "n"]):
        for letter in letters:
            log_probabilities[t, ctc.encode_text(letter)[0]] = math.log(0.9 / len(letters))
    log_probabilities[2, ctc.encode_text("f")[0]] += 0.2
    model = ctc.CharacterModel.train(["seven"] * 5, order=4)
    assert ctc.decode_beam(log_probabilities, 8).text == "sefen"
    assert ctc.decode_beam(log_probabilities, 8, model, weight=1.0).text == "seven"


def test_alignment_is_the_best_path():
    log_probabilities = frames(6, seed=3)
    classes = [1, 1, 2]
    wanted = max(
        (p for p in itertools.product(range(4), repeat=6) if collapse(p) == tuple(classes)),
        key=lambda p: sum(log_probabilities[t, c] for t, c in enumerate(p)),
    )
    begins = [t for t, c in enumerate(wanted) if c != ctc.BLANK and (t == 0 or wanted[t - 1] != c)]
    assert [t for t, _ in ctc.align(log_probabilities, classes)] == begins


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Hello, World!", "hello world"), ("it’s  1 fine\tday", "it's fine day"), ("!!!", "")],
)
def test_clean_text(text, expected):
    assert ctc.clean_text(text) == expected
    assert ctc.decode_classes(ctc.encode_text(text)) == expected


def test_recordings_too_short_for_their_text_are_known():
    assert fits(8, [1, 2, 3, 4], 2)
    assert not fits(8, [1, 1, 2, 3], 2), "equal neighbours need a blank between them"


def test_pack_keeps_true_lengths():
    features, masks, targets = pack([(np.ones((7, 3)), [4, 5]), (np.ones((21, 3)), [6])], 2)
    assert features.shape == (2, 32, 3)
    assert masks.sum(1).tolist() == [7, 21]
    assert targets.tolist() == [[4, 2, 4, 5], [11, 1, 6, 0]]


# --- Features ---


def test_mel_filters_equal_librosa():
    librosa = pytest.importorskip("librosa")
    for mels, top in ((80, 8000), (64, 6000), (40, 4000)):
        theirs = librosa.filters.mel(sr=16_000, n_fft=400, n_mels=mels, fmax=top).T
        np.testing.assert_allclose(mel_filters(mels, float(top)), theirs, atol=1e-6)


@pytest.mark.parametrize("seconds", [0.3, 7.0, 30.0, 31.0])
def test_features_equal_keras_hub(seconds):
    """Noise, a tone and a voice-like buzz, shorter and longer than the window."""
    keras_hub = pytest.importorskip("keras_hub")
    random = np.random.default_rng(0)
    times = np.arange(int(seconds * 16_000)) / 16_000
    audio = 0.3 * np.sin(2 * np.pi * 300 * times) * (times % 1 < 0.5) + random.normal(0, 0.01, len(times))
    audio = audio.astype(np.float32)
    theirs = np.asarray(keras_hub.layers.WhisperAudioConverter()(audio))
    assert theirs.shape == (3000, 80)
    np.testing.assert_allclose(log_mel(audio, 30.0), theirs, atol=1e-4)


@pytest.mark.parametrize("samples", [1, 100, 160, 5000])
def test_ctc_features_of_any_length(samples):
    features = ctc_features(np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32), 40, 4000.0)
    assert features.shape == (max(1, samples // 160), 40)
    assert np.isfinite(features).all()
    silent = ctc_features(np.zeros(samples, np.float32), 40, 4000.0)
    assert np.isfinite(silent).all()
