"""What the demo does with a photo, without Gradio: predict, explain, and many photos to rows."""

from __future__ import annotations

import csv
import dataclasses
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.image_classification.overlay import fit_screen, overlay
from apps.image_classification.preprocessing import activation_map
from shared.files.errors import InputError
from shared.files.images import read_image
from shared.results import Classification
from shared.runtime.batching import BatchedGraph
from shared.runtime.predictor import ModelStore, Predictor

MAX_PHOTOS = 100


@dataclasses.dataclass(frozen=True)
class Answer:
    """One photo's result with what the page shows around it.

    Attributes:
        result: The classes.
        image: uint8 `(h, w, 3)`, shrunk to the screen.
        read_ms: Decoding and resizing.
        network_ms: The network, waiting for others in a busy moment included.
    """

    result: Classification
    image: np.ndarray
    read_ms: float
    network_ms: float


def predictor(models: ModelStore, name: str) -> Predictor:
    """A variant's predictor, its graph shared by all visitors' threads."""
    loaded = models[name]
    graph = loaded.graphs["model"]
    if not isinstance(graph, BatchedGraph):
        # A second thread that wraps it too at this moment only makes one more worker.
        loaded.graphs["model"] = BatchedGraph(graph)
    return loaded


def answer(model: Predictor, source: Any, *, top_k: int = 5, threshold: float = 0.0) -> Answer:
    """Classify one photo.

    Raises:
        InputError: The photo cannot be read.
    """
    begun = time.perf_counter()
    image = read_image(source)
    arrays = model.processor.preprocess(image)
    ready = time.perf_counter()
    outputs = model.graphs["model"]({name: value[None] for name, value in arrays.items()})
    done = time.perf_counter()
    one = {name: value[0] for name, value in outputs.items()}
    result = model.processor.postprocess(one, image, top_k=top_k, threshold=threshold)
    return Answer(result, fit_screen(image), (ready - begun) * 1e3, (done - ready) * 1e3)


def explanation(model: Predictor, answered: Answer, index: int) -> np.ndarray:
    """The photo with the activation map of a class over it, uint8 `(h, w, 3)`."""
    maps = answered.result.extras["class_maps"]
    heat = activation_map(maps, index, answered.image.shape, model.processor.settings)
    return overlay(answered.image, heat)


def taken_for(
    settings: Mapping[str, Any], index: int, count: int = 3
) -> tuple[int, int, list[tuple[str, int]]]:
    """How far an answer can be trusted, from the confusion matrix on validation.

    Args:
        settings: With `confusion`, rows true, columns predicted.
        index: The predicted class.
        count: At most so many other classes.

    Returns:
        How often it was right, how often it was said, and what the others really were, most frequent first.
    """
    column = np.array(settings["confusion"])[:, index]
    others = [(settings["class_names"][i], int(column[i])) for i in np.argsort(-column, kind="stable")]
    others = [(name, times) for name, times in others if times and name != settings["class_names"][index]]
    return int(column[index]), int(column.sum()), others[:count]


def rows_of(
    model: Predictor, paths: Sequence[str], *, threshold: float, language: str = "en"
) -> list[dict[str, Any]]:
    """One row a photo; a file that cannot be read gets the reason in `remark` and no class."""
    rows = []
    for path in paths:
        row: dict[str, Any] = {
            "file": Path(path).name,
            "label": "",
            "probability": None,
            "second": "",
            "second_probability": None,
            "remark": "",
        }
        try:
            result = answer(model, path, top_k=2).result
        except InputError as error:
            rows.append(row | {"remark": error.message(language)})
            continue
        sure = result.probabilities[0] >= threshold
        row |= {"label": result.labels[0], "probability": round(float(result.probabilities[0]), 4)}
        if len(result.labels) > 1:
            row |= {
                "second": result.labels[1],
                "second_probability": round(float(result.probabilities[1]), 4),
            }
        rows.append(row | {"remark": "" if sure else f"< {threshold:.0%}"})
    return rows


def to_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV that a spreadsheet opens as text: cells that begin like a formula are quoted with '."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]))
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                k: f"'{v}" if isinstance(v, str) and v[:1] in ("=", "+", "-", "@") else v
                for k, v in row.items()
            }
        )
    return stream.getvalue()
