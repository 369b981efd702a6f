"""Mean IoU as a Keras metric, cheap enough for every training step."""

from __future__ import annotations

import keras
from keras import ops

VOID = 255


@keras.saving.register_keras_serializable("shared")
class SampledMeanIoU(keras.metrics.Metric):
    """Mean IoU at the pixels a logit stands for.

    Logits at 1/4 of the size are compared with the label nearest to the centre of their cell, instead of being
    enlarged: a sixteenth of the work, and within about 0.01 of the full mean IoU. It chooses checkpoints;
    results come from `shared.metrics.segmentation` on full masks.

    Args:
        num_classes: Number of classes.
    """

    def __init__(self, num_classes: int, name: str = "mean_iou", **kwargs):
        super().__init__(name=name, **kwargs)
        self.num_classes = num_classes
        self.matrix = self.add_variable((num_classes, num_classes), "zeros", name="matrix")

    def update_state(self, y_true, y_pred, sample_weight=None):
        rows = y_true.shape[1] // y_pred.shape[1]
        labels = ops.cast(y_true[:, rows // 2 :: rows, rows // 2 :: rows], "int32")
        labels, predicted = ops.reshape(labels, (-1,)), ops.reshape(ops.argmax(y_pred, -1), (-1,))
        valid = ops.cast(labels != VOID, "float32")
        pair = ops.where(labels != VOID, labels, 0) * self.num_classes + ops.cast(predicted, "int32")
        counts = ops.segment_sum(valid, pair, num_segments=self.num_classes**2)
        self.matrix.assign_add(ops.reshape(counts, (self.num_classes, self.num_classes)))

    def result(self):
        both = ops.diagonal(self.matrix)
        true = ops.sum(self.matrix, axis=1)
        either = true + ops.sum(self.matrix, axis=0) - both
        present = ops.cast(true > 0, "float32")
        iou = both / ops.maximum(either, 1.0)
        return ops.sum(iou * present) / ops.maximum(ops.sum(present), 1.0)

    def get_config(self) -> dict:
        return super().get_config() | {"num_classes": self.num_classes}
