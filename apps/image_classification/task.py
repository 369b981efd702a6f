"""Wires data, network and scores for the shared runtime."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.image_classification import data
from apps.image_classification.config import VARIANTS, ImageClassificationConfig
from apps.image_classification.linear_probe import LinearHead, choose_linear_head
from apps.image_classification.preprocessing import to_square
from shared.data.image_folder import LabelledImage
from shared.task import DataCheck, Evaluation, Phase, Splits, Task

EVALUATION_BATCH = 64
AUTHORS = {
    "top1": 0.751,
    "source": "https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite",
}


class ImageClassificationTask(Task):
    """See `shared.task`."""

    app = "image_classification"
    config_class = ImageClassificationConfig
    variants = VARIANTS
    monitor = "val_loss"
    headline = "accuracy"
    pipeline_tag = "image-classification"

    def __init__(self) -> None:
        self._head: LinearHead | None = None
        self._odd_epoch: Any = None

    def load_splits(self, config: ImageClassificationConfig) -> Splits:
        return data.load_splits(config)

    def check_data(self, splits: Splits, config: ImageClassificationConfig) -> DataCheck:
        return data.check_data(splits, config)

    def batches(
        self,
        examples: Sequence[LabelledImage],
        config: ImageClassificationConfig,
        splits: Splits,
        *,
        training: bool,
    ) -> Any:
        """`(images float32 (b, h, w, 3) 0 to 255, one-hot (b, classes), weights (b,))`."""
        import tensorflow as tf

        from apps.image_classification.augmentation import build_augmentation, mirrored_first
        from shared.data.pipeline import build_dataset

        classes = len(splits.info["class_names"])
        weights = data.class_weights(list(splits.train), classes, config.class_weight).astype(np.float32)
        settings = self._geometry(config)
        flips = training and config.alternating_flip and config.augmentation != "none"

        def load(image: LabelledImage) -> tuple[np.ndarray, np.ndarray]:
            square, _ = to_square(image.read(), settings)
            if flips and mirrored_first(image, config.seed):
                square = square[:, ::-1]
            return square, np.eye(classes, dtype=np.float32)[image.label]

        augment = None
        if training:
            self._odd_epoch = tf.Variable(0, dtype=tf.int32, trainable=False)
            size = config.train_size_px or config.image_size_px
            augment = build_augmentation(config, size, self._odd_epoch)
        dataset = build_dataset(
            examples,
            load,
            batch_size=config.batch_size,
            training=training,
            seed=config.seed,
            augment=augment,
            deterministic=config.deterministic,
        )

        def finish(images: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            share = tf.linalg.matvec(targets, weights) if training else tf.ones(tf.shape(targets)[:1])
            return tf.cast(images, tf.float32), targets, share

        return dataset.map(finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)

    def build_model(self, config: ImageClassificationConfig, splits: Splits) -> Any:
        from apps.image_classification import model

        classes = len(splits.info["class_names"])
        if config.model == "imagenet":
            return model.build_imagenet(config)
        if config.model == "pretrained":
            return model.build_pretrained(config, classes, self._head)
        if config.model == "resnet20":
            return model.build_resnet20(config, classes)
        settings = self._geometry(config)
        sample = np.stack([to_square(image.read(), settings)[0] for image in splits.train[:5000]])
        return model.build_airbench(config, classes, sample)

    def compile(
        self, model: Any, config: ImageClassificationConfig, phase: Phase, steps_per_epoch: int
    ) -> None:
        import keras

        from apps.image_classification.optimization import build_optimizer

        model.compile(
            optimizer=build_optimizer(config, phase.epochs * steps_per_epoch),
            loss=keras.losses.CategoricalCrossentropy(
                from_logits=True, label_smoothing=config.label_smoothing
            ),
            weighted_metrics=[],
            metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")],
            jit_compile=False,
        )

    def phases(self, config: ImageClassificationConfig) -> tuple[Phase, ...]:
        """Fine-tuning starts from the linear head that `baseline` fitted on frozen features."""
        if not config.epochs:
            return ()
        if not config.pretrained:
            return (Phase("from scratch", config.epochs, config.learning_rate),)

        def prepare(model: Any) -> None:
            from apps.image_classification.model import unfreeze

            unfreeze(model, config.unfreeze_from)

        return (Phase("fine-tune", config.epochs, config.learning_rate, prepare),)

    def callbacks(self, config: ImageClassificationConfig, splits: Splits) -> list[Any]:
        import keras

        from apps.image_classification.optimization import Lookahead

        callbacks: list[Any] = []
        if config.alternating_flip:
            callbacks.append(
                keras.callbacks.LambdaCallback(
                    on_epoch_begin=lambda epoch, logs: self._odd_epoch.assign(epoch % 2)
                )
            )
        if config.lookahead:
            count = min(config.limit or len(splits.train), len(splits.train))
            steps = max(1, math.ceil(count / config.batch_size))
            callbacks.append(Lookahead(steps * config.epochs, steps))
        return callbacks

    def baseline(self, splits: Splits, config: ImageClassificationConfig) -> dict[str, float]:
        """The most frequent class; and for a pretrained backbone a linear classifier on frozen features."""
        if not len(splits.train):
            return {}
        classes = len(splits.info["class_names"])
        labels = {s: np.array([i.label for i in getattr(splits, s)]) for s in ("train", "validation", "test")}
        common = int(np.bincount(labels["train"], minlength=classes).argmax())
        accuracy = float(np.mean(labels["test"] == common))
        scores = {"accuracy": accuracy}
        if config.model == "pretrained":
            train = list(splits.train[: config.limit] if config.limit else splits.train)
            features = self._frozen_features([train, splits.validation, splits.test], config)
            self._head, penalty, validation = choose_linear_head(
                (features[0], np.array([i.label for i in train])),
                (features[1], labels["validation"]),
                classes,
                class_weights=data.class_weights(train, classes, config.class_weight),
            )
            right = self._head.logits(features[2]).argmax(axis=1) == labels["test"]
            scores["frozen_features_accuracy"] = float(np.mean(right))
            print(
                f"Linear head on frozen features: validation {validation:.4f}, test {np.mean(right):.4f} "
                f"(penalty {penalty:g})",
                flush=True,
            )
        return scores

    def _frozen_features(
        self, splits: Sequence[Sequence[LabelledImage]], config: ImageClassificationConfig
    ) -> list[np.ndarray]:
        """Pooled features of the untouched backbone, `(n, d)` for each split, no augmentation."""
        import keras
        import tensorflow as tf

        from apps.image_classification.model import build_pretrained
        from shared.data.pipeline import build_dataset

        model = build_pretrained(config, 2)
        extractor = keras.Model(model.inputs, model.get_layer("features").output)
        function = tf.function(lambda x: extractor(x, training=False), reduce_retracing=True)
        settings = self._geometry(config)
        result = []
        for images in splits:
            dataset = build_dataset(
                images,
                lambda image: to_square(image.read(), settings)[0].astype(np.float32),
                batch_size=EVALUATION_BATCH,
                training=False,
                cache_bytes=0,
            )
            result.append(np.concatenate([function(batch).numpy() for batch in dataset]))
        return result

    def calibrate(self, model: Any, config: ImageClassificationConfig, splits: Splits) -> dict[str, Any]:
        """Temperature and confusions from validation; similar classes from the head's weights."""
        from apps.image_classification.evaluation import confusion_matrix, fit_temperature

        names = splits.info["class_names"]
        found: dict[str, Any] = {"temperature": 1.0}
        kernel = np.array(model.get_layer("logits").kernel)
        kernel = kernel - kernel.mean(axis=1, keepdims=True)
        kernel /= np.linalg.norm(kernel, axis=0, keepdims=True) + 1e-9
        similar = kernel.T @ kernel
        np.fill_diagonal(similar, -2)
        found["neighbours"] = np.argsort(-similar, axis=1)[:, :3].tolist()
        if len(splits.validation):
            import keras

            from apps.image_classification.model import serving_graph

            graph = serving_graph(model, config)
            graph = keras.Model(graph.inputs, graph.outputs[0])
            dataset = self.batches(splits.validation, config, splits, training=False)
            logits = np.concatenate([graph.predict_on_batch(batch[0]) for batch in dataset])
            labels = np.array([i.label for i in splits.validation])
            found["temperature"] = round(fit_temperature(logits, labels), 4)
            found["confusion"] = confusion_matrix(labels, logits.argmax(axis=1), len(names)).tolist()
        return found

    def graphs(self, model: Any, config: ImageClassificationConfig) -> dict[str, Any]:
        from apps.image_classification.model import serving_graph

        return {"model": serving_graph(model, config)}

    def output_names(self, config: ImageClassificationConfig) -> dict[str, list[str]]:
        return {"model": ["logits", "class_maps", "features"]}

    def parity_inputs(
        self, predictor: Any, graph: str, examples: Sequence[Any], collect: Any
    ) -> dict[str, np.ndarray]:
        """The examples, or the app's own example pictures where there is no data."""
        sources: list[Any] = [image.source for image in examples]
        if not sources:
            folder = Path(__file__).parent / "examples"
            sources = [p for p in sorted(folder.iterdir()) if p.suffix in (".jpg", ".png")]
        return collect(predictor, sources)

    def evaluate(self, predictor: Any, examples: Sequence[Any], config: Any) -> Evaluation:
        from apps.image_classification.evaluation import score

        names = predictor.processor.settings["class_names"]
        rows = []
        for start in range(0, len(examples), EVALUATION_BATCH):
            batch = [image.source for image in examples[start : start + EVALUATION_BATCH]]
            rows += [r.extras["all_probabilities"] for r in predictor.predict_batch(batch)]
        return score(np.stack(rows), examples, names)

    def _geometry(self, config: ImageClassificationConfig) -> dict[str, Any]:
        return {
            "image_size_px": config.image_size_px,
            "crop": config.crop,
            "crop_fraction": config.crop_fraction,
        }

    def settings(self, config: ImageClassificationConfig, splits: Splits) -> dict[str, Any]:
        settings = {"class_names": list(splits.info["class_names"]), **self._geometry(config)}
        if config.model == "imagenet":
            settings["authors_result"] = AUTHORS
        return settings

    def card(self, config: ImageClassificationConfig) -> dict[str, Any]:
        from apps.image_classification.card import card

        return card(config)


TASK = ImageClassificationTask()
