"""COCO average precision with faster-coco-eval, and precision-recall curves.

Definitions: https://cocodataset.org/#detection-eval. Boxes of the truth that are marked ignored count neither
as found nor as missed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
from collections.abc import Sequence

import numpy as np

from shared.results import Detections

RECALLS = np.linspace(0.0, 1.0, 101)


@dataclasses.dataclass(frozen=True)
class Truth:
    """Annotated objects of one picture: `boxes` `(n, 4)` xyxy, `class_ids` `(n,)`, `ignored` `(n,)` bool."""

    boxes: np.ndarray
    class_ids: np.ndarray
    ignored: np.ndarray
    size_px: tuple[int, int]


@dataclasses.dataclass(frozen=True)
class AveragePrecision:
    """Scores over a set of pictures.

    Attributes:
        map: Mean average precision over IoU 0.50 to 0.95 and all classes, in [0, 1].
        map50: At IoU 0.50.
        map75: At IoU 0.75.
        recall: Mean average recall with at most `max_detections` boxes a picture.
        by_class: Class name -> `{"map", "map50", "map75", "objects"}`; NaN where the class does not occur.
        curves: Class name -> precision at the 101 values of `RECALLS`, at IoU 0.50.
    """

    map: float
    map50: float
    map75: float
    recall: float
    by_class: dict[str, dict[str, float]]
    curves: dict[str, np.ndarray]


def coco_truth(truths: Sequence[Truth], class_names: Sequence[str]) -> dict:
    """Annotations as a COCO data set; picture ids count from 1."""
    annotations = []
    for image_id, truth in enumerate(truths, 1):
        for box, class_id, ignored in zip(truth.boxes, truth.class_ids, truth.ignored, strict=True):
            x0, y0, x1, y1 = map(float, box)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": int(class_id) + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "area": (x1 - x0) * (y1 - y0),
                    "iscrowd": int(ignored),
                }
            )
    return {
        "info": {},
        "images": [
            {"id": i, "height": int(t.size_px[0]), "width": int(t.size_px[1])}
            for i, t in enumerate(truths, 1)
        ],
        "annotations": annotations,
        "categories": [{"id": i, "name": name} for i, name in enumerate(class_names, 1)],
    }


def coco_results(detections: Sequence[Detections]) -> list[dict]:
    """Detections as a COCO results list, picture ids from 1."""
    return [
        {
            "image_id": image_id,
            "category_id": int(class_id) + 1,
            "bbox": [float(b[0]), float(b[1]), float(b[2] - b[0]), float(b[3] - b[1])],
            "score": float(score),
        }
        for image_id, found in enumerate(detections, 1)
        for b, class_id, score in zip(found.boxes, found.class_ids, found.scores, strict=True)
    ]


def average_precision(
    truths: Sequence[Truth],
    detections: Sequence[Detections],
    class_names: Sequence[str],
    max_detections: int = 100,
) -> AveragePrecision:
    """Score detections against annotations.

    Args:
        truths: One a picture.
        detections: One a picture, same order; low scores included, no threshold applied.
        class_names: All classes.
        max_detections: Boxes a picture that count at most, best first (COCO's 100).

    Returns:
        The scores; 0 where nothing was detected.

    Raises:
        ValueError: Other number of pictures in the two, or no annotated object at all.
    """
    from faster_coco_eval import COCO, COCOeval_faster

    if len(truths) != len(detections):
        raise ValueError(
            f"truths and detections must be as many, received {len(truths)} and {len(detections)}"
        )
    if not any((~t.ignored).any() for t in truths):
        raise ValueError("truths must hold at least one object that is not ignored, received none")
    counts = np.zeros(len(class_names), int)
    for truth in truths:
        counts += np.bincount(truth.class_ids[~truth.ignored], minlength=len(class_names))
    results = coco_results(detections)
    if not results:
        by_class = {
            name: {"map": 0.0 if n else np.nan, "map50": 0.0 if n else np.nan, "map75": 0.0 if n else np.nan}
            | {"objects": int(n)}
            for name, n in zip(class_names, counts, strict=True)
        }
        return AveragePrecision(0.0, 0.0, 0.0, 0.0, by_class, {n: np.zeros(101) for n in class_names})
    with contextlib.redirect_stdout(io.StringIO()):
        truth_api = COCO(coco_truth(truths, class_names))
        evaluator = COCOeval_faster(
            truth_api, truth_api.loadRes(results), "bbox", print_function=lambda *_: None
        )
        evaluator.params.maxDets = [1, 10, max_detections]
        evaluator.evaluate()
        evaluator.accumulate()
    # (IoU thresholds, recalls, classes, areas, max detections); -1 where a class does not occur.
    precision = np.asarray(evaluator.eval["precision"])[:, :, :, 0, -1]
    recall = np.asarray(evaluator.eval["recall"])[:, :, 0, -1]

    def mean(values: np.ndarray) -> float:
        values = values[values > -1]
        return float(values.mean()) if values.size else float("nan")

    return AveragePrecision(
        mean(precision),
        mean(precision[0]),
        mean(precision[5]),
        mean(recall),
        {
            name: {
                "map": mean(precision[:, :, i]),
                "map50": mean(precision[0, :, i]),
                "map75": mean(precision[5, :, i]),
                "objects": int(counts[i]),
            }
            for i, name in enumerate(class_names)
        },
        {name: np.maximum(precision[0, :, i], 0.0) for i, name in enumerate(class_names)},
    )
