"""Recommenders a user would pick instead, behind one interface; the grids they are tuned over on validation.

popularity, item-kNN and EASE are written here in NumPy/SciPy; ALS and BPR are `implicit`'s, SVD and SVD++ are
`scikit-surprise`'s (requirements-bench.txt).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from shared.data.ratings import Ratings

Scores = Callable[[sp.csr_matrix], np.ndarray]
"""`(visitors, items)` ratings in stars, 0 where not rated -> `(visitors, items)` scores."""


def matrix(user: np.ndarray, item: np.ndarray, rating: np.ndarray, shape: tuple[int, int]) -> sp.csr_matrix:
    """Sparse ratings."""
    return sp.csr_matrix((rating, (user, item)), shape=shape, dtype="float32")


def seen_as(ratings: sp.csr_matrix, kind: str) -> sp.csr_matrix:
    """What counts as an interaction: `all` ratings, `liked` (4 stars and more), or `graded` by a sigmoid of stars."""
    result = ratings.copy()
    if kind == "all":
        result.data[:] = 1
    elif kind == "liked":
        result.data[:] = result.data >= 4
        result.eliminate_zeros()
    else:
        result.data[:] = 1 / (1 + np.exp(-2 * (result.data - 3.25)))
    return result


def popularity(train: sp.csr_matrix, kind: str) -> Scores:
    """The same list for everyone."""
    counts = np.asarray(seen_as(train, kind).sum(axis=0)).ravel()
    return lambda visitors: np.tile(counts, (visitors.shape[0], 1))


def item_knn(train: sp.csr_matrix, kind: str, neighbours: int, shrink: float) -> Scores:
    """Cosine of item columns with shrinkage, the nearest neighbours of each item kept."""
    x = seen_as(train, kind).tocsc()
    gram = (x.T @ x).tocsr()
    norm = np.sqrt(gram.diagonal())
    gram.setdiag(0)
    gram.eliminate_zeros()
    rows, columns = gram.nonzero()
    gram.data = gram.data / (norm[rows] * norm[columns] + shrink)
    kept = gram.tocsc()
    for item in range(kept.shape[1]):
        span = slice(kept.indptr[item], kept.indptr[item + 1])
        values = kept.data[span]
        if len(values) > neighbours:
            values[values < np.partition(values, -neighbours)[-neighbours]] = 0
    kept.eliminate_zeros()
    return lambda visitors: np.asarray((seen_as(visitors, kind) @ kept).todense())


def ease(train: sp.csr_matrix, kind: str, ridge: float) -> Scores:
    """EASE (https://arxiv.org/abs/1905.03375), exact, through the smaller users-by-users system.

    The scores of items already rated would need the zero diagonal; they are never listed.
    """
    x = seen_as(train, kind)
    small = np.linalg.inv((x @ x.T).toarray() + ridge * np.eye(x.shape[0]))
    solved = np.asarray((x.T @ small).T, dtype="float32")  # (users, items)
    diagonal = 1 - np.asarray(x.multiply(solved).sum(axis=0)).ravel()
    solved /= diagonal
    return lambda visitors: (seen_as(visitors, kind) @ x.T).toarray() @ solved


def als(
    train: sp.csr_matrix, kind: str, factors: int, regularization: float, alpha: float, seed: int = 0
) -> Scores:
    """`implicit`'s alternating least squares; a visitor's vector is solved from their ratings."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(
        factors=factors,
        regularization=regularization,
        alpha=alpha,
        iterations=15,
        random_state=seed,
        num_threads=2,
    )
    model.fit(seen_as(train, kind), show_progress=False)

    def scores(visitors: sp.csr_matrix) -> np.ndarray:
        users = model.recalculate_user(np.arange(visitors.shape[0]), seen_as(visitors, kind))
        return np.asarray(users) @ np.asarray(model.item_factors).T

    return scores


def bpr(
    train: sp.csr_matrix, kind: str, factors: int, learning_rate: float, regularization: float, seed: int = 0
) -> Scores:
    """`implicit`'s Bayesian personalized ranking. It cannot fold a visitor in: rows are the training users."""
    from implicit.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=factors, learning_rate=learning_rate, regularization=regularization, iterations=150,
        random_state=seed, num_threads=2,
    )  # fmt: skip
    model.fit(seen_as(train, kind), show_progress=False)

    def scores(visitors: sp.csr_matrix) -> np.ndarray:
        if visitors.shape[0] != train.shape[0]:
            raise ValueError(
                f"BPR answers its {train.shape[0]} training users, received {visitors.shape[0]} visitors"
            )
        return np.asarray(model.user_factors) @ np.asarray(model.item_factors).T

    return scores


RANKING: dict[str, tuple[Callable[..., Scores], dict[str, list[Any]]]] = {
    "popularity": (popularity, {"kind": ["all", "liked", "graded"]}),
    "item-kNN": (item_knn, {"kind": ["all", "liked"], "neighbours": [50, 200], "shrink": [0.0, 20.0]}),
    "EASE": (ease, {"kind": ["all", "liked", "graded"], "ridge": [50.0, 100.0, 200.0, 400.0, 800.0]}),
    "implicit ALS": (
        als,
        {"kind": ["all", "liked"], "factors": [16, 48], "regularization": [1.0, 10.0, 50.0], "alpha": [1.0]},
    ),
    "implicit BPR": (
        bpr,
        {"kind": ["all", "liked"], "factors": [32], "learning_rate": [0.01, 0.05], "regularization": [0.01, 0.1]},
    ),
}  # fmt: skip
"""Name -> (function, grid)."""

STARS: dict[str, dict[str, list[Any]]] = {
    "Surprise SVD": {
        "n_factors": [20, 100],
        "n_epochs": [20, 40],
        "lr_all": [0.005, 0.01],
        "reg_all": [0.05, 0.1],
    },
    "Surprise SVD++": {"n_factors": [20], "n_epochs": [20], "lr_all": [0.007], "reg_all": [0.05, 0.1]},
}


def settings(grid: dict[str, list[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of a grid."""
    names = list(grid)
    for values in itertools.product(*grid.values()):
        yield dict(zip(names, values, strict=True))


def surprise_stars(
    name: str, train: Ratings, asked: Ratings, options: dict[str, Any], seed: int = 0
) -> np.ndarray:
    """Predicted stars of `asked` from `scikit-surprise`, fitted on `train`."""
    import surprise

    kind = {"Surprise SVD": surprise.SVD, "Surprise SVD++": surprise.SVDpp}[name]
    rows: Iterable = zip(train.user.tolist(), train.item.tolist(), train.rating.tolist(), strict=True)
    reader = surprise.Reader(rating_scale=(0.5, 5))
    data = surprise.Dataset(reader)
    built = data.construct_trainset([(u, i, r, None) for u, i, r in rows])
    model = kind(random_state=seed, **options).fit(built)
    return np.array(
        [model.predict(u, i).est for u, i in zip(asked.user.tolist(), asked.item.tolist(), strict=True)]
    )
