"""Where a one-stage detector predicts: NumPy only, so that training and serving share it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

STRIDES = (8, 16, 32)
"""Pixels of the input between two points of the levels P3, P4 and P5."""


def pyramid_points(
    image_size_px: tuple[int, int], strides: Sequence[int] = STRIDES
) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the cells of every level, finest level first, row by row.

    Args:
        image_size_px: `(height, width)` of the input, multiples of the largest stride.
        strides: Stride of each level in pixels.

    Returns:
        Points `(n, 2)` as x and y in pixels, and the stride of each point `(n,)`, both float32.

    Raises:
        ValueError: A side is no multiple of the largest stride.
    """
    height, width = image_size_px
    if height % max(strides) or width % max(strides):
        raise ValueError(
            f"image_size_px must be multiples of {max(strides)}, received height {height} and width {width}"
        )
    points, sizes = [], []
    for stride in strides:
        y, x = np.meshgrid(
            (np.arange(height // stride) + 0.5) * stride,
            (np.arange(width // stride) + 0.5) * stride,
            indexing="ij",
        )
        points.append(np.stack([x.ravel(), y.ravel()], axis=-1))
        sizes.append(np.full(x.size, stride))
    return np.concatenate(points).astype("float32"), np.concatenate(sizes).astype("float32")
