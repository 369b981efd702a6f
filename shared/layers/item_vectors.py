"""Items as vectors: what is known of them (genres, year, tags) plus what ratings taught."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="shared")
class ItemVectors(keras.layers.Layer):
    """Vector and bias of items by id: a projection of fixed features plus a free part that ratings fill.

    An item nobody rated keeps a free part near zero and so lives from its features. The penalty falls on the
    items of the batch, often rated ones more often, as in classical factorization.

    Takes `(batch, n)` int ids (and, for the penalty, a `(batch, n)` mask); returns vectors `(batch, n, dim)` and
    biases `(batch, n)`.

    Args:
        items: Number of items.
        dim: Width of a vector.
        features: Number of fixed features, 0 for free vectors alone.
        mean: First value of the bias of every item.
        l2: Penalty on the free vectors; a fifth of it on the free biases.
        dropout: Share of the features left out in training.
    """

    FEATURE_L2 = 3e-3

    def __init__(
        self, items: int, dim: int, features: int = 0, mean: float = 0.0, l2: float = 0.0,
        dropout: float = 0.0, **kwargs,
    ):  # fmt: skip
        super().__init__(**kwargs)
        self.items, self.dim, self.features = items, dim, features
        self.mean, self.l2, self.rate = mean, l2, dropout
        self.dropout = keras.layers.Dropout(dropout) if features and dropout else None

    def build(self, ids_shape: tuple, mask_shape: tuple | None = None) -> None:
        small = keras.initializers.RandomNormal(stddev=0.01)
        self.free = self.add_weight(shape=(self.items, self.dim), initializer=small, name="free")
        self.free_bias = self.add_weight(shape=(self.items,), initializer="zeros", name="free_bias")
        self.common = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(self.mean), name="common"
        )
        if self.features:
            self.table = self.add_weight(
                shape=(self.items, self.features), initializer="zeros", trainable=False, name="table"
            )
            self.kernel = self.add_weight(
                shape=(self.features, self.dim), name="kernel",
                initializer=keras.initializers.RandomNormal(stddev=0.1),
                regularizer=keras.regularizers.L2(self.FEATURE_L2),
            )  # fmt: skip
            self.bias_kernel = self.add_weight(
                shape=(self.features, 1), initializer="zeros", name="bias_kernel"
            )
        self.built = True

    def call(self, ids, mask=None, training=None):
        vectors, own = ops.take(self.free, ids, axis=0), ops.take(self.free_bias, ids, axis=0)
        if self.l2 and training and mask is not None:
            size = ops.sum(vectors**2, axis=-1) + 0.2 * own**2
            self.add_loss(self.l2 * ops.mean(size * mask))
        biases = self.common + own
        if self.features:
            known = ops.take(self.table, ids, axis=0)
            biases = biases + ops.matmul(known, self.bias_kernel)[..., 0]
            if self.dropout is not None:
                known = self.dropout(known, training=training)
            vectors = vectors + ops.matmul(known, self.kernel)
        return vectors, biases

    def get_config(self) -> dict:
        own = {"items": self.items, "dim": self.dim, "features": self.features, "mean": self.mean}
        return super().get_config() | own | {"l2": self.l2, "dropout": self.rate}
