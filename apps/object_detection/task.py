"""Wires data, model, losses and scores of object detection for the shared runtime."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from apps.object_detection import data
from apps.object_detection.config import VARIANTS, Config
from apps.object_detection.preprocessing import CANDIDATE_SCORE
from shared.data.boxes import BoxImage
from shared.task import DataCheck, Evaluation, Phase, Splits, Task

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from shared.runtime.predictor import Predictor

NO_DECAY = ("bias", "gamma", "beta")


class ObjectDetection(Task):
    """Hooks of `shared.runtime`; see `shared.task.Task`."""

    app: ClassVar[str] = "object_detection"
    config_class: ClassVar[type[Config]] = Config
    variants: ClassVar[Mapping[str, Config]] = VARIANTS
    monitor: ClassVar[str] = "val_map"
    monitor_mode: ClassVar[str] = "max"
    headline: ClassVar[str] = "map50"
    pipeline_tag: ClassVar[str] = "object-detection"

    def load_splits(self, config: Config) -> Splits:
        return data.load_splits(config)

    def check_data(self, splits: Splits, config: Config) -> DataCheck:
        from apps.object_detection.scoring import check_data

        return check_data(splits)

    def batches(
        self, examples: Sequence[BoxImage], config: Config, splits: Splits, *, training: bool
    ) -> tf.data.Dataset:
        return data.batches(examples, config, splits, training=training)

    def build_model(self, config: Config, splits: Splits) -> keras.Model:
        from apps.object_detection.model import build_detector, load_detector_backbone

        return build_detector(load_detector_backbone(config), config, len(splits.info["class_names"]))

    def phases(self, config: Config) -> tuple[Phase, ...]:
        def prepare(model: keras.Model) -> None:
            from apps.object_detection.model import freeze

            freeze(model, config.frozen_stages, config.freeze_norms)

        return (Phase("train", config.epochs, config.learning_rate, prepare),)

    def compile(self, model: keras.Model, config: Config, phase: Phase, steps_per_epoch: int) -> None:
        import keras

        from shared.losses.detection import DetectionLoss

        steps = max(2, steps_per_epoch * config.passes_per_epoch * phase.epochs)
        warmup = max(1, round(steps * config.warmup_share))
        schedule = keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=phase.learning_rate / 20,
            decay_steps=max(1, steps - warmup),
            alpha=0.01,
            warmup_target=phase.learning_rate,
            warmup_steps=warmup,
        )
        optimizer = keras.optimizers.AdamW(
            schedule,
            weight_decay=config.weight_decay,
            global_clipnorm=10.0,
            use_ema=config.ema_momentum > 0,
            ema_momentum=config.ema_momentum or 0.99,
        )
        optimizer.exclude_from_weight_decay(var_names=list(NO_DECAY))
        num_classes = model.output_shape[-1] - 4 * config.bins
        model.compile(optimizer, DetectionLoss(config.image_size_px, num_classes, bins=config.bins))

    def callbacks(self, config: Config, splits: Splits) -> list[keras.callbacks.Callback]:
        from apps.object_detection.scoring import ValidationMap

        return [ValidationMap(splits.validation, config, splits.info["class_names"])]

    def calibrate(self, model: keras.Model, config: Config, splits: Splits) -> dict[str, Any]:
        from apps.object_detection.scoring import calibrate

        return calibrate(model, config, splits)

    def evaluate(self, predictor: Predictor, examples: Sequence[BoxImage], config: Config) -> Evaluation:
        from apps.object_detection.scoring import evaluate

        return evaluate(predictor, examples)

    def baseline(self, splits: Splits, config: Config) -> dict[str, float]:
        from apps.object_detection.scoring import baseline

        return baseline(splits)

    def settings(self, config: Config, splits: Splits) -> dict[str, Any]:
        return {
            "image_size_px": list(config.image_size_px),
            "class_names": list(splits.info["class_names"]),
            "candidate_score": CANDIDATE_SCORE,
            "score_threshold": 0.3,
            "iou_threshold": 0.6,
        }

    def card(self, config: Config) -> dict[str, Any]:
        from apps.object_detection.card import facts

        return facts(config)


TASK = ObjectDetection()
