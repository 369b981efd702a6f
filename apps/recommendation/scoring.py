"""Scores of a model on held-out histories: all films ranked, or stars against stars."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from apps.recommendation.encoding import History, dense, listed, padded_length
from shared.metrics.ranking import hits, ndcg, ranking_metrics, top_k

K = 10
Scorer = Callable[[dict[str, np.ndarray]], np.ndarray]
"""A batch of named arrays -> `(batch, ...)`: a Keras model's predict_on_batch or an exported graph."""


def listed_items(
    scorer: Scorer, histories: Sequence[History], n_items: int, trend: np.ndarray, k: int = K, batch: int = 32
) -> np.ndarray:
    """`(histories, k)` items each would be shown; what they rated is left out."""
    tops = []
    for start in range(0, len(histories), batch):
        part = histories[start : start + batch]
        rows = [dense(h, n_items, trend) for h in part]
        arrays = {name: np.stack([r[name] for r in rows]) for name in rows[0]}
        tops.append(top_k(scorer(arrays), k, arrays["ratings"] > 0))
    return np.concatenate(tops)


def ranking_scores(
    scorer: Scorer, histories: Sequence[History], popularity: np.ndarray, trend: np.ndarray
) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """Metrics, the lists, and NDCG of each history with a target (others nan)."""
    top = listed_items(scorer, histories, len(popularity), trend)
    relevant = [h.targets for h in histories]
    counts = np.array([len(r) for r in relevant])
    each = np.full(len(histories), np.nan)
    some = counts > 0
    each[some] = ndcg(hits(top, relevant)[some], counts[some])
    return ranking_metrics(top, relevant, popularity), top, each


def star_batches(histories: Iterable[History], batch: int = 16) -> Iterable[tuple[list[int], dict]]:
    """Histories of one padded shape together: `(their indices, stacked inputs)`."""
    histories = list(histories)
    groups: dict[tuple[int, int], list[int]] = {}
    for index, h in enumerate(histories):
        groups.setdefault((padded_length(len(h)), padded_length(len(h.targets))), []).append(index)
    for (length, queries), indices in sorted(groups.items()):
        # Kernels are `queries * length` a history: long ones go alone.
        size = max(1, min(batch, 2**21 // (length * queries)))
        for start in range(0, len(indices), size):
            chosen = indices[start : start + size]
            rows = [
                listed(histories[i], histories[i].targets, histories[i].target_days, length, queries)
                for i in chosen
            ]
            yield chosen, {name: np.stack([r[name] for r in rows]) for name in rows[0]}


def predicted_stars(
    scorer: Scorer, histories: Sequence[History], low: float, high: float
) -> list[np.ndarray]:
    """Stars of each history's targets, inside the scale."""
    result: list[np.ndarray] = [np.zeros(0)] * len(histories)
    for indices, arrays in star_batches(histories):
        for index, row in zip(indices, scorer(arrays), strict=True):
            result[index] = np.clip(row[: len(histories[index].targets)], low, high)
    return result


def star_scores(
    scorer: Scorer, histories: Sequence[History], low: float, high: float
) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """RMSE and MAE with predictions and truth as flat arrays."""
    predicted = np.concatenate(predicted_stars(scorer, histories, low, high))
    truth = np.concatenate([h.target_ratings for h in histories])
    error = predicted - truth
    metrics = {"rmse": float(np.sqrt((error**2).mean())), "mae": float(np.abs(error).mean())}
    return metrics, predicted, truth
