"""Picture -> network input, and the network's output -> boxes: the one copy that trains, measures and serves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared.backbones.normalization import normalize_efficientnet_lite0
from shared.data.images import Placement, letterbox
from shared.data.pyramid import pyramid_points
from shared.files.images import read_image
from shared.results import Detections
from shared.runtime import predictor

FILL = 127
"""Grey of the border around a picture: zero after normalization."""
CANDIDATE_SCORE = 0.01
"""Boxes below this score are never kept, whatever the visitor asks for."""
MAX_CANDIDATES = 1000
MAX_DETECTIONS = 300


def load_input(source: Any, image_size_px: tuple[int, int]) -> tuple[np.ndarray, Placement]:
    """Read a picture and fit it into the network's input.

    Args:
        source: Whatever `shared.files.images.read_image` takes.
        image_size_px: `(height, width)` of the input.

    Returns:
        uint8 `(height, width, 3)`, and where the picture lies in it.
    """
    return letterbox(read_image(source), image_size_px, fill=FILL, center=False)


def box_iou(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of `(m, 4)` and `(n, 4)` boxes `xyxy`: `(m, n)` in [0, 1]."""
    top_left = np.maximum(boxes[:, None, :2], others[None, :, :2])
    bottom_right = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    overlap = np.prod(np.maximum(bottom_right - top_left, 0), axis=-1)
    area = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=-1)
    other = np.prod(np.maximum(others[:, 2:] - others[:, :2], 0), axis=-1)
    union = area[:, None] + other[None] - overlap
    return overlap / np.maximum(union, 1e-9)


def non_maximum_suppression(
    boxes: np.ndarray, scores: np.ndarray, class_ids: np.ndarray, iou_threshold: float
) -> np.ndarray:
    """Greedy suppression within each class: keep the best box, drop those that overlap it, go on.

    Args:
        boxes: `(n, 4)` xyxy.
        scores: `(n,)`.
        class_ids: `(n,)` int.
        iou_threshold: A box goes when it overlaps a better one of its class by more than this, in [0, 1].

    Returns:
        Indices of the boxes kept, best score first.
    """
    if not 0 <= iou_threshold <= 1:
        raise ValueError(f"iou_threshold must be in [0, 1], received {iou_threshold}")
    order = np.argsort(-scores, kind="stable")
    same_class = class_ids[order][:, None] == class_ids[order][None]
    overlaps = (box_iou(boxes[order], boxes[order]) > iou_threshold) & same_class
    alive = np.ones(len(order), bool)
    for i in range(len(order)):
        if alive[i]:
            alive[i + 1 :] &= ~overlaps[i, i + 1 :]
    return order[alive]


@dataclasses.dataclass(frozen=True)
class Candidates:
    """Every box the network proposes for one picture, before a threshold or suppression.

    The demo keeps them and answers its sliders from them, without running the network again.

    Attributes:
        boxes: `(n, 4)` float32 xyxy in pixels of the original picture.
        scores: `(n,)` float32.
        class_ids: `(n,)` int.
        image_size_px: `(height, width)` of the original picture.
    """

    boxes: np.ndarray
    scores: np.ndarray
    class_ids: np.ndarray
    image_size_px: tuple[int, int]

    def select(
        self,
        class_names: Sequence[str],
        score_threshold: float,
        iou_threshold: float,
        classes: Sequence[str] | None = None,
    ) -> Detections:
        """Apply thresholds, suppression and a class filter.

        Args:
            class_names: All classes.
            score_threshold: Lowest score kept, in [0, 1].
            iou_threshold: See `non_maximum_suppression`.
            classes: Only these; all when None.
        """
        keep = self.scores >= score_threshold
        if classes is not None:
            wanted = [i for i, name in enumerate(class_names) if name in set(classes)]
            keep &= np.isin(self.class_ids, wanted)
        index = np.flatnonzero(keep)
        kept = non_maximum_suppression(
            self.boxes[index], self.scores[index], self.class_ids[index], iou_threshold
        )
        index = index[kept][:MAX_DETECTIONS]
        return Detections(
            self.boxes[index],
            self.class_ids[index],
            self.scores[index],
            list(class_names),
            self.image_size_px,
        )


def decode(logits: np.ndarray, num_classes: int, placement: Placement) -> Candidates:
    """Network output of one picture -> candidate boxes in its own pixels.

    Args:
        logits: `(points, num_classes + 4 * bins)`.
        num_classes: Classes.
        placement: Where the picture lay in the input.
    """
    points, strides = pyramid_points(placement.input_px)
    with np.errstate(over="ignore"):
        scores = 1.0 / (1.0 + np.exp(-logits[:, :num_classes].astype(np.float32)))
    point, class_ids = np.nonzero(scores >= CANDIDATE_SCORE)
    best = np.argsort(-scores[point, class_ids], kind="stable")[:MAX_CANDIDATES]
    point, class_ids = point[best], class_ids[best]
    bins = (logits.shape[-1] - num_classes) // 4
    sides = logits[point, num_classes:].reshape(len(point), 4, bins).astype(np.float32)
    sides = np.exp(sides - sides.max(axis=-1, keepdims=True))
    sides = sides @ np.arange(sides.shape[-1], dtype=np.float32) / sides.sum(axis=-1)
    sides *= strides[point, None]
    boxes = np.concatenate([points[point] - sides[:, :2], points[point] + sides[:, 2:]], axis=-1)
    return Candidates(
        placement.boxes_to_original(boxes),
        scores[point, class_ids],
        class_ids.astype(np.int64),
        placement.original_px,
    )


class Processor(predictor.Processor):
    """Picture -> `Detections`.

    Settings: `image_size_px`, `class_names`, `score_threshold`, `iou_threshold`.
    """

    def __init__(self, settings: Mapping[str, Any], folder: Path):
        super().__init__(settings, folder)
        self.class_names = list(settings["class_names"])
        self.image_size_px = tuple(settings["image_size_px"])

    def preprocess(self, item: Any) -> dict[str, np.ndarray]:
        """Picture -> `{"images": float32 (height, width, 3)}`."""
        image, _ = load_input(item, self.image_size_px)
        return {"images": normalize_efficientnet_lite0(image)}

    def postprocess(self, outputs: Mapping[str, np.ndarray], item: Any, **options: Any) -> Detections:
        """See `select` for the options."""
        return self.select(self.candidates_of(outputs, item), **options)

    def run(
        self, graphs: Mapping[str, predictor.Graph], items: Sequence[Any], **options: Any
    ) -> list[Detections | Candidates]:
        """As the base class, with every file decoded once."""
        return super().run(graphs, [read_image(item) for item in items], **options)

    def candidates_of(self, outputs: Mapping[str, np.ndarray], item: Any) -> Candidates:
        """One picture's outputs -> all its candidate boxes."""
        height, width = read_image(item).shape[:2]
        _, placement = letterbox(
            np.empty((height, width), np.uint8), self.image_size_px, center=False, method="nearest"
        )
        return decode(outputs["logits"], len(self.class_names), placement)

    def candidates(self, graphs: Mapping[str, predictor.Graph], items: Sequence[Any]) -> list[Candidates]:
        """Run the network on pictures and keep every proposal, for sliders that answer at once."""
        return self.run(graphs, items, raw=True)

    def select(
        self,
        candidates: Candidates,
        score_threshold: float | None = None,
        iou_threshold: float | None = None,
        classes: Sequence[str] | None = None,
        raw: bool = False,
    ) -> Detections | Candidates:
        """Candidates -> detections; the settings' thresholds where none is given.

        Args:
            candidates: From `candidates`.
            score_threshold: Lowest score kept, in [0, 1].
            iou_threshold: Overlap above which of two boxes of one class the weaker goes, in [0, 1].
            classes: Only these; all when None.
            raw: Give the candidates back untouched.
        """
        if raw:
            return candidates
        return candidates.select(
            self.class_names,
            self.settings["score_threshold"] if score_threshold is None else score_threshold,
            self.settings["iou_threshold"] if iou_threshold is None else iou_threshold,
            classes,
        )
