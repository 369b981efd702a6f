"""Segmentation metrics: mean IoU while training, and the scores of finished masks in NumPy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

VOID = 255


def confusion_matrix(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> np.ndarray:
    """Pixels by true class (row) and predicted class (column); `VOID` labels are left out.

    Args:
        labels: Integer array of any shape, class index or `VOID`.
        predictions: Class indices, the same shape.
        num_classes: Number of classes.

    Returns:
        int64 `(num_classes, num_classes)`.
    """
    if labels.shape != predictions.shape:
        raise ValueError(
            f"labels and predictions must have one shape, received {labels.shape} and {predictions.shape}"
        )
    valid = labels != VOID
    pairs = labels[valid].astype(np.int64) * num_classes + predictions[valid]
    return np.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def iou_per_class(matrix: np.ndarray) -> np.ndarray:
    """Intersection over union of each class; NaN where a class occurs neither in truth nor prediction."""
    both = np.diag(matrix).astype(np.float64)
    either = matrix.sum(0) + matrix.sum(1) - both
    return np.where(either > 0, both / np.maximum(either, 1), np.nan)


def mean_iou(matrix: np.ndarray) -> float:
    """Mean of `iou_per_class` over the classes that occur in the truth; one confusion matrix of all images."""
    present = matrix.sum(1) > 0
    return float(np.mean(iou_per_class(matrix)[present])) if present.any() else float("nan")


def pixel_accuracy(matrix: np.ndarray) -> float:
    """Share of labelled pixels whose class is right."""
    return float(np.trace(matrix) / max(1, matrix.sum()))


def mean_class_accuracy(matrix: np.ndarray) -> float:
    """Recall, mean over the classes that occur in the truth."""
    totals = matrix.sum(1)
    present = totals > 0
    return float(np.mean(np.diag(matrix)[present] / totals[present])) if present.any() else float("nan")


def dilate(mask: np.ndarray, radius: int) -> np.ndarray:
    """Boolean `(h, w)` grown by `radius` pixels in the eight directions (a square)."""
    for axis in (0, 1):
        grown = mask.copy()
        for shift in range(1, radius + 1):
            ahead = [slice(None)] * 2
            behind = [slice(None)] * 2
            ahead[axis], behind[axis] = slice(shift, None), slice(None, -shift)
            grown[tuple(ahead)] |= mask[tuple(behind)]
            grown[tuple(behind)] |= mask[tuple(ahead)]
        mask = grown
    return mask


def class_boundary(mask: np.ndarray, index: int) -> np.ndarray:
    """Pixels of a class that touch another class above, below, left or right; the picture's edge is none."""
    inside = mask == index
    edge = np.zeros_like(inside)
    for axis in (0, 1):
        first, second = [slice(None)] * 2, [slice(None)] * 2
        first[axis], second[axis] = slice(1, None), slice(None, -1)
        differs = inside[tuple(first)] != inside[tuple(second)]
        edge[tuple(first)] |= differs
        edge[tuple(second)] |= differs
    return edge & inside


class BoundaryScores:
    """Boundary IoU and boundary F score of a class, summed over images.

    Boundary IoU (https://arxiv.org/abs/2103.16562) compares only pixels of the class within `radius` of its
    own contour. The F score (https://www.bmva.org/bmvc/2013/Papers/paper0032/paper0032.pdf) asks which share of each
    contour lies within `radius` of the other. Void pixels count for neither, nor contour pixels within
    `radius` of void.

    Args:
        num_classes: Number of classes.
        radius: Tolerance in pixels; 0.75 % of the diagonal is usual (4.5 for 480 x 360).
    """

    def __init__(self, num_classes: int, radius: int):
        if radius < 1:
            raise ValueError(f"radius must be 1 or more, received {radius}")
        self.radius = radius
        self._sums = np.zeros((num_classes, 6))

    def update(self, labels: np.ndarray, predictions: np.ndarray) -> None:
        """Add one image: `(h, w)` truth with `VOID`, and prediction."""
        void = labels == VOID
        near_void = dilate(void, self.radius)
        predictions = np.where(void, VOID, predictions)
        for index in np.union1d(np.unique(labels[~void]), np.unique(predictions[~void])):
            true_edge = class_boundary(labels, index) & ~near_void
            seen_edge = class_boundary(predictions, index) & ~near_void
            near_true, near_seen = dilate(true_edge, self.radius), dilate(seen_edge, self.radius)
            true_band = near_true & (labels == index) & ~near_void
            seen_band = near_seen & (predictions == index) & ~near_void
            self._sums[index] += (
                np.count_nonzero(true_band & seen_band),
                np.count_nonzero(true_band | seen_band),
                np.count_nonzero(seen_edge & near_true),
                np.count_nonzero(seen_edge),
                np.count_nonzero(true_edge & near_seen),
                np.count_nonzero(true_edge),
            )

    def iou(self) -> np.ndarray:
        """Boundary IoU by class; NaN where a class never occurs."""
        both, either = self._sums[:, 0], self._sums[:, 1]
        return np.where(either > 0, both / np.maximum(either, 1), np.nan)

    def f_score(self) -> np.ndarray:
        """Harmonic mean of precision and recall of the contour, by class; NaN where a class never occurs."""
        _, _, hit, seen, found, true = self._sums.T
        precision = hit / np.maximum(seen, 1)
        recall = found / np.maximum(true, 1)
        score = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        return np.where(seen + true > 0, score, np.nan)


def mean_of(values: Sequence[float] | np.ndarray) -> float:
    """Mean without NaN; NaN of nothing."""
    values = np.asarray(values, np.float64)
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    """Mean gap between confidence and accuracy, weighted by the pixels of each of equal bins.

    https://arxiv.org/abs/1706.04599. Both arrays `(n,)`.
    """
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(index, minlength=bins)
    sums = np.bincount(index, confidence, bins) - np.bincount(index, correct, bins)
    return float(np.abs(sums).sum() / max(1, count.sum()))
