"""A visitor's ratings as the arrays the models read: one copy for training, scoring and serving. NumPy only."""

from __future__ import annotations

import dataclasses

import numpy as np

PADDED_LENGTHS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)


@dataclasses.dataclass(frozen=True)
class History:
    """Ratings of one visitor in the order they were given, oldest first; each item once.

    Attributes:
        items: `(n,)` int item codes.
        ratings: `(n,)` float stars.
        days: `(n,)` float, when, in days; all one number where unknown.
        trend: `(items,)` present popularity at the visit; the newest the model knows when None.
        targets: Item codes held out, for scoring and training.
        target_ratings: Their stars.
        target_days: When they were given, in days.
    """

    items: np.ndarray
    ratings: np.ndarray
    days: np.ndarray
    trend: np.ndarray | None = None
    targets: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, "int32"))
    target_ratings: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, "float32"))
    target_days: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, "float32"))

    @property
    def input(self) -> History:
        """The part a model may see: without the targets."""
        return History(self.items, self.ratings, self.days, self.trend)

    def __len__(self) -> int:
        return len(self.items)


def dense(history: History, n_items: int, trend: np.ndarray) -> dict[str, np.ndarray]:
    """Inputs of the ranking models.

    Args:
        history: The visitor.
        n_items: Size of the catalogue.
        trend: Present popularity, used where the history has none of its own.

    Returns:
        `ratings` (0: not rated), `position` (how many were rated after it) and `trend`, `(items,)` float32 each.
    """
    ratings, position = np.zeros(n_items, "float32"), np.zeros(n_items, "float32")
    ratings[history.items] = history.ratings
    position[history.items] = np.arange(len(history) - 1, -1, -1)
    own = trend if history.trend is None else history.trend
    return {"ratings": ratings, "position": position, "trend": np.asarray(own, "float32")}


def padded_length(n: int) -> int:
    """The smallest of a few lengths that holds `n`, so that histories share shapes."""
    return next((length for length in PADDED_LENGTHS if length >= n), n)


def listed(
    history: History, query_items: np.ndarray, query_days: np.ndarray, length: int, queries: int
) -> dict[str, np.ndarray]:
    """Inputs of the star models, padded.

    Args:
        history: The visitor.
        query_items: `(q,)` items whose stars are asked for.
        query_days: `(q,)` when they are rated, in days of the history's clock.
        length: History entries after padding; the newest stay where there are more.
        queries: Query entries after padding.

    Returns:
        `item_ids`, `item_ratings`, `item_days`, `item_mask` `(length,)`; `query_ids`, `query_days` `(queries,)`.
        Days are counted back from the newest rating, so float32 holds them to seconds.
    """
    kept = slice(max(0, len(history) - length), None)
    n, zero = len(history.items[kept]), history.days.max() if len(history) else 0.0

    def padded(values: np.ndarray, size: int, kind: str) -> np.ndarray:
        result = np.zeros(size, kind)
        result[: len(values)] = values
        return result

    return {
        "item_ids": padded(history.items[kept], length, "int32"),
        "item_ratings": padded(history.ratings[kept], length, "float32"),
        "item_days": padded(history.days[kept] - zero, length, "float32"),
        "item_mask": padded(np.ones(n), length, "float32"),
        "query_ids": padded(query_items, queries, "int32"),
        "query_days": padded(query_days - zero, queries, "float32"),
    }
