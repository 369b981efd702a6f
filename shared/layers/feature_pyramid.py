"""Feature pyramid: what detectors put between backbone and head."""

from __future__ import annotations

from collections.abc import Sequence

import keras


@keras.saving.register_keras_serializable(package="shared")
class FeaturePyramid(keras.layers.Layer):
    """Top-down feature pyramid: https://arxiv.org/abs/1612.03144.

    Each level is brought to one number of channels, receives the coarser level enlarged two times (nearest
    neighbour) and is smoothed by a 3x3 convolution. Batch normalization follows every convolution.

    Takes and returns a list of maps, finest first: `[(batch, height, width, channels), ...]`, each half the
    size of the one before.

    Args:
        channels: Channels of every output.
    """

    def __init__(self, channels: int = 96, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels

    def build(self, input_shape: Sequence[tuple]) -> None:
        self.laterals, self.lateral_norms, self.smooths, self.smooth_norms = [], [], [], []
        for level, shape in enumerate(input_shape):
            lateral = keras.layers.Conv2D(self.channels, 1, use_bias=False, name=f"lateral_{level}")
            lateral.build(shape)
            smooth = keras.layers.Conv2D(
                self.channels, 3, padding="same", use_bias=False, name=f"smooth_{level}"
            )
            out = (*shape[:-1], self.channels)
            smooth.build(out)
            norms = []
            for kind in ("lateral", "smooth"):
                norm = keras.layers.BatchNormalization(
                    momentum=0.97, epsilon=1e-3, name=f"{kind}_norm_{level}"
                )
                norm.build(out)
                norms.append(norm)
            self.laterals.append(lateral)
            self.smooths.append(smooth)
            self.lateral_norms.append(norms[0])
            self.smooth_norms.append(norms[1])
        self.upsample = keras.layers.UpSampling2D(2, interpolation="nearest", name="upsample")
        super().build(input_shape)

    def call(self, features: Sequence, training: bool | None = None) -> list:
        merged, coarser = [], None
        for level in reversed(range(len(features))):
            x = self.lateral_norms[level](self.laterals[level](features[level]), training=training)
            if coarser is not None:
                x = x + self.upsample(coarser)
            coarser = x
            merged.insert(0, x)
        return [
            keras.ops.relu6(norm(conv(x), training=training))
            for x, conv, norm in zip(merged, self.smooths, self.smooth_norms, strict=True)
        ]

    def compute_output_shape(self, input_shape: Sequence[tuple]) -> list[tuple]:
        return [(*shape[:-1], self.channels) for shape in input_shape]

    def get_config(self) -> dict:
        return {**super().get_config(), "channels": self.channels}
