"""Segmentation as the shared runtime trains, measures and publishes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.segmentation import data
from apps.segmentation.card import facts
from apps.segmentation.config import VARIANTS, SegmentationConfig
from shared.data.masks import MaskedImage
from shared.task import DataCheck, Evaluation, Phase, Splits, Task

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from shared.runtime.predictor import Predictor

REFRESH_PICTURES = 128
"""Training pictures that batch normalization is recomputed on before a validation."""


class SegmentationTask(Task):
    """Hooks of the shared runtime; see `shared.task.Task`."""

    app = "segmentation"
    config_class = SegmentationConfig
    variants = VARIANTS
    monitor = "val_mean_iou"
    monitor_mode = "max"
    headline = "mean_iou"
    pipeline_tag = "image-segmentation"

    def load_splits(self, config: SegmentationConfig) -> Splits:
        return data.load_splits(config)

    def check_data(self, splits: Splits, config: SegmentationConfig) -> DataCheck:
        return data.check_data(splits)

    def batches(
        self,
        examples: Sequence[MaskedImage],
        config: SegmentationConfig,
        splits: Splits,
        *,
        training: bool,
    ) -> tf.data.Dataset:
        return data.batches(examples, config, training=training)

    def build_model(self, config: SegmentationConfig, splits: Splits) -> keras.Model:
        from apps.segmentation.model import build_model

        # `compile` weighs classes by it, and is not given the splits.
        self._pixel_counts = splits.info["pixel_counts"]
        return build_model(config, len(splits.info["class_names"]))

    def compile(
        self, model: keras.Model, config: SegmentationConfig, phase: Phase, steps_per_epoch: int
    ) -> None:
        from apps.segmentation.optimization import build_optimizer
        from shared.losses.segmentation import SegmentationLoss, class_weights
        from shared.metrics.segmentation_keras import SampledMeanIoU

        loss = SegmentationLoss(
            class_weights(self._pixel_counts, config.class_balance) if config.class_balance else None,
            config.label_smoothing,
            config.region_loss,
            config.region_weight,
        )
        model.compile(
            optimizer=build_optimizer(config, phase.learning_rate),
            loss=loss,
            metrics=[SampledMeanIoU(len(self._pixel_counts))],
        )

    def callbacks(self, config: SegmentationConfig, splits: Splits) -> list[keras.callbacks.Callback]:
        from apps.segmentation.optimization import CosineRate, RefreshBatchNorm

        callbacks = [CosineRate(config.learning_rate, config.warmup_share, config.max_minutes)]
        if config.ema_momentum:
            some = splits.train[:: -(-len(splits.train) // REFRESH_PICTURES)]
            callbacks.append(RefreshBatchNorm(data.batches(some, replace(config, passes=1), training=True)))
        return callbacks

    def calibrate(self, model: keras.Model, config: SegmentationConfig, splits: Splits) -> dict[str, Any]:
        from apps.segmentation.evaluation import calibrate
        from shared.losses.segmentation import class_weights

        weights = class_weights(splits.info["pixel_counts"], config.class_balance)
        return calibrate(model, splits.validation, self.settings(config, splits), weights)

    def settings(self, config: SegmentationConfig, splits: Splits) -> dict[str, Any]:
        return {
            "class_names": splits.info["class_names"],
            "colours": splits.info["colours"],
            "side_px": config.side_px,
        }

    def parity_inputs(
        self, predictor: Predictor, graph: str, examples: Sequence[MaskedImage], default: Callable
    ) -> dict[str, np.ndarray] | None:
        return default(predictor, [example.read()[0] for example in examples[:4]])

    def baseline(self, splits: Splits, config: SegmentationConfig) -> dict[str, float]:
        from apps.segmentation.evaluation import score_baseline

        return score_baseline(splits, config)

    def evaluate(
        self, predictor: Predictor, examples: Sequence[MaskedImage], config: SegmentationConfig
    ) -> Evaluation:
        from apps.segmentation.evaluation import evaluate

        return evaluate(predictor, examples)

    def card(self, config: SegmentationConfig) -> dict[str, Any]:
        return facts(config)


TASK = SegmentationTask()
