"""Ratings tables that do not fit in memory: read in chunks, fed to `fit` as a tf.data.Dataset."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from shared.data.ratings import HINT, ITEM, RATING, USER, find_column
from shared.files.errors import DataError

if TYPE_CHECKING:
    import tensorflow as tf


def rating_chunks(
    path: str | Path, rows: int = 500_000
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """User ids, item ids and ratings of a CSV, a chunk at a time; memory is that of one chunk.

    Args:
        path: A ratings CSV whose user and item ids are whole numbers.
        rows: Rows a chunk.

    Yields:
        `user` int64, `item` int64, `rating` float32, `(rows,)` each.

    Raises:
        DataError: A column is missing, or an id or rating is no number (with its line).
    """
    path = Path(path)
    try:
        header = list(pd.read_csv(path, nrows=0).columns)
    except (OSError, ValueError) as error:
        raise DataError([f"{path}: cannot be read ({error})"], HINT) from error
    names = [find_column(header, wanted) for wanted in (USER, ITEM, RATING)]
    if None in names:
        raise DataError(
            [f"{path}: needs the columns user, item, rating; it has {', '.join(map(str, header))}"], HINT
        )
    line = 2
    for chunk in pd.read_csv(path, usecols=names, chunksize=rows, dtype=str, keep_default_na=False):
        columns = [pd.to_numeric(chunk[n], errors="coerce").to_numpy("float64") for n in names]
        wrong = np.flatnonzero(~np.isfinite(np.stack(columns)).all(axis=0))
        if len(wrong):
            problems = [
                f"{path}:{line + i}: needs three numbers, received {','.join(chunk.iloc[i])}"
                for i in wrong[:50]
            ]
            raise DataError(problems, HINT)
        yield columns[0].astype("int64"), columns[1].astype("int64"), columns[2].astype("float32")
        line += len(chunk)


def stream_ratings(
    path: str | Path, batch_size: int, *, chunk_rows: int = 500_000, repeat: bool = False, seed: int = 0
) -> tf.data.Dataset:
    """`((user, item), rating)` batches straight from the file, shuffled inside each chunk.

    Ids are the file's own numbers: give them to hashed or id-sized embeddings. Order the file by time or at random,
    not by user, if whole chunks should look alike.

    Args:
        path: The CSV.
        batch_size: Rows a batch; the rest of a chunk is a smaller batch.
        chunk_rows: Rows in memory at a time (two chunks at most).
        repeat: Begin again at the end.
        seed: Of the shuffling.
    """
    import tensorflow as tf

    def batches():
        rng = np.random.default_rng(seed)
        for user, item, rating in rating_chunks(path, chunk_rows):
            order = rng.permutation(len(user))
            for start in range(0, len(order), batch_size):
                rows = order[start : start + batch_size]
                yield (user[rows], item[rows]), rating[rows]

    spec = tf.TensorSpec((None,), tf.int64)
    data = tf.data.Dataset.from_generator(
        batches, output_signature=((spec, spec), tf.TensorSpec((None,), tf.float32))
    )
    return (data.repeat() if repeat else data).prefetch(4)
