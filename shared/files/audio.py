"""Recordings at the file boundary: any format in, mono float32 at 16 kHz out, or a refusal that helps."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path

import numpy as np

from shared.files.errors import InputError

SAMPLE_RATE_HZ = 16_000
MAX_BYTES = 1000 * 1024**2
FORMATS = "WAV, FLAC, OGG, Opus, MP3, M4A"
_NOT_AUDIO = InputError(
    f"This file holds no sound that can be read. Use one of: {FORMATS}.",
    f"Este archivo no contiene sonido legible. Usa uno de estos formatos: {FORMATS}.",
)


def load_audio(path: str | Path, max_duration_s: float = 1800.0) -> np.ndarray:
    """Read a recording, whatever its format, channels and sample rate.

    Args:
        path: A file that libsndfile reads (WAV, FLAC, OGG, Opus, MP3), or another one where ffmpeg is
            installed.
        max_duration_s: Longest recording accepted; checked before anything is decoded.

    Returns:
        `(samples,)` float32 in [-1, 1] at 16 kHz; channels are averaged.

    Raises:
        InputError: The file is missing, empty, no audio, damaged, too long or holds no samples.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            "The recording did not arrive. Upload it again.",
            "La grabación no llegó. Vuelve a subirla.",
        )
    size = path.stat().st_size
    if size == 0:
        raise InputError(
            f"This file is empty (0 bytes). Record again, or upload {FORMATS}.",
            f"Este archivo está vacío (0 bytes). Graba de nuevo o sube {FORMATS}.",
        )
    if size > MAX_BYTES:
        raise InputError(
            f"This file has {size / 1e6:.0f} MB; at most {MAX_BYTES / 1e6:.0f} MB can be read. "
            "Compress it (MP3, Opus) or cut it.",
            f"Este archivo ocupa {size / 1e6:.0f} MB; como máximo se leen {MAX_BYTES / 1e6:.0f} MB. "
            "Comprímelo (MP3, Opus) o recórtalo.",
        )
    audio, rate = _decode(path, max_duration_s)
    return normalize_audio(audio, rate, max_duration_s)


def normalize_audio(audio: np.ndarray, sample_rate_hz: int, max_duration_s: float = 1800.0) -> np.ndarray:
    """Bring samples in memory to mono float32 at 16 kHz.

    Args:
        audio: `(samples,)` or `(samples, channels)`; integers are scaled by the range of their type.
        sample_rate_hz: 1,000 to 768,000.
        max_duration_s: Longest recording accepted.

    Returns:
        `(samples,)` float32 in [-1, 1].

    Raises:
        InputError: Too long, without samples, or not numbers.
    """
    audio = np.asarray(audio)
    if not 1_000 <= sample_rate_hz <= 768_000:
        raise InputError(
            f"The file gives a sample rate of {sample_rate_hz} Hz, which no recording has. "
            "Save it again at 16,000 Hz or more.",
            f"El archivo indica una frecuencia de {sample_rate_hz} Hz, que ninguna grabación tiene. "
            "Guárdalo de nuevo a 16.000 Hz o más.",
        )
    if audio.size == 0:
        raise InputError(
            "The recording holds no samples. Record at least one second.",
            "La grabación no contiene muestras. Graba al menos un segundo.",
        )
    _check_duration(len(audio) / sample_rate_hz, max_duration_s)
    if np.issubdtype(audio.dtype, np.integer):
        limits = np.iinfo(audio.dtype)
        middle = (limits.max + limits.min + 1) / 2
        audio = (audio.astype(np.float32) - middle) / (limits.max - middle + 1)
    audio = audio.astype(np.float32)
    if audio.ndim == 2:
        audio = audio.mean(axis=1)
    if not np.isfinite(audio).all():
        raise InputError(
            "The recording is damaged: it holds values that are no numbers. Export it again.",
            "La grabación está dañada: contiene valores que no son números. Expórtala de nuevo.",
        )
    if sample_rate_hz != SAMPLE_RATE_HZ:
        # The resampler librosa uses, at its default quality.
        import soxr

        audio = soxr.resample(audio, sample_rate_hz, SAMPLE_RATE_HZ, quality="HQ")
    peak = float(np.abs(audio).max(initial=0.0))
    # Float files may exceed full scale; louder than that is another scale altogether.
    return audio / peak if peak > 1 else audio


def _check_duration(duration_s: float, maximum_s: float) -> None:
    if duration_s > maximum_s:
        raise InputError(
            f"This recording lasts {_minutes(duration_s)}; at most {_minutes(maximum_s)} can be processed. "
            "Cut it into parts.",
            f"Esta grabación dura {_minutes(duration_s)}; como máximo se procesan {_minutes(maximum_s)}. "
            "Divídela en partes.",
        )


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _decode(path: Path, max_duration_s: float) -> tuple[np.ndarray, int]:
    """Samples `(samples, channels)` float32 and the sample rate."""
    import soundfile

    with contextlib.suppress(soundfile.LibsndfileError), soundfile.SoundFile(path) as file:
        if file.frames >= 0:
            _check_duration(file.frames / file.samplerate, max_duration_s)
        limit = int((max_duration_s + 1) * file.samplerate)
        return file.read(limit, dtype="float32", always_2d=True), file.samplerate
    return _decode_with_audioread(path, max_duration_s)


def _decode_with_audioread(path: Path, max_duration_s: float) -> tuple[np.ndarray, int]:
    """M4A, WebM and the like, through what the machine has (ffmpeg)."""
    try:
        import audioread
    except ImportError:
        raise _NOT_AUDIO from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = audioread.audio_open(str(path))
        with file:
            if file.duration:
                _check_duration(file.duration, max_duration_s)
            limit = int((max_duration_s + 1) * file.samplerate) * file.channels * 2
            blocks, read = [], 0
            for block in file:
                blocks.append(np.frombuffer(block, "<i2"))
                read += len(block)
                if read > limit:
                    break
            samples = np.concatenate(blocks) if blocks else np.zeros(0, np.int16)
            return samples.reshape(-1, file.channels).astype(np.float32) / 32768, file.samplerate
    except InputError:
        raise
    # Each of its backends raises errors of its own for what is no audio.
    except Exception:
        raise _NOT_AUDIO from None
