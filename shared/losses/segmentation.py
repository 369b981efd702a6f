"""Losses for a class at every pixel, with void pixels and unbalanced classes."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from shared.layers.bilinear import resize_bilinear

VOID = 255


def class_weights(pixel_counts: Sequence[float], power: float) -> list[float]:
    """Weights from how often a class occurs: `(median frequency / frequency) ** power`.

    With `power` 1 this is median frequency balancing (https://arxiv.org/abs/1411.4734), with 0 every pixel
    counts the same; between them rare classes gain without drowning the others.

    Args:
        pixel_counts: Labelled training pixels by class.
        power: 0 to 1.

    Returns:
        A weight a class, scaled so that the mean over all labelled pixels is 1. A class that never occurs
        has weight 0.
    """
    if not 0 <= power <= 1:
        raise ValueError(f"power must be in [0, 1], received {power}")
    counts = np.asarray(pixel_counts, np.float64)
    seen = counts > 0
    if not seen.any():
        raise ValueError("pixel_counts must have at least one class that occurs, received none")
    frequency = counts / counts.sum()
    weights = np.zeros_like(frequency)
    weights[seen] = (np.median(frequency[seen]) / frequency[seen]) ** power
    weights /= (weights * frequency).sum()
    return [float(w) for w in weights]


def lovasz_softmax(labels, probabilities, num_classes: int):
    """Lovász-Softmax, a convex surrogate of one minus mean IoU: https://arxiv.org/abs/1705.08790.

    Over all pixels of the batch, mean over the classes that occur in it.

    Args:
        labels: int32 `(n,)`, class index or `VOID`.
        probabilities: float32 `(n, num_classes)`.
        num_classes: Number of classes.

    Returns:
        Scalar in [0, 1].
    """
    valid = labels != VOID
    target = ops.one_hot(ops.where(valid, labels, 0), num_classes) * ops.cast(valid, "float32")[:, None]
    # Errors of void pixels are 0 and sort to the end, where the gradient of the IoU no longer changes.
    errors = ops.abs(target - probabilities) * ops.cast(valid, "float32")[:, None]
    errors, target = ops.transpose(errors), ops.transpose(target)
    errors, order = ops.top_k(errors, ops.shape(errors)[1], sorted=True)
    sorted_target = ops.take_along_axis(target, order, axis=1)
    total = ops.sum(sorted_target, axis=1, keepdims=True)
    intersection = total - ops.cumsum(sorted_target, axis=1)
    union = total + ops.cumsum(1.0 - sorted_target, axis=1)
    jaccard = 1.0 - intersection / union
    gradient = ops.concatenate([jaccard[:, :1], jaccard[:, 1:] - jaccard[:, :-1]], axis=1)
    losses = ops.sum(errors * ops.stop_gradient(gradient), axis=1)
    present = ops.cast(total[:, 0] > 0, "float32")
    return ops.sum(losses * present) / ops.maximum(ops.sum(present), 1.0)


def soft_dice(labels, probabilities, num_classes: int):
    """One minus the soft Dice coefficient, mean over classes in the batch: https://arxiv.org/abs/1606.04797.

    Same arguments and range as `lovasz_softmax`.
    """
    valid = labels != VOID
    weight = ops.cast(valid, "float32")[:, None]
    target = ops.one_hot(ops.where(valid, labels, 0), num_classes) * weight
    probabilities = probabilities * weight
    both = ops.sum(target * probabilities, axis=0)
    either = ops.sum(target, axis=0) + ops.sum(probabilities, axis=0)
    present = ops.cast(ops.sum(target, axis=0) > 0, "float32")
    dice = 1.0 - 2.0 * both / ops.maximum(either, 1e-6)
    return ops.sum(dice * present) / ops.maximum(ops.sum(present), 1.0)


@keras.saving.register_keras_serializable("shared")
class SegmentationLoss(keras.losses.Loss):
    """Weighted cross-entropy, and optionally a term that follows the IoU of each class.

    Args:
        weights: A weight a class (`class_weights`); equal ones when None.
        label_smoothing: Share of the target spread evenly over all classes.
        region: `none`, `dice` or `lovasz`.
        region_weight: Factor of the region term.
        region_stride: The region term looks at every n-th pixel in each direction: sorting all is slow.

    Called with labels `(batch, height, width)` of class indices or `VOID`, and logits `(batch, h, w, classes)`
    that are enlarged bilinearly to the size of the labels.
    """

    def __init__(
        self,
        weights: Sequence[float] | None = None,
        label_smoothing: float = 0.0,
        region: str = "none",
        region_weight: float = 1.0,
        region_stride: int = 4,
        name: str = "segmentation_loss",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        if region not in ("none", "dice", "lovasz"):
            raise ValueError(f"region must be none, dice or lovasz, received {region!r}")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing must be in [0, 1), received {label_smoothing}")
        self.weights = list(weights) if weights is not None else None
        self.label_smoothing = label_smoothing
        self.region, self.region_weight, self.region_stride = region, region_weight, region_stride

    def call(self, y_true, y_pred):
        labels = ops.cast(y_true, "int32")
        size = ops.shape(labels)[1:3]
        logits = resize_bilinear(y_pred, size)
        num_classes = y_pred.shape[-1]
        valid = labels != VOID
        known = ops.where(valid, labels, 0)
        pixel = keras.losses.sparse_categorical_crossentropy(known, logits, from_logits=True)
        if self.label_smoothing:
            # Mean of -log p over all classes, from the same log-sum-exp: log p_c = logit_c - (logit_y + pixel).
            spread = pixel + ops.sum(logits * ops.one_hot(known, num_classes), -1) - ops.mean(logits, -1)
            pixel = (1 - self.label_smoothing) * pixel + self.label_smoothing * spread
        weight = ops.cast(valid, "float32")
        if self.weights is not None:
            weight = weight * ops.take(ops.convert_to_tensor(self.weights, dtype="float32"), known)
        # A constant denominator: a crop of rare classes must weigh more than one of road.
        loss = ops.sum(pixel * weight) / ops.maximum(ops.sum(ops.cast(valid, "float32")), 1.0)
        if self.region != "none" and self.region_weight:
            s = self.region_stride
            some = ops.reshape(labels[:, s // 2 :: s, s // 2 :: s], (-1,))
            chosen = ops.reshape(logits[:, s // 2 :: s, s // 2 :: s], (-1, num_classes))
            term = lovasz_softmax if self.region == "lovasz" else soft_dice
            loss = loss + self.region_weight * term(some, ops.softmax(chosen), num_classes)
        return loss

    def get_config(self) -> dict:
        return super().get_config() | {
            "weights": self.weights,
            "label_smoothing": self.label_smoothing,
            "region": self.region,
            "region_weight": self.region_weight,
            "region_stride": self.region_stride,
        }
