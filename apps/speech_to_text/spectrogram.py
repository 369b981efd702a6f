"""What the recognizer hears, as a picture: log-mel energy over time."""

from __future__ import annotations

import io

import numpy as np

from apps.speech_to_text.features import log_mel
from apps.speech_to_text.vocabulary import SAMPLE_RATE_HZ

WIDTH_PX, HEIGHT_PX = 960, 240
LONGEST_S = 120
"""A longer recording shows its first two minutes: more would be a blur."""
# From dark violet to yellow, every step brighter than the one before (readable in grey too).
_COLORS = np.array(
    [
        [13, 8, 35],
        [59, 15, 92],
        [120, 28, 109],
        [181, 54, 89],
        [229, 100, 55],
        [251, 164, 10],
        [252, 240, 150],
    ]
)


def spectrogram_png(audio: np.ndarray) -> bytes:
    """Draw mono 16 kHz audio, low frequencies at the bottom.

    Returns:
        PNG, 960 x 240 px.
    """
    from PIL import Image

    features = log_mel(audio[: LONGEST_S * SAMPLE_RATE_HZ])
    low, high = features.min(), features.max()
    levels = (features - low) / max(1e-6, high - low)
    steps = np.linspace(0, 1, len(_COLORS))
    pixels = np.stack([np.interp(levels, steps, _COLORS[:, c]) for c in range(3)], axis=-1)
    image = Image.fromarray(pixels.transpose(1, 0, 2)[::-1].astype(np.uint8))
    image = image.resize((WIDTH_PX, HEIGHT_PX), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
