"""What is known of an item besides its ratings, as numbers: genres, year, tags. NumPy only."""

from __future__ import annotations

from collections import Counter

import numpy as np

from shared.data.ratings import Items

DECADES = np.arange(1930, 2021, 10)
TAG_DIMENSIONS = 24
LEAST_TAG_USES = 3


def item_features(items: Items, counts: np.ndarray) -> np.ndarray:
    """One row an item: genres, soft decade, tags and how often it was rated.

    Args:
        items: The catalogue.
        counts: `(items,)` ratings of each in the training split.

    Returns:
        `(items, features)` float32. An item without genre, year or tags has zeros there.
    """
    popular = np.log1p(counts)[:, None] / 3
    parts = [genre_matrix(items), decades(items.years), tag_factors(items), popular, popular**2]
    return np.concatenate(parts, axis=1).astype("float32")


def genre_matrix(items: Items) -> np.ndarray:
    """`(items, genres)`, rows of length 1."""
    names = {name: i for i, name in enumerate(items.genre_names())}
    matrix = np.zeros((len(items), len(names)), "float32")
    for row, genres in enumerate(items.genres):
        matrix[row, [names[g] for g in genres]] = 1
    return matrix / np.sqrt(np.maximum(1, matrix.sum(axis=1, keepdims=True)))


def decades(years: np.ndarray) -> np.ndarray:
    """`(items, 11)`: nearness of the year to each decade, and the year itself on a scale around 0."""
    known = (years > 0)[:, None]
    bumps = np.exp(-(((years[:, None] - DECADES) / 10) ** 2))
    return np.concatenate([bumps, (years[:, None] - 1990) / 20], axis=1) * known


def tag_factors(items: Items, dimensions: int = TAG_DIMENSIONS) -> np.ndarray:
    """`(items, dimensions)`: tags weighted by rarity, reduced by a singular value decomposition."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import svds

    uses = Counter(word for row in items.tags for word in set(row))
    words = {w: i for i, w in enumerate(sorted(w for w, n in uses.items() if n >= LEAST_TAG_USES))}
    pairs = sorted({(i, words[w]) for i, row in enumerate(items.tags) for w in row if w in words})
    if len(words) < 3 or len(pairs) < 3:
        return np.zeros((len(items), 0), "float32")
    rows, columns = np.array(pairs).T
    weights = np.log(len(items) / (1 + np.bincount(columns, minlength=len(words))))[columns]
    matrix = coo_matrix((weights, (rows, columns)), shape=(len(items), len(words))).tocsr()
    k = min(dimensions, min(matrix.shape) - 1)
    left, scale, _ = svds(matrix, k=k, random_state=0)
    factors = left * scale
    return 0.3 * factors / (factors.std() + 1e-6)
