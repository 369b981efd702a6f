"""Requests that share a batch: each gets its own rows, and its own errors."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from shared.runtime.batching import BatchedGraph


class Slow:
    input_names = ["x"]
    output_names = ["y"]

    def __init__(self):
        self.batches = []

    def __call__(self, inputs):
        self.batches.append(len(inputs["x"]))
        time.sleep(0.01)
        if np.isnan(inputs["x"]).any():
            raise ValueError("NaN")
        return {"y": inputs["x"] * 2}


def test_answers_go_to_their_askers_in_few_passes():
    graph = Slow()
    batched = BatchedGraph(graph, max_batch=8)
    ready = threading.Barrier(16)

    def ask(number):
        ready.wait()
        return [batched({"x": np.full((1, 3), number + k, np.float32)})["y"][0, 0] for k in range(5)]

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(ask, range(16)))
    assert answers == [[2 * (n + k) for k in range(5)] for n in range(16)]
    assert max(graph.batches) <= 8
    assert batched.largest_batch > 1
    assert len(graph.batches) < 80
    assert sum(graph.batches) == 80


def test_other_shapes_do_not_mix():
    batched = BatchedGraph(Slow())
    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(lambda n: batched({"x": np.zeros((1, n), np.float32)})["y"].shape, range(1, 9)))
    assert sizes == [(1, n) for n in range(1, 9)]


def test_an_error_reaches_the_asker_and_the_next_request_works():
    batched = BatchedGraph(Slow())
    with pytest.raises(ValueError, match="NaN"):
        batched({"x": np.full((1, 2), np.nan, np.float32)})
    assert batched({"x": np.ones((1, 2), np.float32)})["y"].tolist() == [[2, 2]]
    with pytest.raises(ValueError, match="max_batch"):
        BatchedGraph(Slow(), max_batch=0)
