"""A heat map laid over a photo, in NumPy and Pillow."""

from __future__ import annotations

import numpy as np

from shared.data.images import resize

MAX_SIDE_PX = 1024
# Dark violet to yellow, even in lightness for every kind of colour vision ("inferno" of matplotlib, CC0).
_STOPS = np.array(
    [
        [0, 0, 4],
        [40, 11, 84],
        [101, 21, 110],
        [159, 42, 99],
        [212, 72, 66],
        [245, 125, 21],
        [250, 193, 39],
        [252, 255, 164],
    ],
    np.float32,
)


def colorize(heat: np.ndarray) -> np.ndarray:
    """`(h, w)` in [0, 1] -> float32 RGB `(h, w, 3)`, 0 to 255."""
    position = np.clip(heat, 0, 1) * (len(_STOPS) - 1)
    low = np.minimum(position.astype(int), len(_STOPS) - 2)
    share = (position - low)[..., None]
    return _STOPS[low] * (1 - share) + _STOPS[low + 1] * share


def overlay(image: np.ndarray, heat: np.ndarray, opacity: float = 0.8) -> np.ndarray:
    """The photo in grey where the class was not seen, in colour where it was.

    Args:
        image: uint8 `(h, w, 3)`.
        heat: `(h, w)` in [0, 1].
        opacity: Share of the heat colours where the heat is highest.

    Returns:
        uint8 `(h, w, 3)`.
    """
    grey = image.mean(axis=-1, keepdims=True)
    strength = (np.clip(heat, 0, 1) * opacity)[..., None]
    base = grey * 0.45 + image * 0.35 + 30
    return np.clip(base * (1 - strength) + colorize(heat) * strength, 0, 255).astype(np.uint8)


def fit_screen(image: np.ndarray, max_side_px: int = MAX_SIDE_PX) -> np.ndarray:
    """Shrink a photo for showing; smaller ones stay as they are."""
    height, width = image.shape[:2]
    scale = max_side_px / max(height, width)
    if scale >= 1:
        return image
    return resize(image, (max(1, round(height * scale)), max(1, round(width * scale))))
