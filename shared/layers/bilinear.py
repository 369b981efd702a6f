"""Bilinear enlargement that also works where height and width are unknown."""

from __future__ import annotations

import keras
from keras import ops


def resize_bilinear(x, size):
    """Resize `(batch, h, w, channels)` to `size`, pixel centres aligned.

    `keras.ops.image.resize` and `UpSampling2D` compare the size with 0 in Python, which a graph of unknown size
    (an exported one) cannot do.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.image.resize(x, size, method="bilinear")
    return ops.image.resize(x, size, interpolation="bilinear")


@keras.saving.register_keras_serializable("shared")
class BilinearUpsample(keras.layers.Layer):
    """Enlarge height and width by a whole factor.

    Args:
        factor: 1 or more.

    Takes `(batch, h, w, channels)`, returns `(batch, h * factor, w * factor, channels)`.
    """

    def __init__(self, factor: int, **kwargs):
        super().__init__(**kwargs)
        if factor < 1:
            raise ValueError(f"factor must be 1 or more, received {factor}")
        self.factor = factor

    def call(self, inputs):
        shape = ops.shape(inputs)
        return resize_bilinear(inputs, (shape[1] * self.factor, shape[2] * self.factor))

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        grown = [None if side is None else side * self.factor for side in (height, width)]
        return (batch, *grown, channels)

    def get_config(self) -> dict:
        return super().get_config() | {"factor": self.factor}
