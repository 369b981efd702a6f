"""The four models, one flag apart: `--model sequential | two_tower | neural | matrix_factorization`.

Each reads a visitor from ratings alone, without a table of users: whoever rates a few films in a browser is
treated exactly as the people it was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from apps.recommendation.config import RecommendationConfig
from apps.recommendation.encoding import History
from apps.recommendation.linear import Trend, liking_matrix, low_rank_ease, part_spread, succession
from shared.data.ratings import Ratings
from shared.layers.histories import Succession, TasteWeights, TiedItemFactors, WeightedSum
from shared.layers.item_vectors import ItemVectors
from shared.layers.ridge_reader import RidgeReader
from shared.layers.two_towers import TwoTowers

TEMPERATURE = 0.25
"""Scale of the sequential model's first logits: the softmax loss is about least there (validation)."""
MIXTURE = {"taste": 1.0, "recent": 1.0, "succession": 0.4, "trend": 0.35}
"""Weights of the sequential model's parts, each divided by its own spread; chosen on validation."""


def build_sequential(
    config: RecommendationConfig, train: Ratings, histories: Sequence[History], trend: Trend
) -> keras.Model:
    """Ranking from an ordered history: taste, recent taste, what follows what, and what is liked now.

    Taste and recent taste go through one low-rank linear autoencoder that starts as EASE; succession starts from
    counts. Training with the softmax over all films tunes the parts together.

    Args:
        config: Options.
        train: Training ratings.
        histories: The same as histories.
        trend: Present popularity, an input of the model.

    Returns:
        `ratings, position, trend` `(batch, items)` -> `scores` `(batch, items)`.
    """
    weights = liking_matrix(train)
    embedding = low_rank_ease(weights, config.embedding_dim, config.ridge, config.seed)
    follows = succession(train, config.succession, config.smoothing, config.transitions)
    spread = part_spread(histories, trend, embedding, follows, config.recency, config.succession)
    items = len(train.items)
    inputs = dense_inputs(items)
    ratings, position, now = inputs
    factors = TiedItemFactors(items, config.embedding_dim, name="factors")
    table = Succession(items, config.transitions, name="succession")
    mixture = WeightedSum([TEMPERATURE * w / spread[k] for k, w in MIXTURE.items()], name="mixture")
    taste = TasteWeights(name="taste")(ratings, position)
    recent = TasteWeights(recency=config.recency, name="recent")(ratings, position)
    latest = TasteWeights(recency=config.succession, slope=0, name="latest")(ratings, position)
    outputs = mixture([factors(taste), factors(recent), table(latest), now])
    model = keras.Model(inputs, outputs, name="sequential")
    factors.factors.assign(embedding[0])
    factors.scale.assign(embedding[1])
    table.before.assign(follows[0])
    table.strength.assign(follows[1])
    popularity = np.log1p(np.asarray(weights.sum(axis=0)).ravel())
    mixture.bias.assign(TEMPERATURE * config.popularity_weight * popularity / max(1e-6, popularity.std()))
    return model


def dense_inputs(items: int) -> list:
    """The inputs of the ranking models, see `apps.recommendation.encoding.dense`."""
    return [keras.Input((items,), name=name) for name in ("ratings", "position", "trend")]


def build_two_tower(config: RecommendationConfig, items: int, features: np.ndarray) -> keras.Model:
    """Retrieval: the visitor's vector, from the vectors of rated films, times each film's own.

    The item tower is a projection of genres, year and tags plus a free vector, so a new film has a place. Lengths
    are 1: the scores are cosines over a learned temperature and any approximate index can hold the items.

    Returns:
        `ratings, position, trend` `(batch, items)` -> `scores` `(batch, items)`.
    """
    inputs = dense_inputs(items)
    towers = TwoTowers(items, config.embedding_dim, features.shape[1], config.dropout, name="towers")
    taste = TasteWeights(recency=4 * config.recency, name="taste")(inputs[0], inputs[1])
    # The present popularity is part of the contract of a ranking model; this one has no use for it.
    scores = towers(taste) + 0.0 * inputs[2]
    model = keras.Model(inputs, scores, name="two_tower")
    towers.table.assign(features)
    return model


def with_sampled_softmax(model: keras.Model, frequency: np.ndarray) -> keras.Model:
    """The two towers for training: the targets of a batch are each other's negatives.

    Frequent films come up as negatives more often than rare ones; subtracting the logarithm of that probability
    corrects for it (https://doi.org/10.1145/3298689.3346996).

    Args:
        model: From `build_two_tower`; its layers are shared.
        frequency: `(items,)` probability of each item to be a target, above 0.

    Returns:
        `ratings, position` `(batch, items)`, `target` `(batch,)` -> logits `(batch, batch)`.
    """
    import keras_rs

    towers, taste = model.get_layer("towers"), model.get_layer("taste")
    ratings, position, _ = dense_inputs(towers.items)
    target = keras.Input((), name="target", dtype="int32")
    logits = towers(taste(ratings, position), target)
    chance = keras.layers.Embedding(towers.items, 1, trainable=False, name="frequency")
    sampled = ops.reshape(chance(target), (-1,))
    logits = keras_rs.layers.SamplingProbabilityCorrection()(logits, sampled)
    # Row i's own target is candidate i; the same film again is no negative.
    place = ops.cumsum(ops.ones_like(target))
    own = ops.equal(ops.expand_dims(place, 1), ops.expand_dims(place, 0))
    same = ops.equal(ops.expand_dims(target, 1), ops.expand_dims(target, 0))
    logits = logits - 1e9 * ops.cast(ops.logical_and(same, ops.logical_not(own)), "float32")
    training = keras.Model([ratings, position, target], logits, name="two_tower_training")
    chance.set_weights([frequency[:, None]])
    return training


def serving_towers(model: keras.Model) -> keras.Model:
    """The model of `build_two_tower` inside the one it is trained in."""
    towers, taste = model.get_layer("towers"), model.get_layer("taste")
    inputs = dense_inputs(towers.items)
    return keras.Model(inputs, towers(taste(*inputs[:2])) + 0.0 * inputs[2], name="two_tower")


def build_stars(config: RecommendationConfig, items: int, features: np.ndarray, mean: float) -> keras.Model:
    """Stars: `neural` (features, session and neighbours) or `matrix_factorization` (biases and vectors alone).

    Returns:
        `item_ids, item_ratings, item_days, item_mask` `(batch, n)`, `query_ids, query_days` `(batch, q)` ->
        `stars` `(batch, q)`.
    """
    neural = config.model == "neural"
    table = ItemVectors(
        items, config.embedding_dim, features.shape[1] if neural else 0, mean, config.l2,
        config.dropout if neural else 0.0, name="items",
    )  # fmt: skip
    model = _stars(table, RidgeReader(kernels=neural, name="reader"), config.model)
    if neural:
        table.table.assign(features)
    return model


def _stars(table: keras.layers.Layer, reader: RidgeReader, name: str) -> keras.Model:
    listed = {
        n: keras.Input((None,), name=n) for n in ("item_ratings", "item_days", "item_mask", "query_days")
    }
    listed |= {n: keras.Input((None,), name=n, dtype="int32") for n in ("item_ids", "query_ids")}
    order = ("item_ids", "item_ratings", "item_days", "item_mask", "query_ids", "query_days")
    vectors, biases = table(listed["item_ids"], listed["item_mask"])
    query_vectors, query_biases = table(listed["query_ids"])
    stars = reader(
        {
            "vectors": vectors, "biases": biases, "ratings": listed["item_ratings"],
            "days": listed["item_days"], "mask": listed["item_mask"], "query_vectors": query_vectors,
            "query_biases": query_biases, "query_days": listed["query_days"],
        }
    )  # fmt: skip
    return keras.Model([listed[n] for n in order], stars, name=name)


def fold_features(model: keras.Model) -> keras.Model:
    """The star model with the features worked into the item vectors: smaller, and equal in its answers."""
    table, reader = model.get_layer("items"), model.get_layer("reader")
    vectors, biases = table(ops.arange(table.items)[None])
    folded = ItemVectors(table.items, table.dim, 0, 0.0, name="items")
    copy = RidgeReader(reader.kernels, reader.steps, name="reader")
    result = _stars(folded, copy, model.name)
    folded.free.assign(vectors[0])
    folded.free_bias.assign(biases[0])
    copy.set_weights(reader.get_weights())
    return result
