"""Retrieval over a growing catalogue: exact search against an HNSW graph.

`python -m benchmarks.retrieval`: item vectors are synthetic (clustered, 64 dimensions, unit length), as the
two-tower model makes them; a visitor's 10 best by cosine. Exact is one matrix product and a partition in NumPy.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.common import median_ms, record, resident_mb

NAME = "retrieval"
SIZES = (10_000, 100_000, 1_000_000)
DIM = 64
K = 10


def vectors(n: int, seed: int = 0, clusters: int = 2000) -> np.ndarray:
    """`(n, 64)` float32 unit vectors around cluster centres, as items of a genre are."""
    centres = np.random.default_rng(42).normal(size=(clusters, DIM)).astype("float32")
    rng = np.random.default_rng(seed)
    values = centres[rng.integers(0, clusters, n)] + 0.6 * rng.standard_normal((n, DIM), dtype="float32")
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def exact(items: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Indices of the `K` largest inner products, best first."""
    scores = items @ query
    best = np.argpartition(-scores, K)[:K]
    return best[np.argsort(-scores[best])]


def retrieval_rows(sizes: Sequence[int], queries: int = 100) -> list[dict[str, Any]]:
    """Latency, recall against exact, memory and build time by size."""
    import hnswlib

    rows = []
    asked = vectors(queries, seed=1)
    for n in sizes:
        before = resident_mb()
        items = vectors(n)
        wanted = [set(exact(items, q).tolist()) for q in asked]
        turn = iter(range(10**9))
        latency = median_ms(lambda items=items, turn=turn: exact(items, asked[next(turn) % queries]))
        rows.append({"items": n, "search": "exact (NumPy)", "ms a query": latency, "recall@10": 1.0,
                     "build s": 0.0, "index MB": items.nbytes / 1e6})  # fmt: skip
        print(rows[-1], flush=True)
        filled = resident_mb()
        index = hnswlib.Index(space="ip", dim=DIM)
        begun = time.perf_counter()
        index.init_index(max_elements=n, ef_construction=100, M=16, random_seed=0)
        index.add_items(items, num_threads=2)
        built = time.perf_counter() - begun
        size = resident_mb() - filled
        for ef in (32, 128):
            index.set_ef(ef)
            found = [set(index.knn_query(q, k=K, num_threads=1)[0][0].tolist()) for q in asked]
            recall = float(np.mean([len(a & b) / K for a, b in zip(found, wanted, strict=True)]))
            turn = iter(range(10**9))
            latency = median_ms(
                lambda index=index, turn=turn: index.knn_query(
                    asked[next(turn) % queries], k=K, num_threads=1
                )
            )
            rows.append({"items": n, "search": f"HNSW, ef {ef}", "ms a query": latency, "recall@10": recall,
                         "build s": built, "index MB": size})  # fmt: skip
            print(rows[-1], flush=True)
        del index, items
        print(f"{n:,} items: memory {before:.0f} -> {resident_mb():.0f} MB", flush=True)
    return rows


def main(argv: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    options = parser.parse_args(argv)
    rows = retrieval_rows(options.sizes)
    notes = (
        "Synthetic clustered vectors; HNSW M 16, ef_construction 100, two threads to build, one to search."
    )
    record(
        NAME,
        "Ten best of a growing catalogue, 64 dimensions",
        rows,
        seed=0,
        packages=["hnswlib"],
        notes=notes,
    )


if __name__ == "__main__":
    main()
