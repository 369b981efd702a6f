"""Feature pyramid: what detectors put between backbone and head."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import keras
from keras import layers


def feature_pyramid(
    features: Sequence[keras.KerasTensor], channels: int, name: str = "pyramid"
) -> list[keras.KerasTensor]:
    """Top-down feature pyramid: https://arxiv.org/abs/1612.03144.

    Each level is brought to one number of channels, receives the coarser level enlarged two times (nearest
    neighbour) and is smoothed by a 3x3 convolution. Batch normalization follows every convolution. Ordinary
    layers only, so a model with a pyramid loads without this project's code.

    Args:
        features: Maps of the backbone, finest first, each half the size of the one before:
            `(batch, height, width, channels)`.
        channels: Channels of every output.
        name: Prefix of the layers' names.

    Returns:
        One map a level, `(batch, height, width, channels)`, finest first.

    Raises:
        ValueError: A level is not half the size of the one before.
    """
    sizes = [tuple(f.shape[1:3]) for f in features]
    for finer, coarser in itertools.pairwise(sizes):
        if None not in finer + coarser and finer != (2 * coarser[0], 2 * coarser[1]):
            raise ValueError(f"features must halve from level to level, received sizes {sizes}")

    def norm(x: keras.KerasTensor, kind: str, level: int) -> keras.KerasTensor:
        # A short memory: a few hundred steps must be enough for the running averages.
        return layers.BatchNormalization(momentum=0.97, epsilon=1e-3, name=f"{name}_{kind}_norm_{level}")(x)

    outputs: list[keras.KerasTensor] = []
    coarser = None
    for level in reversed(range(len(features))):
        x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_lateral_{level}")(features[level])
        x = norm(x, "lateral", level)
        if coarser is not None:
            up = layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_up_{level}")(coarser)
            x = layers.Add(name=f"{name}_add_{level}")([x, up])
        coarser = x
        x = layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"{name}_smooth_{level}")(x)
        x = norm(x, "smooth", level)
        outputs.insert(0, layers.ReLU(max_value=6.0, name=f"{name}_relu_{level}")(x))
    return outputs
