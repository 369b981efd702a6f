"""Ratings -> the three splits, as histories: by time for ranking, at random for stars."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np

from apps.recommendation.config import RecommendationConfig
from apps.recommendation.encoding import History
from apps.recommendation.linear import Trend
from shared.data.rating_splits import TEST, TRAIN, VALIDATION, split_at_random, split_by_time
from shared.data.ratings import HINT, Ratings, by_user, read_ratings
from shared.files.errors import DataError
from shared.task import Splits

DAY_S = 86400.0


@dataclasses.dataclass(frozen=True)
class RatingSplits(Splits):
    """Splits whose examples are `History`, with the tables they came from.

    Attributes:
        ratings: What the model is fitted on.
        trend: Present popularity at any time, from `ratings`.
    """

    ratings: Ratings | None = None
    trend: Trend | None = None

    @functools.cached_property
    def popularity(self) -> np.ndarray:
        """`(items,)` share of the users fitted on who rated the item."""
        counts = np.bincount(self.ratings.item, minlength=len(self.ratings.items))
        return counts / max(1, len(self.train))


def load_ratings(config: RecommendationConfig) -> Ratings:
    """Read `--data PATH` or `--dataset tfds:movielens/...`.

    Raises:
        DataError: Every problem of the table by line.
    """
    if config.dataset.startswith("tfds:"):
        from shared.data.rating_tfds import read_tfds_ratings

        return read_tfds_ratings(config.dataset.removeprefix("tfds:"), config.data_dir or None)
    if not config.data:
        raise DataError(["--data PATH is missing"], HINT)
    if not Path(config.data).exists():
        raise DataError([f"{config.data}: does not exist"], HINT)
    return read_ratings(config.data, config.items or None, low=config.low, high=config.high)


def load_splits(config: RecommendationConfig) -> RatingSplits:
    """Read and split. With `fit_on="train+validation"` the validation part joins the training part."""
    ratings = load_ratings(config)
    if config.predicts_stars:
        part = split_at_random(len(ratings), seed=config.split_seed)
        return star_splits(ratings, part, config)
    return ranking_splits(ratings, split_by_time(ratings), config)


def ranking_splits(ratings: Ratings, part: np.ndarray, config: RecommendationConfig) -> RatingSplits:
    """Histories whose targets lie in their future.

    A test history ends where the user's test part begins: everything before is known at that visit.
    """
    refit = config.fit_on == "train+validation"
    fitted = ratings[part != TEST] if refit else ratings[part == TRAIN]
    trend = Trend(fitted, config.trend_days)
    train = [_history(fitted, rows) for _, rows in by_user(fitted)]
    validation = [] if refit else _with_targets(ratings, part, VALIDATION, trend, config)
    test = _with_targets(ratings, part, TEST, trend, config)
    info = {"users": len(ratings.user_ids), "items": len(ratings.items)}
    return RatingSplits(train, validation, test, info, fitted, trend)


def _history(
    ratings: Ratings, rows, targets: Ratings | None = None, trend: np.ndarray | None = None
) -> History:
    history = History(ratings.item[rows], ratings.rating[rows], ratings.time_s[rows] / DAY_S, trend)
    if targets is None:
        return history
    return dataclasses.replace(
        history, targets=targets.item, target_ratings=targets.rating, target_days=targets.time_s / DAY_S
    )


def _with_targets(ratings: Ratings, part: np.ndarray, wanted: int, trend: Trend, config) -> list[History]:
    result = []
    for _, rows in by_user(ratings):
        own = part[rows]
        before, now = np.flatnonzero(own < wanted) + rows.start, np.flatnonzero(own == wanted) + rows.start
        if not len(now) or not len(before):
            continue
        targets = ratings[now]
        liked = targets[targets.rating >= config.liked]
        visit = trend.at(float(ratings.time_s[before[-1]]))
        result.append(_history(ratings, before, liked, visit))
    return result


def star_splits(ratings: Ratings, part: np.ndarray, config: RecommendationConfig) -> RatingSplits:
    """Histories whose targets are ratings left out by chance."""
    refit = config.fit_on == "train+validation"
    known = part != TEST if refit else part == TRAIN
    fitted = ratings[known]
    train = [_history(fitted, rows) for _, rows in by_user(fitted)]

    def asked(wanted: int) -> list[History]:
        result = []
        for _, rows in by_user(ratings):
            inside = np.arange(rows.start, rows.stop)
            mine, now = inside[known[rows]], inside[part[rows] == wanted]
            if len(now):
                result.append(_history(ratings, mine, ratings[now]))
        return result

    info = {"users": len(ratings.user_ids), "items": len(ratings.items)}
    validation = [] if refit else asked(VALIDATION)
    return RatingSplits(train, validation, asked(TEST), info, fitted, Trend(fitted, config.trend_days))
