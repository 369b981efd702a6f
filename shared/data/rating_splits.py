"""Splits of a ratings table: by time for ranking, at random for rating error, by user for cold start."""

from __future__ import annotations

import numpy as np

from shared.data.ratings import Ratings, by_user

TRAIN, VALIDATION, TEST = 0, 1, 2


def split_by_time(ratings: Ratings, validation: float = 0.1, test: float = 0.2) -> np.ndarray:
    """Each user's latest ratings are the test, those before them the validation, the first the training part.

    Args:
        ratings: In order of user and time, as `read_ratings` gives them.
        validation: Share of a user's ratings, at least one rating.
        test: The same.

    Returns:
        `(n,)` int8: 0 train, 1 validation, 2 test. A user with fewer than three ratings is all train.
    """
    part = np.zeros(len(ratings), "int8")
    for _, rows in by_user(ratings):
        n = rows.stop - rows.start
        if n < 3:
            continue
        tests, validations = max(1, round(n * test)), max(1, round(n * validation))
        part[rows.stop - tests : rows.stop] = TEST
        part[rows.stop - tests - validations : rows.stop - tests] = VALIDATION
    return part


def split_at_random(n: int, validation: float = 0.1, test: float = 0.1, seed: int = 0) -> np.ndarray:
    """`(n,)` int8 as in `split_by_time`, each row by chance."""
    chance = np.random.default_rng(seed).random(n)
    return np.where(chance < test, TEST, np.where(chance < test + validation, VALIDATION, TRAIN)).astype(
        "int8"
    )


def split_users(ratings: Ratings, validation: float = 0.1, test: float = 0.1, seed: int = 0) -> np.ndarray:
    """`(n,)` int8 where all ratings of a user are in one part: visitors the model has never met."""
    part = split_at_random(len(ratings.user_ids), validation, test, seed)
    return part[ratings.user]
