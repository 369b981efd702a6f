"""Layers that read a visitor's ratings: nothing here belongs to a user, so that a new visitor needs no training."""

from __future__ import annotations

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="shared")
class TasteWeights(keras.layers.Layer):
    """How much each rated item says of a taste: `sigmoid(slope * (rating - middle)) * exp(-position / recency)`.

    Takes `ratings` and `position`, `(batch, items)` each: 0 where not rated; how many items were rated after it.

    Args:
        recency: Items after which an older one weighs e times less; infinite when 0. Learned.
        slope: Steepness of liking over stars; every rated item weighs 1 when 0. Learned when above 0.
        middle: Stars at which an item weighs one half. Learned.
    """

    def __init__(self, recency: float = 0.0, slope: float = 2.0, middle: float = 3.25, **kwargs):
        super().__init__(**kwargs)
        self.recency, self.slope, self.middle = recency, slope, middle

    def build(self, *shapes: tuple) -> None:
        def scalar(name: str, value: float):
            return self.add_weight(shape=(), initializer=keras.initializers.Constant(value), name=name)

        self.steepness = scalar("steepness", self.slope) if self.slope else None
        self.centre = scalar("centre", self.middle) if self.slope else None
        # The logarithm keeps the learned length positive.
        self.log_recency = scalar("log_recency", float(ops.log(self.recency))) if self.recency else None
        self.built = True

    def call(self, ratings, position):
        weights = ops.cast(ratings > 0, "float32")
        if self.slope:
            weights = weights * ops.sigmoid(self.steepness * (ratings - self.centre))
        if self.recency:
            weights = weights * ops.exp(-ops.maximum(position, 0.0) / ops.exp(self.log_recency))
        return weights

    def get_config(self) -> dict:
        own = {"recency": self.recency, "slope": self.slope, "middle": self.middle}
        return super().get_config() | own


@keras.saving.register_keras_serializable(package="shared")
class TiedItemFactors(keras.layers.Layer):
    """Scores of all items from a weighted bag of items: `(weights @ E) @ E.T * scale`.

    With `E` from `low_rank_ease` this is EASE (https://arxiv.org/abs/1905.03375) for items outside the bag, in
    `items * dim` numbers instead of `items ** 2`.

    Args:
        items: Number of items.
        dim: Width of an item's vector.
    """

    def __init__(self, items: int, dim: int, **kwargs):
        super().__init__(**kwargs)
        self.items, self.dim = items, dim

    def build(self, shape: tuple) -> None:
        self.factors = self.add_weight(
            shape=(self.items, self.dim), initializer="glorot_uniform", name="factors"
        )
        self.scale = self.add_weight(shape=(self.items,), initializer="ones", name="scale")
        self.built = True

    def call(self, weights):
        taste = ops.matmul(weights, self.factors)
        # The table stands untransposed in both products: an exported graph then holds it once.
        return ops.transpose(ops.matmul(self.factors, ops.transpose(taste))) * self.scale

    def get_config(self) -> dict:
        return super().get_config() | {"items": self.items, "dim": self.dim}


@keras.saving.register_keras_serializable(package="shared")
class Succession(keras.layers.Layer):
    """Scores of items by what was rated before: `score[j] = sum_k strength[j, k] * weights[before[j, k]]`.

    A sparse, directed item-to-item table: `before[j]` are the items after which `j` tends to follow.

    Args:
        items: Number of items.
        neighbours: Items kept for each.
    """

    def __init__(self, items: int, neighbours: int, **kwargs):
        super().__init__(**kwargs)
        self.items, self.neighbours = items, neighbours

    def build(self, shape: tuple) -> None:
        table = (self.items, self.neighbours)
        self.before = self.add_weight(
            shape=table, dtype="int32", initializer="zeros", trainable=False, name="before"
        )
        self.strength = self.add_weight(shape=table, initializer="zeros", name="strength")
        self.built = True

    def call(self, weights):
        gathered = ops.take(weights, ops.reshape(self.before, (-1,)), axis=1)
        gathered = ops.reshape(gathered, (-1, self.items, self.neighbours))
        return ops.sum(gathered * self.strength, axis=-1)

    def get_config(self) -> dict:
        return super().get_config() | {"items": self.items, "neighbours": self.neighbours}


@keras.saving.register_keras_serializable(package="shared")
class WeightedSum(keras.layers.Layer):
    """A learned weight for each of several score arrays of one shape, and a bias for each item.

    Args:
        initial: First value of each weight.
    """

    def __init__(self, initial: list[float], **kwargs):
        super().__init__(**kwargs)
        self.initial = list(initial)

    def build(self, shapes: list[tuple]) -> None:
        self.mixture = self.add_weight(
            shape=(len(self.initial),),
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(self.initial, dtype or "float32"),
            name="mixture",
        )
        self.bias = self.add_weight(shape=(shapes[0][-1],), initializer="zeros", name="bias")
        self.built = True

    def call(self, scores):
        total = self.bias
        for index, score in enumerate(scores):
            total = total + self.mixture[index] * score
        return total

    def get_config(self) -> dict:
        return super().get_config() | {"initial": self.initial}
