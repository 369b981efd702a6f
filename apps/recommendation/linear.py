"""Closed forms the sequential model starts from: EASE in low rank, and what follows what. NumPy and SciPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import svds

from apps.recommendation.encoding import History
from shared.data.ratings import Ratings, by_user

WINDOW_LENGTHS = 3
"""The succession looks back this many times its length, where its weight is below 5 %."""


def liking(rating: np.ndarray, slope: float = 2.0, middle: float = 3.25) -> np.ndarray:
    """Weight in (0, 1) of a rating in stars, as `shared.layers.histories.TasteWeights` starts."""
    return 1 / (1 + np.exp(-slope * (rating - middle)))


def liking_matrix(ratings: Ratings) -> sp.csr_matrix:
    """`(users, items)` sparse likings."""
    shape = (len(ratings.user_ids), len(ratings.items))
    return sp.csr_matrix((liking(ratings.rating), (ratings.user, ratings.item)), shape=shape)


def low_rank_ease(
    matrix: sp.spmatrix, dim: int, ridge: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Factors `E` and `scale` so that `(x @ E) @ E.T * scale` is EASE's score outside of `x`.

    With the singular values s of the matrix X and P = (X'X + ridge)^-1 = (1 - V diag(s² / (s² + ridge)) V') / ridge,
    EASE's weights off the diagonal are -P[i, j] / P[j, j], so E = V diag(s / sqrt(s² + ridge)) and
    scale[j] = 1 / (1 - |E[j]|²).  Rated items are never listed, so the diagonal is not needed. Cutting the
    spectrum costs little and makes the table `items * dim`.

    Args:
        matrix: `(users, items)` weights.
        dim: Number of singular vectors; less where the matrix has fewer. Missing columns are 0.
        ridge: Above 0.
        seed: For the starting vector of the iteration.

    Returns:
        `(items, dim)` float32 and `(items,)` float32.
    """
    if ridge <= 0:
        raise ValueError(f"ridge must be above 0, received {ridge}")
    users, items = matrix.shape
    k = min(dim, users - 1, items - 1)
    _, s, vt = svds(sp.csr_matrix(matrix, dtype="float64"), k=k, random_state=seed)
    order = np.argsort(-s)
    s, vt = s[order], vt[order]
    factors = np.zeros((items, dim), "float32")
    factors[:, :k] = vt.T * (s / np.sqrt(s**2 + ridge))
    return factors, (1 / (1 - np.minimum(0.999, (factors**2).sum(axis=1)))).astype("float32")


def succession(
    ratings: Ratings, length: float, smoothing: float, neighbours: int
) -> tuple[np.ndarray, np.ndarray]:
    """For each item the items it tends to be rated after, and how strongly.

    Pairs of one user's list, at most `3 * length` apart, count `exp(-distance / length)` times the liking of the
    later one; a pair's sum is divided by `sqrt((a + smoothing) * (b + smoothing))` of both items' sums.

    Returns:
        `(items, neighbours)` int32 indices and float32 strengths, strongest first; 0 strength fills up.
    """
    n = len(ratings.items)
    rows, columns, values = [], [], []
    reach = max(1, round(WINDOW_LENGTHS * length))
    for _, part in by_user(ratings):
        item, weight = ratings.item[part], liking(ratings.rating[part])
        for distance in range(1, min(reach, len(item) - 1) + 1):
            rows.append(item[:-distance])
            columns.append(item[distance:])
            values.append(np.exp(-distance / length) * weight[distance:])
    if not rows:
        return np.zeros((n, neighbours), "int32"), np.zeros((n, neighbours), "float32")
    pairs = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
    table = sp.csr_matrix(pairs, shape=(n, n))
    before = 1 / np.sqrt(np.asarray(table.sum(axis=1)).ravel() + smoothing)
    after = 1 / np.sqrt(np.asarray(table.sum(axis=0)).ravel() + smoothing)
    table = (sp.diags(before) @ table @ sp.diags(after)).tocsc()
    ids, strengths = np.zeros((n, neighbours), "int32"), np.zeros((n, neighbours), "float32")
    for item in range(n):
        span = slice(table.indptr[item], table.indptr[item + 1])
        best = np.argsort(-table.data[span], kind="stable")[:neighbours]
        ids[item, : len(best)] = table.indices[span][best]
        strengths[item, : len(best)] = table.data[span][best]
    return ids, strengths


def part_spread(
    histories: Sequence[History],
    trend: Trend,
    factors: tuple[np.ndarray, np.ndarray],
    follows: tuple[np.ndarray, np.ndarray],
    recency: float,
    length: float,
    users: int = 200,
) -> dict[str, float]:
    """Standard deviation of each part's scores on some training histories: what its weight is measured in.

    Args:
        histories: Training histories.
        trend: For the last part.
        factors: From `low_rank_ease`.
        follows: From `succession`.
        recency: Length of the recent taste, in ratings.
        length: Length of the succession, in ratings.
        users: Histories looked at, evenly spread.
    """
    (embedding, scale), (before, strength) = factors, follows
    values: dict[str, list[np.ndarray]] = {"taste": [], "recent": [], "succession": [], "trend": []}
    for history in histories[:: max(1, len(histories) // users)]:
        age, likes = np.arange(len(history) - 1, -1, -1), liking(history.ratings)
        rows = embedding[history.items]
        for name, weights in (("taste", likes), ("recent", likes * np.exp(-age / recency))):
            values[name].append(embedding @ (weights @ rows) * scale)
        latest = np.zeros(len(scale), "float32")
        latest[history.items] = np.exp(-age / length)
        values["succession"].append((latest[before] * strength).sum(axis=1))
        values["trend"].append(np.maximum(0, trend.at(float(history.days[-1]) * 86400)))
    return {name: max(1e-6, float(np.std(rows))) for name, rows in values.items()}


class Trend:
    """What was liked lately, at any time, from ratings before that time alone.

    Args:
        ratings: Training ratings.
        days: Days after which a like counts e times less.
        step_days: The past is summed up at this many days; a time uses the last sum before it.
    """

    UNRELEASED = -10.0

    def __init__(self, ratings: Ratings, days: float = 365.0, step_days: float = 30.0):
        order = np.argsort(ratings.time_s, kind="stable")
        time = ratings.time_s[order] / 86400
        first, last = time[0], time[-1]
        self.years = ratings.items.years
        self.times = np.arange(first, last + 2 * step_days, step_days)
        # Below, a table without real times (its order stands for time) still gets one useful row.
        self.table = np.zeros((len(self.times), len(ratings.items)), "float32")
        bin_of = np.searchsorted(self.times, time, side="right")
        now = np.zeros(len(ratings.items))
        weights, items = liking(ratings.rating[order]), ratings.item[order]
        for k, moment in enumerate(self.times):
            now *= np.exp(-step_days / days)
            fresh = slice(*np.searchsorted(bin_of, [k, k + 1]))
            fade = np.exp(-np.maximum(0, moment - time[fresh]) / days)
            np.add.at(now, items[fresh], weights[fresh] * fade)
            self.table[k] = np.log1p(now)

    def at(self, time_s: float | None = None) -> np.ndarray:
        """`(items,)` float32 at a time, or after all training ratings; films of later years get a large minus."""
        if time_s is None:
            return self.table[-1].copy()
        index = np.searchsorted(self.times, time_s / 86400, side="right") - 1
        row = self.table[index].copy() if index >= 0 else np.zeros(self.table.shape[1], "float32")
        year = 1970 + time_s / 86400 / 365.2425
        row[self.years > year + 1] = self.UNRELEASED
        return row
