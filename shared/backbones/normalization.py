"""Input normalization of the pretrained backbones: NumPy only, so that training and serving share it."""

from __future__ import annotations

import numpy as np

EFFICIENTNET_LITE0_IMAGE_SIZE_PX = 224
EFFICIENTNET_LITE0_MEAN = 127.0
EFFICIENTNET_LITE0_SCALE = 128.0


def normalize_efficientnet_lite0(images: np.ndarray) -> np.ndarray:
    """Map pixels to what EfficientNet-Lite0 was trained on: `(x - 127) / 128`.

    Args:
        images: RGB of shape `(..., height, width, 3)`, values 0 to 255, any numeric dtype.

    Returns:
        float32 of the same shape, values -0.992 to 1.0.

    Raises:
        ValueError: The last axis is not RGB.
    """
    images = np.asarray(images)
    if images.ndim < 3 or images.shape[-1] != 3:
        raise ValueError(f"images must be RGB of shape (..., height, width, 3), received {images.shape}")
    return (images.astype(np.float32) - EFFICIENTNET_LITE0_MEAN) / EFFICIENTNET_LITE0_SCALE
