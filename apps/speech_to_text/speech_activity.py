"""Is anything said here? An energy detector in front of the recognizer, which invents words for silence."""

from __future__ import annotations

import dataclasses

import numpy as np

from apps.speech_to_text.features import power_spectrum

SILENCE_DBFS = -60.0
"""Quieter than this everywhere: nothing to recognize."""
MIN_RANGE_DB = 9.0
"""Speech rises and falls by more, between syllables and pauses; a noise with less and a flat spectrum is noise."""
STEADY_DB = 4.0
"""A sound that varies by less is a tone or a hum, whatever its spectrum."""
FLAT_SPECTRUM = 0.2
"""Geometric over arithmetic mean of a frame's spectrum, 0.56 for white noise; vowels are far below."""


@dataclasses.dataclass(frozen=True)
class Activity:
    """Sound of one window.

    Attributes:
        level_dbfs: Loudest 10 % of the frames, in decibels below full scale.
        range_db: Between the loudest 10 % and the quietest 10 % of the frames.
        flatness: Spectral flatness of the loudest 10 % of the frames, in [0, 1].
        loud_frames: One a 10 ms: louder than the quiet ones by a quarter of the range at least.
    """

    level_dbfs: float
    range_db: float
    flatness: float
    loud_frames: np.ndarray

    @property
    def may_be_speech(self) -> bool:
        """False for silence and for steady noise."""
        if self.level_dbfs < SILENCE_DBFS or self.range_db < STEADY_DB:
            return False
        return not (self.range_db < MIN_RANGE_DB and self.flatness > FLAT_SPECTRUM)


def measure_activity(audio: np.ndarray) -> Activity:
    """Measure mono 16 kHz audio `(samples,)`."""
    # Between 100 Hz and 4 kHz: hum and hiss are left out.
    power = power_spectrum(audio)[:, 3:101]
    energy = power.sum(-1)
    # A full-scale sine has a power of (window sum / 2) ** 2 in its bin, and half full scale squared in time.
    levels = 10 * np.log10(energy / 6.0e3 + 1e-12)
    quiet, loud = np.quantile(levels, [0.1, 0.9])
    loudest = power[levels >= loud]
    flatness = np.exp(np.log(loudest + 1e-12).mean(-1)) / (loudest.mean(-1) + 1e-12)
    threshold = max(SILENCE_DBFS, quiet + max(3.0, 0.25 * (levels.max() - quiet)))
    return Activity(
        level_dbfs=float(loud if loud > SILENCE_DBFS else np.quantile(levels, 0.99)),
        range_db=float(np.quantile(levels, 0.98) - quiet),
        flatness=float(np.median(flatness)),
        loud_frames=levels > threshold,
    )


def quietest_cut(audio: np.ndarray, earliest_s: float, latest_s: float, sample_rate_hz: int) -> int:
    """The sample between two times around which 0.2 s are quietest: a place to cut speech."""
    start, end = int(earliest_s * sample_rate_hz), min(len(audio), int(latest_s * sample_rate_hz))
    width = sample_rate_hz // 5
    if end - start <= width:
        return end
    energy = np.cumsum(np.square(audio[start:end], dtype=np.float64))
    sums = energy[width:] - energy[:-width]
    return start + int(sums.argmin()) + width // 2
