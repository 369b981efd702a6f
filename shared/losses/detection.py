"""Losses of a one-stage detector: quality focal, distribution focal and IoU loss, with task-aligned targets.

Everything here is `keras.ops`, boxes are `xyxy` in pixels of the network's input.
"""

from __future__ import annotations

import keras
from keras import ops

from shared.data.pyramid import STRIDES, pyramid_points

EPSILON = 1e-7


def pairwise_iou(boxes: keras.KerasTensor, others: keras.KerasTensor) -> keras.KerasTensor:
    """Intersection over union of every box with every other.

    Args:
        boxes: `(batch, m, 4)`.
        others: `(batch, n, 4)`.

    Returns:
        `(batch, m, n)` in [0, 1].
    """
    top_left = ops.maximum(boxes[:, :, None, :2], others[:, None, :, :2])
    bottom_right = ops.minimum(boxes[:, :, None, 2:], others[:, None, :, 2:])
    overlap = ops.prod(ops.maximum(bottom_right - top_left, 0.0), axis=-1)
    area = ops.prod(ops.maximum(boxes[..., 2:] - boxes[..., :2], 0.0), axis=-1)
    other_area = ops.prod(ops.maximum(others[..., 2:] - others[..., :2], 0.0), axis=-1)
    return overlap / (area[:, :, None] + other_area[:, None, :] - overlap + EPSILON)


def giou_loss(boxes_true: keras.KerasTensor, boxes_pred: keras.KerasTensor) -> keras.KerasTensor:
    """1 - generalized IoU of paired boxes: https://arxiv.org/abs/1902.09630, equation 1 to 3.

    The generalized IoU takes from the IoU the share of the enclosing box that neither box covers, so two
    boxes that do not touch still have a gradient towards each other.

    Args:
        boxes_true: `(..., 4)`.
        boxes_pred: `(..., 4)`.

    Returns:
        `(...)` in [0, 2].
    """
    overlap_size = ops.maximum(
        ops.minimum(boxes_true[..., 2:], boxes_pred[..., 2:])
        - ops.maximum(boxes_true[..., :2], boxes_pred[..., :2]),
        0.0,
    )
    enclosing_size = ops.maximum(boxes_true[..., 2:], boxes_pred[..., 2:]) - ops.minimum(
        boxes_true[..., :2], boxes_pred[..., :2]
    )
    overlap = overlap_size[..., 0] * overlap_size[..., 1]
    enclosing = enclosing_size[..., 0] * enclosing_size[..., 1]
    size_true = boxes_true[..., 2:] - boxes_true[..., :2]
    size_pred = boxes_pred[..., 2:] - boxes_pred[..., :2]
    union = size_true[..., 0] * size_true[..., 1] + size_pred[..., 0] * size_pred[..., 1] - overlap
    iou = overlap / (union + EPSILON)
    return 1.0 - iou + (enclosing - union) / (enclosing + EPSILON)


def quality_focal_loss(
    targets: keras.KerasTensor, logits: keras.KerasTensor, beta: float = 2.0
) -> keras.KerasTensor:
    """Focal loss with soft targets: https://arxiv.org/abs/2006.04388, equation 5.

    `|y - p|^beta * BCE(p, y)`: focal loss (https://arxiv.org/abs/1708.02002) for targets y in [0, 1] instead
    of {0, 1}. With the IoU of the predicted box as target the score says how good the box is, which is what
    average precision ranks by; with targets 0 and 1 it is the focal loss without its alpha.

    Args:
        targets: `(...)` in [0, 1].
        logits: `(...)`.
        beta: Focusing; 0 gives plain cross-entropy.

    Returns:
        `(...)`, not below 0.
    """
    cross_entropy = ops.maximum(logits, 0.0) - logits * targets + ops.log1p(ops.exp(-ops.abs(logits)))
    return ops.power(ops.abs(targets - ops.sigmoid(logits)), beta) * cross_entropy


def distribution_focal_loss(distances: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
    """Cross-entropy to the two integers around a distance: https://arxiv.org/abs/2006.04388, equation 6.

    Args:
        distances: `(..., 4)`, side distances in strides; clipped to `[0, bins - 1]`.
        logits: `(..., 4, bins)`.

    Returns:
        `(...)`, the mean over the four sides.
    """
    bins = logits.shape[-1]
    distances = ops.clip(distances, 0.0, bins - 1 - 1e-3)
    lower = ops.floor(distances)
    upper_weight = distances - lower
    lower = ops.cast(lower, "int32")
    log_p = ops.log_softmax(logits, axis=-1)
    target = (
        ops.one_hot(lower, bins) * (1.0 - upper_weight)[..., None]
        + ops.one_hot(lower + 1, bins) * upper_weight[..., None]
    )
    return ops.mean(-ops.sum(target * log_p, axis=-1), axis=-1)


def decode_distances(logits: keras.KerasTensor) -> keras.KerasTensor:
    """Expected side distances of `(..., 4, bins)` logits, in strides: `(..., 4)` as left, top, right, bottom."""
    bins = ops.arange(logits.shape[-1], dtype="float32")
    return ops.sum(ops.softmax(logits, axis=-1) * bins, axis=-1)


def assign_targets(
    scores: keras.KerasTensor,
    boxes_pred: keras.KerasTensor,
    points: keras.KerasTensor,
    strides: keras.KerasTensor,
    class_ids: keras.KerasTensor,
    boxes: keras.KerasTensor,
    top_k: int = 10,
    alpha: float = 1.0,
    beta: float = 6.0,
) -> tuple[keras.KerasTensor, keras.KerasTensor, keras.KerasTensor]:
    """Task-aligned assignment of objects to points: https://arxiv.org/abs/2108.07755, section 3.2.

    Each object takes the `top_k` points inside its box whose prediction is best both in score and in IoU
    (`score^alpha * iou^beta`). Where annotations are loose or objects touch, the network itself decides which
    points answer for an object. An object smaller than a stride takes the points nearest to its centre.

    Args:
        scores: `(batch, n, classes)` in [0, 1].
        boxes_pred: `(batch, n, 4)`.
        points: `(n, 2)`, x and y.
        strides: `(n,)`.
        class_ids: `(batch, m)` int, -1 where there is no object.
        boxes: `(batch, m, 4)`.
        top_k: Points an object takes at most.
        alpha: Weight of the score.
        beta: Weight of the IoU.

    Returns:
        Target scores `(batch, n, classes)`, target boxes `(batch, n, 4)` and the target score of the assigned
        class, `(batch, n)`, 0 at background.
    """
    num_classes, num_objects = scores.shape[-1], boxes.shape[1]
    exists = ops.cast(class_ids >= 0, "float32")[:, :, None]
    one_hot = ops.one_hot(ops.maximum(class_ids, 0), num_classes)
    iou = pairwise_iou(boxes, boxes_pred)
    score = ops.matmul(one_hot, ops.transpose(scores, (0, 2, 1)))
    left_top = points[None, None] - boxes[:, :, None, :2]
    right_bottom = boxes[:, :, None, 2:] - points[None, None]
    inside = ops.minimum(ops.min(left_top, axis=-1), ops.min(right_bottom, axis=-1)) > 0
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    off_centre = ops.max(ops.abs(points[None, None] - centre[:, :, None]), axis=-1)
    finest = ops.min(strides)
    candidate = ops.logical_or(
        inside, ops.logical_and(off_centre <= finest / 2, strides[None, None] <= finest)
    )
    candidate = ops.cast(candidate, "float32") * exists
    # The floor keeps an object whose first boxes miss it by far from having no point at all.
    metric = ops.maximum(ops.power(score + EPSILON, alpha) * ops.power(iou, beta), 1e-12) * candidate
    kth = ops.top_k(metric, min(top_k, metric.shape[-1]))[0][..., -1:]
    positive = ops.cast(metric >= ops.maximum(kth, 1e-12), "float32") * candidate
    # A point claimed by several objects answers for the one it overlaps most.
    owner = ops.argmax((iou + EPSILON) * positive, axis=1)
    positive = positive * ops.transpose(ops.one_hot(owner, num_objects), (0, 2, 1))
    metric, overlap = metric * positive, iou * positive
    quality = metric / ops.maximum(ops.max(metric, axis=-1, keepdims=True), 1e-12)
    quality = quality * ops.max(overlap, axis=-1, keepdims=True)
    by_point = ops.transpose(quality, (0, 2, 1))
    target_boxes = ops.matmul(ops.transpose(positive, (0, 2, 1)), boxes)
    return ops.matmul(by_point, one_hot), target_boxes, ops.sum(by_point, axis=-1)


@keras.saving.register_keras_serializable(package="shared")
class DetectionLoss(keras.losses.Loss):
    """Quality focal + generalized IoU + distribution focal loss on task-aligned targets.

    `y_true` is `(batch, m, 5)`: class (-1 for no object) and `xyxy` box in pixels of the input.
    `y_pred` is `(batch, n, classes + 4 * bins)` logits of the points of `pyramid_points`.

    Args:
        image_size_px: `(height, width)` of the input.
        num_classes: Classes.
        strides: Strides of the pyramid's levels.
        bins: Bins of a side's distance distribution.
        box_weight: Weight of the IoU loss.
        distribution_weight: Weight of the distribution focal loss.
        top_k: Points an object takes at most.
    """

    def __init__(
        self,
        image_size_px: tuple[int, int],
        num_classes: int,
        strides: tuple[int, ...] = STRIDES,
        bins: int = 16,
        box_weight: float = 2.0,
        distribution_weight: float = 0.5,
        top_k: int = 10,
        name: str = "detection_loss",
        **kwargs,
    ):
        # The loss is normalized by the sum of the targets of the batch and is one number.
        super().__init__(name=name, reduction="sum", **kwargs)
        self.image_size_px = tuple(image_size_px)
        self.num_classes, self.strides, self.bins = num_classes, tuple(strides), bins
        self.box_weight, self.distribution_weight, self.top_k = box_weight, distribution_weight, top_k
        self._points, self._stride = pyramid_points(self.image_size_px, self.strides)

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        parts = self.parts(y_true, y_pred)
        return (
            parts["class_loss"]
            + self.box_weight * parts["box_loss"]
            + self.distribution_weight * parts["distribution_loss"]
        )

    def parts(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
        """The three losses before they are weighted, each one number."""
        points = ops.convert_to_tensor(self._points)
        strides = ops.convert_to_tensor(self._stride)
        class_ids, boxes = ops.cast(y_true[..., 0], "int32"), ops.cast(y_true[..., 1:5], "float32")
        class_logits = y_pred[..., : self.num_classes]
        box_logits = ops.reshape(y_pred[..., self.num_classes :], (-1, self._points.shape[0], 4, self.bins))
        distances = decode_distances(box_logits) * strides[None, :, None]
        boxes_pred = ops.concatenate([points - distances[..., :2], points + distances[..., 2:]], axis=-1)
        target_scores, target_boxes, weight = (
            ops.stop_gradient(t)
            for t in assign_targets(
                ops.sigmoid(class_logits), boxes_pred, points, strides, class_ids, boxes, self.top_k
            )
        )
        normalizer = ops.maximum(ops.sum(weight), 1.0)
        target_distances = (
            ops.concatenate([points - target_boxes[..., :2], target_boxes[..., 2:] - points], axis=-1)
            / strides[None, :, None]
        )
        return {
            "class_loss": ops.sum(quality_focal_loss(target_scores, class_logits)) / normalizer,
            "box_loss": ops.sum(giou_loss(target_boxes, boxes_pred) * weight) / normalizer,
            "distribution_loss": ops.sum(distribution_focal_loss(target_distances, box_logits) * weight)
            / normalizer,
        }

    def get_config(self) -> dict:
        return {
            "image_size_px": list(self.image_size_px),
            "num_classes": self.num_classes,
            "strides": list(self.strides),
            "bins": self.bins,
            "box_weight": self.box_weight,
            "distribution_weight": self.distribution_weight,
            "top_k": self.top_k,
            "name": self.name,
        }
