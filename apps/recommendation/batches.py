"""Histories -> batches for `fit`: cut at a random moment (ranking) or with random ratings left out (stars)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from apps.recommendation.config import RecommendationConfig
from apps.recommendation.data import DAY_S, RatingSplits
from apps.recommendation.encoding import History, dense, listed

SEEN = -1.0
"""Mark of an already rated item in a ranking target."""
MISSING = -1e6
"""Mark of padding in a star target; no scale reaches it."""
WINDOW = 20
"""Ranking learns from the likes among this many ratings after the cut."""
QUERIES = 40
"""Ratings left out of one history at most."""
SHORT = 0.25
"""Share of the star examples that read at most 15 ratings."""
MASKED = 1e9


def cut(history: History, config: RecommendationConfig, splits: RatingSplits, rng: np.random.Generator):
    """A history up to a random moment and the likes just after it, or None where there are none.

    The trend is that of the moment: nothing given later is seen.
    """
    n = len(history)
    if n < 4:
        return None
    moment = int(rng.integers(max(2, n // 4), n))
    later = slice(moment, moment + WINDOW)
    liked = history.items[later][history.ratings[later] >= config.liked]
    if not len(liked):
        return None
    # A random share is dropped, never the newest.
    kept = rng.random(moment) > config.history_dropout * rng.random()
    kept[-1] = True
    trend = splits.trend.at(float(history.days[moment - 1]) * DAY_S)
    past = History(
        history.items[:moment][kept], history.ratings[:moment][kept], history.days[:moment][kept], trend
    )
    return past, history.items[:moment], liked


def ranking_rows(
    examples: Sequence[History], config: RecommendationConfig, splits: RatingSplits, rng: np.random.Generator
) -> Iterator[tuple]:
    """One epoch of `(ratings, position, trend), target` rows; a target is 1 for a like and -1 for what was seen."""
    n_items = len(splits.ratings.items)
    for index in rng.permutation(len(examples)):
        made = cut(examples[index], config, splits, rng)
        if made is None:
            continue
        past, seen, liked = made
        arrays = dense(past, n_items, past.trend)
        target = np.zeros(n_items, "float32")
        target[seen], target[liked] = SEEN, 1.0
        yield tuple(arrays[k] for k in ("ratings", "position", "trend")), target


def pair_rows(
    examples: Sequence[History], config: RecommendationConfig, splits: RatingSplits, rng: np.random.Generator
) -> Iterator[tuple]:
    """One epoch of `(ratings, position), liked item` rows for the two towers, a few of every history."""
    n_items = len(splits.ratings.items)
    for index in np.repeat(rng.permutation(len(examples)), 4):
        made = cut(examples[index], config, splits, rng)
        if made is not None:
            arrays = dense(made[0], n_items, made[0].trend)
            yield (arrays["ratings"], arrays["position"]), np.int32(rng.choice(made[2]))


def star_rows(
    examples: Sequence[History], config: RecommendationConfig, rng: np.random.Generator
) -> Iterator[tuple]:
    """One epoch of star rows: at most `config.history` ratings are read, others of the same person asked for."""
    sizes = np.array([min(len(h), 2 * config.history) for h in examples], float)
    for index in rng.choice(len(examples), len(examples), p=sizes / sizes.sum()):
        history = examples[index]
        order = rng.permutation(len(history))
        asked = max(1, min(QUERIES, int(len(order) * rng.uniform(0.1, 0.25))))
        # Some visitors have rated little yet: a film's own bias must then be its usual rating.
        most = config.history if rng.random() > SHORT else int(rng.integers(0, 16))
        query, read = order[:asked], order[asked : asked + most]
        past = History(history.items[read], history.ratings[read], history.days[read])
        arrays = listed(past, history.items[query], history.days[query], config.history, QUERIES)
        target = np.full(QUERIES, MISSING, "float32")
        target[:asked] = history.ratings[query]
        yield arrays, target


def training_batches(
    examples: Sequence[History], config: RecommendationConfig, splits: RatingSplits
) -> tf.data.Dataset:
    """Shuffled anew each epoch, seeded."""
    n_items = len(splits.ratings.items)
    rng = np.random.default_rng(config.seed)
    wide, size = tf.TensorSpec((n_items,)), config.history
    if config.model == "sequential":
        signature = ((wide, wide, wide), wide)
        rows = lambda: ranking_rows(examples, config, splits, rng)  # noqa: E731
    elif config.model == "two_tower":
        signature = ((wide, wide), tf.TensorSpec((), tf.int32))
        rows = lambda: pair_rows(examples, config, splits, rng)  # noqa: E731
    else:
        kinds = {"item_ids": tf.int32, "query_ids": tf.int32}
        names = ("item_ids", "item_ratings", "item_days", "item_mask", "query_ids", "query_days")
        inputs = {
            n: tf.TensorSpec((QUERIES if "query" in n else size,), kinds.get(n, tf.float32)) for n in names
        }
        signature = (inputs, tf.TensorSpec((QUERIES,)))
        rows = lambda: star_rows(examples, config, rng)  # noqa: E731
    data = tf.data.Dataset.from_generator(rows, output_signature=signature)
    data = data.batch(config.batch_size, drop_remainder=config.model == "two_tower")
    if config.model == "two_tower":
        # In-batch softmax: row i's own target is candidate i.
        labels = tf.eye(config.batch_size)
        data = data.map(lambda x, target: ((*x, target), labels))
    return data.prefetch(2)


def softmax_loss(target, scores):
    """Cross-entropy of the likes over all films not yet rated, mean over the likes of a row."""
    from keras import ops

    seen = ops.cast(target < 0, "float32")
    liked = ops.maximum(target, 0.0)
    rows = ops.sum(liked * ops.log_softmax(scores - MASKED * seen), axis=-1)
    return -rows / ops.maximum(1.0, ops.sum(liked, axis=-1))


def star_loss(target, stars):
    """Mean squared error over the ratings that are there."""
    from keras import ops

    there = ops.cast(target > MISSING / 2, "float32")
    error = ops.square((target - stars) * there)
    return ops.sum(error) / ops.maximum(1.0, ops.sum(there))
