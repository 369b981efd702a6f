"""Reading recordings: every format in, 16 kHz mono out, and refusals that help."""

from __future__ import annotations

import numpy as np
import pytest

from shared.files.audio import load_audio, normalize_audio
from shared.files.errors import InputError

soundfile = pytest.importorskip("soundfile")
TONE_HZ = 440


def tone(seconds: float = 1.0, rate: int = 16_000) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * TONE_HZ * np.arange(int(seconds * rate)) / rate)


def peak_hz(audio: np.ndarray) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(audio))) * 16_000 / len(audio))


@pytest.mark.parametrize(
    ("suffix", "subtype", "rate", "channels"),
    [
        ("wav", "PCM_16", 16_000, 1),
        ("wav", "PCM_U8", 8_000, 1),
        ("wav", "PCM_24", 96_000, 2),
        ("wav", "FLOAT", 44_100, 5),
        ("flac", "PCM_16", 48_000, 2),
        ("ogg", "VORBIS", 22_050, 1),
        ("ogg", "OPUS", 48_000, 1),
        ("mp3", "MPEG_LAYER_III", 44_100, 2),
    ],
)
def test_every_format_becomes_mono_16_khz(tmp_path, suffix, subtype, rate, channels):
    samples = np.stack([tone(1.0, rate)] * channels, axis=1)
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, samples, rate, subtype=subtype)
    audio = load_audio(path)
    assert audio.dtype == np.float32
    assert audio.ndim == 1
    assert len(audio) == pytest.approx(16_000, abs=1500)
    assert peak_hz(audio) == pytest.approx(TONE_HZ, abs=5)
    assert np.abs(audio[2000:-2000]).max() == pytest.approx(0.5, abs=0.08)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty (0 bytes)"),
        (b"hello world" * 100, "no sound that can be read"),
        (b"RIFF\x00\x00\x00\x00WAVE", "no sound that can be read"),
    ],
)
def test_what_is_no_sound_is_refused(tmp_path, content, message):
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        load_audio(path)
    assert message in error.value.en
    assert error.value.es != error.value.en


def test_a_missing_file_and_no_samples_are_refused(tmp_path):
    with pytest.raises(InputError, match="did not arrive"):
        load_audio(tmp_path / "gone.wav")
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16_000)
    with pytest.raises(InputError, match="no samples"):
        load_audio(tmp_path / "none.wav")


def test_two_hours_are_refused_before_they_are_decoded(tmp_path):
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 8000, 1, subtype="PCM_U8") as file:
        for _ in range(120):
            file.write(np.zeros(60 * 8000))
    with pytest.raises(InputError, match="120 min; at most 30 min"):
        load_audio(path)
    assert len(load_audio(path, max_duration_s=8000)) == 7200 * 16_000


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        (np.array([0, 16384, -32768], np.int16), [0, 0.5, -1]),
        (np.array([128, 255, 0], np.uint8), [0, 127 / 128, -1]),
        (np.array([[0.5, -0.5], [1.0, 0.0]], np.float32), [0, 0.5]),
        (np.array([2.0, -4.0], np.float64), [0.5, -1]),
    ],
)
def test_samples_in_memory(samples, expected):
    np.testing.assert_allclose(normalize_audio(samples, 16_000), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(0), 16_000, "no samples"),
        (np.array([np.nan, 0.0]), 16_000, "no numbers"),
        (np.zeros(10), 7, "sample rate of 7"),
        (np.zeros(16_000 * 31), 16_000, "at most 30 s"),
    ],
)
def test_samples_that_cannot_be_used(samples, rate, message):
    with pytest.raises(InputError, match=message):
        normalize_audio(samples, rate, max_duration_s=30)
