"""Ranking metrics with all items ranked, in NumPy: NDCG, recall, reciprocal rank, coverage, novelty, popularity.

Binary relevance. Sampled metrics are not offered: they reorder models (Krichene and Rendle,
https://doi.org/10.1145/3394486.3403226).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def top_k(scores: np.ndarray, k: int, exclude: np.ndarray | None = None) -> np.ndarray:
    """Indices of the `k` best items of each row, best first; ties go to the smaller index.

    Args:
        scores: `(users, items)`.
        k: At most the number of items.
        exclude: `(users, items)` bool, items that must not be listed (already rated).

    Returns:
        `(users, k)` int.
    """
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"k must be from 1 to the number of items {scores.shape[1]}, received {k}")
    scores = np.array(scores, "float64")
    if exclude is not None:
        scores[exclude] = -np.inf
    # A tie at the border must not depend on how a partition happens to run: everything that may tie is sorted.
    border = -np.partition(-scores, k - 1, axis=1)[:, k - 1]
    result = np.empty((len(scores), k), "int64")
    for row, (values, least) in enumerate(zip(scores, border, strict=True)):
        candidates = np.flatnonzero(values >= least)
        result[row] = candidates[np.argsort(-values[candidates], kind="stable")[:k]]
    return result


def hits(top: np.ndarray, relevant: Sequence[np.ndarray]) -> np.ndarray:
    """`(users, k)` bool: whether each listed item is relevant."""
    return np.stack([np.isin(row, items) for row, items in zip(top, relevant, strict=True)])


def ndcg(hit: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Normalized discounted cumulative gain at k, one a user.

    Args:
        hit: `(users, k)` bool, in order of rank.
        counts: `(users,)` number of relevant items, above 0.
    """
    k = hit.shape[1]
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(counts, k) - 1]
    return hit @ discounts / ideal


def recall(hit: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Share of the relevant items that are in the list, one a user."""
    return hit.sum(axis=1) / counts


def reciprocal_rank(hit: np.ndarray) -> np.ndarray:
    """1 / rank of the first relevant item in the list, 0 without one, one a user."""
    return np.where(hit.any(axis=1), 1 / (hit.argmax(axis=1) + 1), 0.0)


def coverage(top: np.ndarray, items: int) -> float:
    """Share of the catalogue that is listed for anyone."""
    return len(np.unique(top)) / items


def novelty(top: np.ndarray, popularity: np.ndarray) -> float:
    """Mean self-information of the listed items in bits, `-log2(share of users who rated it)`.

    Args:
        top: `(users, k)` item indices.
        popularity: `(items,)` share of training users who rated the item; a never-rated item counts as if half
            a user of the smallest share had rated it.
    """
    least = popularity[popularity > 0].min() / 2
    return float(-np.log2(np.maximum(popularity, least))[top].mean())


def popularity_percentile(top: np.ndarray, popularity: np.ndarray) -> float:
    """Popularity bias: mean popularity percentile of the listed items, 1 for lists of the most popular only."""
    ordered = np.sort(popularity)
    return float((np.searchsorted(ordered, popularity, side="right") / len(ordered))[top].mean())


def ranking_metrics(
    top: np.ndarray, relevant: Sequence[np.ndarray], popularity: np.ndarray
) -> dict[str, float]:
    """All of the above over the users that have a relevant item.

    Args:
        top: `(users, k)` from `top_k`.
        relevant: One array of item indices a user; users with an empty one are left out.
        popularity: `(items,)` share of training users who rated the item.
    """
    counts = np.array([len(r) for r in relevant])
    some = counts > 0
    if not some.any():
        raise ValueError("relevant must name at least one item for at least one user, received none")
    k = top.shape[1]
    hit = hits(top, relevant)[some]
    return {
        f"ndcg@{k}": float(ndcg(hit, counts[some]).mean()),
        f"recall@{k}": float(recall(hit, counts[some]).mean()),
        f"mrr@{k}": float(reciprocal_rank(hit).mean()),
        f"coverage@{k}": coverage(top, len(popularity)),
        f"novelty@{k}": novelty(top, popularity),
        f"popularity_percentile@{k}": popularity_percentile(top, popularity),
    }
