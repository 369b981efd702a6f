"""MovieLens by its TensorFlow Datasets name: `tfds:movielens/latest-small-ratings`, `/1m-ratings`, `/25m-ratings`."""

from __future__ import annotations

import numpy as np

from shared.data.ratings import Ratings, make_items, make_ratings
from shared.files.errors import DataError

HINT = (
    "Names are movielens/latest-small-ratings, movielens/100k-ratings, movielens/1m-ratings, movielens/20m-ratings "
    "and movielens/25m-ratings; the first use downloads the data set."
)
NEEDED = ("user_id", "movie_id", "user_rating", "timestamp", "movie_title")


def read_tfds_ratings(name: str, data_dir: str | None = None) -> Ratings:
    """Read a ratings data set of TensorFlow Datasets.

    Args:
        name: Such as `movielens/latest-small-ratings`.
        data_dir: Where prepared data sets lie.

    Raises:
        DataError: There is no such data set, it cannot be downloaded, or it holds no ratings.
    """
    import tensorflow_datasets as tfds

    try:
        data, info = tfds.load(name, split="train", data_dir=data_dir, with_info=True, shuffle_files=False)
    except Exception as error:  # The library raises a dozen kinds, from unknown names to network trouble.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise DataError([f"tfds:{name}: {reason}"], HINT) from error
    missing = [n for n in NEEDED if n not in info.features]
    if missing:
        raise DataError(
            [f"tfds:{name}: has no {', '.join(missing)}; its columns are {', '.join(info.features)}"], HINT
        )
    genre_names = _genre_names(info)
    columns: dict[str, list] = {n: [] for n in NEEDED}
    films: dict[bytes, tuple[str, list[str]]] = {}
    for batch in tfds.as_numpy(data.ragged_batch(4096)):
        for n in NEEDED:
            columns[n].append(batch[n])
        genres = batch.get("movie_genres")
        for row, film in enumerate(batch["movie_id"]):
            if film not in films:
                ids = _values(genres, row) if genres is not None else []
                named = [genre_names[g] if g < len(genre_names) else str(g) for g in ids]
                films[film] = (batch["movie_title"][row].decode("utf-8", "replace"), named)
    whole = {n: np.concatenate(parts) for n, parts in columns.items() if n != "movie_title"}
    codes = {film: i for i, film in enumerate(films)}
    titles, genres = zip(*films.values(), strict=True)
    genres = [[g for g in row if not g.startswith("(")] for row in genres]
    items = make_items([f.decode() for f in films], list(titles), genres)
    users, user = np.unique(whole["user_id"], return_inverse=True)
    item = np.array([codes[f] for f in whole["movie_id"]])
    return make_ratings(
        user,
        item,
        whole["user_rating"],
        whole["timestamp"].astype("float64"),
        [u.decode() for u in users],
        items,
    )


def _genre_names(info) -> list[str]:
    # FeaturesDict is no dict: it has neither get() nor a default.
    feature = info.features["movie_genres"] if "movie_genres" in info.features else None  # noqa: SIM401
    return list(getattr(getattr(feature, "feature", None), "names", None) or [])


def _values(column, row: int) -> list[int]:
    """Row of a ragged column, as NumPy gives it."""
    if hasattr(column, "row_splits"):
        splits = np.asarray(column.row_splits)
        return [int(g) for g in np.asarray(column.values)[splits[row] : splits[row + 1]]]
    return [int(g) for g in np.asarray(column[row]) if g >= 0]
