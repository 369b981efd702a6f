"""Retrieval by two towers: a visitor's vector and an item's vector, compared by their cosine."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="shared")
class TwoTowers(keras.layers.Layer):
    """Scores of items for weighted bags of items.

    An item's vector is a free part plus a projection of its features; a visitor's is a dense layer over the
    weighted sum of the vectors of the bag. Both have length 1 and their cosine is divided by a learned
    temperature, so the items fit any index for maximum inner product.

    Takes `weights` `(batch, items)`; with `candidates` `(m,)` ids the answer is `(batch, m)`, else `(batch, items)`.

    Args:
        items: Number of items.
        dim: Width of a vector.
        features: Number of fixed item features.
        dropout: Share of the features left out in training.
    """

    def __init__(self, items: int, dim: int, features: int, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.items, self.dim, self.features, self.rate = items, dim, features, dropout
        self.dropout = keras.layers.Dropout(dropout)
        self.user = keras.layers.Dense(dim, kernel_initializer="identity", name="user")

    def build(self, weights_shape: tuple, candidates_shape: tuple | None = None) -> None:
        small = keras.initializers.RandomNormal(stddev=0.05)
        self.free = self.add_weight(shape=(self.items, self.dim), initializer=small, name="free")
        self.table = self.add_weight(
            shape=(self.items, self.features), initializer="zeros", trainable=False, name="table"
        )
        self.kernel = self.add_weight(shape=(self.features, self.dim), name="kernel")
        self.log_temperature = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(-2.3), name="log_temperature"
        )
        self.user.build((None, self.dim))
        self.built = True

    def item_vectors(self, training=None):
        """`(items, dim)`, each of length 1."""
        known = self.dropout(self.table, training=training)
        return ops.normalize(self.free + ops.matmul(known, self.kernel), axis=-1)

    def user_vectors(self, weights, vectors):
        """`(batch, dim)`, each of length 1."""
        taste = ops.matmul(weights, vectors) / ops.sqrt(1 + ops.sum(ops.abs(weights), axis=-1, keepdims=True))
        return ops.normalize(self.user(taste), axis=-1)

    def call(self, weights, candidates=None, training=None):
        vectors = self.item_vectors(training)
        users = self.user_vectors(weights, vectors)
        if candidates is not None:
            vectors = ops.take(vectors, candidates, axis=0)
        return ops.matmul(users, ops.transpose(vectors)) / ops.exp(self.log_temperature)

    def compute_output_shape(self, weights_shape: tuple, candidates_shape: tuple | None = None) -> tuple:
        return (weights_shape[0], candidates_shape[0] if candidates_shape else self.items)

    def get_config(self) -> dict:
        own = {"items": self.items, "dim": self.dim, "features": self.features, "dropout": self.rate}
        return super().get_config() | own
