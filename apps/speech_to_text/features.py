"""Log-mel features in NumPy: one implementation for training, evaluation and serving.

Equal to `keras_hub.layers.WhisperAudioConverter` (a test holds it) without TensorFlow. The recipe is
Whisper's, https://arxiv.org/abs/2212.04356: 25 ms Hann windows each 10 ms, 80 Slaney mel bands, log10, the
8 decades below the loudest value, scaled to about [-1, 1].
"""

from __future__ import annotations

import functools

import numpy as np
from scipy import fft

from apps.speech_to_text.vocabulary import SAMPLE_RATE_HZ

FFT_SIZE = 400
HOP = 160
NUM_MELS = 80


@functools.lru_cache(maxsize=4)
def mel_filters(num_mels: int = NUM_MELS, maximum_hz: float = SAMPLE_RATE_HZ / 2) -> np.ndarray:
    """Triangular filters with Slaney's scale and normalization.

    The same as `librosa.filters.mel` (a test holds it), which would import a compiler to make them.

    Args:
        num_mels: Bands.
        maximum_hz: Upper edge of the highest band.

    Returns:
        `(201, num_mels)` float32.
    """
    log_step = np.log(6.4) / 27
    top = 15 + np.log(maximum_hz / 1000) / log_step if maximum_hz > 1000 else maximum_hz * 3 / 200
    mels = np.linspace(0, top, num_mels + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(log_step * (mels - 15)))
    bins = np.fft.rfftfreq(FFT_SIZE, 1 / SAMPLE_RATE_HZ)
    widths = np.diff(edges)
    ramps = edges[:, None] - bins
    rising, falling = -ramps[:-2] / widths[:-1, None], ramps[2:] / widths[1:, None]
    filters = np.maximum(0, np.minimum(rising, falling)) * (2 / (edges[2:] - edges[:-2]))[:, None]
    return filters.T.astype(np.float32)


@functools.lru_cache(maxsize=1)
def _hann() -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_SIZE) / FFT_SIZE)).astype(np.float32)


def power_spectrum(audio: np.ndarray) -> np.ndarray:
    """Squared magnitudes of the short-time Fourier transform.

    Args:
        audio: `(samples,)` float32 at 16 kHz, in [-1, 1].

    Returns:
        `(samples // 160, 201)` float32; frame `t` is centred on sample `160 * t`.
    """
    audio = np.asarray(audio, np.float32)
    if len(audio) <= FFT_SIZE // 2:
        audio = np.pad(audio, (0, FFT_SIZE // 2 + 1 - len(audio)))
    padded = np.pad(audio, FFT_SIZE // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SIZE)[:-HOP:HOP]
    spectrum = fft.rfft(frames[: len(audio) // HOP] * _hann(), axis=-1)
    return np.square(spectrum.real) + np.square(spectrum.imag)


def log_mel(audio: np.ndarray, duration_s: float | None = None) -> np.ndarray:
    """Whisper's features.

    Args:
        audio: `(samples,)` float32 at 16 kHz, in [-1, 1].
        duration_s: Pad with silence or cut to this length; as long as the audio when None.

    Returns:
        `(frames, 80)` float32, 100 frames a second.
    """
    if duration_s is not None:
        samples = round(duration_s * SAMPLE_RATE_HZ)
        audio = np.pad(audio[:samples], (0, max(0, samples - len(audio))))
    mel = power_spectrum(audio) @ mel_filters()
    logarithm = np.log10(np.maximum(mel, 1e-10))
    logarithm = np.maximum(logarithm, logarithm.max() - 8.0)
    return ((logarithm + 4.0) / 4.0).astype(np.float32)


def ctc_features(audio: np.ndarray, num_mels: int, maximum_hz: float) -> np.ndarray:
    """Log-mel features for the CTC model, with zero mean and unit deviation over the recording.

    Args:
        audio: `(samples,)` float32 at 16 kHz.
        num_mels: Bands.
        maximum_hz: Upper edge of the highest band.

    Returns:
        `(frames, num_mels)` float32, 100 frames a second, at least one.
    """
    if len(audio) < HOP:
        audio = np.pad(audio, (0, HOP - len(audio)))
    mel = power_spectrum(audio) @ mel_filters(num_mels, maximum_hz)
    # A floor 80 dB below the loudest value: digital silence and quiet rooms look the same.
    logarithm = np.log10(np.maximum(mel, max(1e-10, mel.max() * 1e-8)))
    return ((logarithm - logarithm.mean()) / (logarithm.std() + 1e-5)).astype(np.float32)
