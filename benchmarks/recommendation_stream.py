"""Training from a ratings table that need not fit in memory: `python -m benchmarks.recommendation_stream`.

Writes a synthetic CSV of the size of MovieLens 25m, trains an embedding model straight from the file and reports rows
a second and the process's memory along the way.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import record, resident_mb

NAME = "recommendation_stream"
USERS_25M, ITEMS_25M, ROWS_25M = 162_541, 59_047, 25_000_095
"""Of MovieLens 25m."""


def write_ratings(path: Path, rows: int, seed: int = 0) -> None:
    """A ratings CSV with the users and items of MovieLens 25m, popular items more often, in random order."""
    rng = np.random.default_rng(seed)
    taste, kind = rng.normal(size=(USERS_25M, 4)), rng.normal(size=(ITEMS_25M, 4))
    with path.open("w", encoding="ascii") as stream:
        stream.write("userId,movieId,rating,timestamp\n")
        for start in range(0, rows, 1_000_000):
            n = min(1_000_000, rows - start)
            user = rng.integers(0, USERS_25M, n)
            item = (ITEMS_25M * rng.random(n) ** 3).astype("int64")
            stars = np.clip(
                np.round(2 * (3.5 + 0.5 * (taste[user] * kind[item]).sum(axis=1) / 2)) / 2, 0.5, 5
            )
            lines = np.char.add(np.char.add(user.astype("U7"), ","), np.char.add(item.astype("U6"), ","))
            lines = np.char.add(np.char.add(lines, stars.astype("U3")), ",1500000000")
            stream.write("\n".join(lines.tolist()) + "\n")


def stream_rows(rows: int, batch: int = 8192) -> list[dict[str, Any]]:
    """Train biases and vectors from a file that is read in chunks; memory after each tenth."""
    import keras
    from keras import ops

    from shared.data.rating_stream import stream_ratings

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ratings.csv"
        write_ratings(path, rows)
        size = path.stat().st_size
        user, item = (keras.Input((), dtype="int64", name=n) for n in ("user", "item"))

        def embedded(x, n, dim):
            return keras.layers.Embedding(
                n, dim, embeddings_initializer=keras.initializers.RandomNormal(stddev=0.05)
            )(x)

        dot = ops.sum(embedded(user, USERS_25M, 16) * embedded(item, ITEMS_25M, 16), axis=-1)
        out = dot + embedded(user, USERS_25M, 1)[..., 0] + embedded(item, ITEMS_25M, 1)[..., 0] + 3.5
        model = keras.Model([user, item], out)
        model.compile(keras.optimizers.SGD(50.0), loss="mse")
        result: list[dict[str, Any]] = []
        seen, since, losses = 0, time.monotonic(), []
        begun = since
        for x, y in stream_ratings(path, batch):
            losses.append(float(model.train_on_batch(x, y)))
            seen += len(y)
            if seen * 10 // rows > len(result):
                now = time.monotonic()
                result.append({"rows": seen, "rows a second": seen / (now - begun), "memory MB": resident_mb(),
                               "mse": float(np.mean(losses[-50:]))})  # fmt: skip
                print(result[-1], flush=True)
        print(f"{rows:,} rows, file of {size / 1e6:.0f} MB", flush=True)
    return result


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS_25M)
    options = parser.parse_args(argv)
    rows = stream_rows(options.rows)
    title = f"Training from a file of {options.rows:,} synthetic ratings, read in chunks"
    shown = [] if options.rows == ROWS_25M else ["--rows", str(options.rows)]
    notes = "One pass, batch 8,192, plain SGD; memory is the whole process's, TensorFlow included."
    record(NAME, title, rows, shown, seed=0, notes=notes)


if __name__ == "__main__":
    main()
