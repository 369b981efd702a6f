"""Requests that arrive together share one pass through a graph, and each keeps its own errors.

Gradio's `batch=True` fails every request of a batch when one of them is bad. Here each request is read and
checked in its own thread; only the arrays, already good, are put together.
"""

from __future__ import annotations

import queue
import threading
from concurrent.futures import Future

import numpy as np

from shared.runtime.predictor import Arrays, Graph


class BatchedGraph:
    """A graph that several threads call at once; behaves as the graph it wraps.

    A lone request runs at once. While a batch runs, others gather and go together next: no request waits for
    a timer.

    Args:
        graph: Takes named arrays with the batch axis first.
        max_batch: Largest number of examples in one pass.
    """

    def __init__(self, graph: Graph, max_batch: int = 16):
        if max_batch < 1:
            raise ValueError(f"max_batch must be 1 or more, received {max_batch}")
        self.graph = graph
        self.max_batch = max_batch
        self.input_names = graph.input_names
        self.output_names = graph.output_names
        self.largest_batch = 0
        self._waiting: queue.SimpleQueue[tuple[Arrays, Future]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def __call__(self, inputs: Arrays) -> dict[str, np.ndarray]:
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="batching", daemon=True)
                    self._thread.start()
        future: Future = Future()
        self._waiting.put((inputs, future))
        return future.result()

    def _work(self) -> None:
        held: tuple[Arrays, Future] | None = None
        while True:
            first = held or self._waiting.get()
            held = None
            batch, count, shape = [first], self._count(first), self._shape(first)
            while count < self.max_batch:
                try:
                    following = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if self._shape(following) != shape or count + self._count(following) > self.max_batch:
                    held = following  # It opens the next batch.
                    break
                batch.append(following)
                count += self._count(following)
            self.largest_batch = max(self.largest_batch, count)
            self._run(batch)

    def _run(self, batch: list[tuple[Arrays, Future]]) -> None:
        try:
            if len(batch) == 1:
                batch[0][1].set_result(self.graph(batch[0][0]))
                return
            joined = {
                name: np.concatenate([inputs[name] for inputs, _ in batch]) for name in self.input_names
            }
            outputs = self.graph(joined)
        except Exception as error:
            for _, future in batch:
                future.set_exception(error)
            return
        start = 0
        for request in batch:
            end = start + self._count(request)
            request[1].set_result({name: value[start:end] for name, value in outputs.items()})
            start = end

    def _count(self, request: tuple[Arrays, Future]) -> int:
        return len(request[0][self.input_names[0]])

    def _shape(self, request: tuple[Arrays, Future]) -> tuple:
        return tuple((request[0][name].shape[1:], request[0][name].dtype) for name in self.input_names)
