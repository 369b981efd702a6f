"""What the demo does with a picture, without Gradio: find candidates once, then select, count and write files."""

from __future__ import annotations

import collections
import csv
import dataclasses
import hashlib
import io
import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.object_detection.preprocessing import Candidates
from apps.object_detection.presets import PRESET_PREFIX, load_preset
from shared.files.errors import InputError
from shared.files.images import read_image
from shared.results import Detections
from shared.runtime.predictor import ModelStore

MAX_PHOTOS = 50
REMEMBERED = 32
"""Pictures whose candidates are kept for the sliders; a candidate is 28 bytes, so this is well under 1 MB."""
COCO_ID_START = 1


@dataclasses.dataclass(frozen=True)
class Found:
    """Candidates of one picture under one model.

    Attributes:
        candidates: Every proposal.
        class_names: All classes of the model.
        network_ms: Time of preprocessing, network and decoding.
        score_threshold: Where the model's confidence slider starts.
        iou_threshold: Where its overlap slider starts.
    """

    candidates: Candidates
    class_names: list[str]
    network_ms: float
    score_threshold: float
    iou_threshold: float

    def select(
        self, score_threshold: float | None, iou_threshold: float | None, classes: Sequence[str] | None
    ) -> Detections:
        """Thresholds (the model's own where None), suppression and class filter; the network does not run."""
        return self.candidates.select(
            self.class_names,
            self.score_threshold if score_threshold is None else score_threshold,
            self.iou_threshold if iou_threshold is None else iou_threshold,
            classes,
        )


class Detector:
    """Finds the candidates of pictures and remembers those of the last few, by content and model.

    Args:
        models: The app's variants.
    """

    def __init__(self, models: ModelStore):
        self._models = models
        self._lock = threading.Lock()
        self._remembered: collections.OrderedDict[tuple[str, str], Found] = collections.OrderedDict()
        self.runs = 0
        """How often a network ran: the sliders must not raise it."""

    def class_names(self, model: str) -> list[str]:
        """All classes of a variant, without loading its network."""
        return list(self._models.variants[model].settings["class_names"])

    def find(self, source: str | Path, model: str) -> tuple[np.ndarray, Found]:
        """Read a picture and give it with its candidates.

        Args:
            source: Path of the picture.
            model: Name of a variant, or `preset:` and the name of a Keras-Hub detector.

        Raises:
            InputError: The picture cannot be read, or the preset cannot be had.
        """
        image = read_image(source)
        # The pixels, not the file: one photo saved twice is one photo.
        key = hashlib.blake2b(image.tobytes() + str(image.shape).encode(), digest_size=16).hexdigest(), model
        with self._lock:
            if key in self._remembered:
                self._remembered.move_to_end(key)
                return image, self._remembered[key]
        found = self._run(image, model)
        with self._lock:
            self.runs += 1
            self._remembered[key] = found
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return image, found

    def _run(self, image: np.ndarray, model: str) -> Found:
        if model.startswith(PRESET_PREFIX):
            preset = load_preset(model.removeprefix(PRESET_PREFIX))
            begun = time.perf_counter()
            candidates = preset.candidates(image)
            elapsed = (time.perf_counter() - begun) * 1e3
            return Found(candidates, preset.class_names, elapsed, 0.4, 0.6)
        loaded = self._models[model]
        begun = time.perf_counter()
        candidates = loaded.processor.candidates(loaded.graphs, [image])[0]
        elapsed = (time.perf_counter() - begun) * 1e3
        settings = loaded.processor.settings
        return Found(
            candidates,
            loaded.processor.class_names,
            elapsed,
            settings["score_threshold"],
            settings["iou_threshold"],
        )


def coco_json(results: Sequence[tuple[str, Detections]]) -> str:
    """Detections as a COCO data set: images, annotations with `score`, categories.

    Args:
        results: File name and detections of each picture; all of one model.
    """
    images, annotations = [], []
    for image_id, (name, found) in enumerate(results, COCO_ID_START):
        height, width = found.image_size_px
        images.append({"id": image_id, "file_name": name, "width": int(width), "height": int(height)})
        for box, class_id, score in zip(found.boxes, found.class_ids, found.scores, strict=True):
            x0, y0, x1, y1 = (float(v) for v in box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(class_id) + COCO_ID_START,
                    "bbox": [round(v, 1) for v in (x0, y0, x1 - x0, y1 - y0)],
                    "area": round((x1 - x0) * (y1 - y0), 1),
                    "iscrowd": 0,
                    "score": round(float(score), 4),
                }
            )
    names = results[0][1].class_names if results else []
    categories = [{"id": i, "name": name} for i, name in enumerate(names, COCO_ID_START)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    return json.dumps(content, ensure_ascii=False, indent=1)


def boxes_csv(results: Sequence[tuple[str, Detections]]) -> str:
    """One line an object: file, class, score, and the box's corners in pixels."""
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerow(["file", "label", "score", "x_min", "y_min", "x_max", "y_max"])
    for name, found in results:
        for box, class_id, score in zip(found.boxes, found.class_ids, found.scores, strict=True):
            corners = [f"{float(v):.1f}" for v in box]
            writer.writerow([_safe(name), found.class_names[int(class_id)], f"{float(score):.4f}", *corners])
    return stream.getvalue()


def counts_csv(rows: Sequence[dict[str, Any]]) -> str:
    """The table of several pictures, as shown."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]))
    writer.writeheader()
    writer.writerows([row | {"file": _safe(str(row["file"]))} for row in rows])
    return stream.getvalue()


def _safe(text: str) -> str:
    """A file name may not become a formula in a spreadsheet."""
    return "'" + text if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def rows_of(
    detector: Detector,
    paths: Sequence[str],
    model: str,
    score_threshold: float | None,
    iou_threshold: float | None,
    classes: Sequence[str] | None,
    language: str = "en",
) -> tuple[list[dict[str, Any]], list[tuple[str, Detections]]]:
    """Count in several pictures; one that cannot be read gets the reason in `remark` and no counts.

    Returns:
        A row a picture (`file`, one column a class, `total`, `remark`), and the detections of the readable.
    """
    rows, results = [], []
    for path in paths:
        name = Path(path).name
        try:
            _, found = detector.find(path, model)
        except InputError as error:
            blank = dict.fromkeys(detector.class_names(model))
            rows.append({"file": name} | blank | {"total": None, "remark": error.message(language)})
            continue
        detections = found.select(score_threshold, iou_threshold, classes)
        results.append((name, detections))
        rows.append({"file": name} | detections.counts() | {"total": len(detections), "remark": ""})
    return rows, results
