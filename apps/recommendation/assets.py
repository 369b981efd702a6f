"""What training leaves beside the graph: the catalogue with popularity, taste vectors and the 2-D map."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from apps.recommendation.catalogue import Catalogue, natural_title, save, unit
from apps.recommendation.config import RecommendationConfig
from apps.recommendation.data import RatingSplits
from apps.recommendation.features import genre_matrix
from apps.recommendation.linear import liking_matrix, low_rank_ease

MAP_RATINGS = 5
"""Films rated less often have no reliable place on the map."""
VECTOR_DIM = 16
LICENCE = """Film ids, titles and genres, and everything computed from ratings (popularity, vectors, map), derive from
MovieLens latest-small, (c) GroupLens, University of Minnesota: research and other non-commercial use, redistribution
under these same conditions; no endorsement is implied. Cite F. Maxwell Harper and Joseph A. Konstan (2015), The
MovieLens Datasets: History and Context, ACM TiiS 5(4):19, https://doi.org/10.1145/2827872. Provided as is.
For a model trained on your own table, the conditions of your data apply instead.
"""


def save_catalogue(folder: Path, config: RecommendationConfig, splits: RatingSplits) -> None:
    """Write the catalogue and its licence.

    Args:
        folder: The variant's folder.
        config: Options.
        splits: What the model was fitted on.
    """
    ratings = splits.ratings
    n = len(ratings.items)
    counts = np.bincount(ratings.item, minlength=n)
    mean = ratings.rating.mean()
    sums = np.bincount(ratings.item, ratings.rating, minlength=n)
    vectors, places = taste_vectors(splits), np.full((n, 2), np.nan)
    mapped = np.flatnonzero(counts >= MAP_RATINGS)
    if not config.predicts_stars and len(mapped) >= 50:
        places[mapped] = taste_map(vectors[mapped], config.seed)
    short = vectors[:, :VECTOR_DIM]
    catalogue = Catalogue(
        ratings.items.ids,
        [natural_title(t) for t in ratings.items.titles],
        ratings.items.genres,
        ratings.items.years,
        counts,
        splits.popularity,
        (sums + 5 * mean) / (counts + 5),
        splits.trend.at(),
        unit(np.concatenate([unit(short), 0.7 * genre_matrix(ratings.items)], axis=1)),
        places,
    )
    save(folder, catalogue)
    (folder / "DATA_LICENCE.txt").write_text(LICENCE, encoding="utf-8")


def taste_vectors(splits: RatingSplits, dim: int = 48) -> np.ndarray:
    """`(items, dim)`: films liked by the same people lie in the same direction. Columns by importance."""
    factors, _ = low_rank_ease(liking_matrix(splits.ratings), dim, 20.0)
    # The first direction is mere popularity.
    return factors[:, 1:]


def taste_map(vectors: np.ndarray, seed: int) -> np.ndarray:
    """`(items, 2)` in [-1, 1]: neighbours in taste lie together (t-SNE, https://jmlr.org/papers/v9/vandermaaten08a.html)."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(vectors) - 1) / 4)
    places = TSNE(
        init="pca", metric="cosine", perplexity=perplexity, max_iter=500, random_state=seed
    ).fit_transform(unit(vectors))
    places -= (places.max(axis=0) + places.min(axis=0)) / 2
    return places / np.abs(places).max()
