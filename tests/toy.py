"""A complete seventh app in one file: two Gaussian blobs. The runtime's tests train, kill and resume it.

`python -m tests.toy train --variant blobs ...` is its command line.
"""

from __future__ import annotations

import dataclasses
import os
import sys
import time
import types

import numpy as np

from shared.config import TrainConfig
from shared.results import Classification
from shared.runtime.predictor import Processor as BaseProcessor
from shared.task import DataCheck, Evaluation, Splits, Task


@dataclasses.dataclass(frozen=True)
class Example:
    input: np.ndarray
    target: int


class Processor(BaseProcessor):
    def preprocess(self, item):
        return {"x": np.asarray(item, np.float32)}

    def postprocess(self, outputs, item, **options):
        logits = outputs["logits"]
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
        order = np.argsort(-probabilities)
        names = self.settings["class_names"]
        return Classification([names[i] for i in order], probabilities[order])


@dataclasses.dataclass(frozen=True)
class ToyConfig(TrainConfig):
    epoch_s: float = 0.0
    poison: bool = False


VARIANTS = {"blobs": ToyConfig(variant="blobs", epochs=4, learning_rate=0.05, storage="float16")}


class ToyTask(Task):
    app = "toy"
    config_class = ToyConfig
    variants = VARIANTS
    headline = "accuracy"
    pipeline_tag = "tabular-classification"

    def load_splits(self, config):
        rng = np.random.default_rng(config.seed)
        targets = rng.integers(0, 2, 300)
        inputs = rng.normal(size=(300, 4)) + 3 * targets[:, None]
        if config.poison:
            inputs[:5] = np.nan
        rows = [Example(x.astype("float32"), int(y)) for x, y in zip(inputs, targets, strict=True)]
        return Splits(rows[:200], rows[200:250], rows[250:], {"class_names": ["left", "right"]})

    def check_data(self, splits, config):
        return DataCheck([{"class": n} for n in splits.info["class_names"]])

    def batches(self, examples, config, splits, *, training):
        import tensorflow as tf

        x = np.stack([e.input for e in examples])
        y = np.array([e.target for e in examples])
        data = tf.data.Dataset.from_tensor_slices((x, y))
        if training and os.environ.get("TOY_SHUFFLE") != "0":
            data = data.shuffle(len(x), seed=config.seed, reshuffle_each_iteration=True)
        return data.batch(config.batch_size)

    def build_model(self, config, splits):
        import keras

        inputs = keras.Input((4,), name="x")
        hidden = keras.layers.Dense(300, "relu")(inputs)
        return keras.Model(inputs, keras.layers.Dense(2, name="head")(hidden))

    def compile(self, model, config, phase, steps_per_epoch):
        import keras

        ema = config.ema_momentum
        model.compile(
            keras.optimizers.Adam(phase.learning_rate, use_ema=ema > 0, ema_momentum=ema or 0.99),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )

    def callbacks(self, config, splits):
        import keras

        class Slow(keras.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                time.sleep(config.epoch_s)

        return [Slow()]

    def evaluate(self, predictor, examples, config):
        answers = predictor.predict_batch([e.input for e in examples])
        names = predictor.variant.settings["class_names"]
        right = [a.top == names[e.target] for a, e in zip(answers, examples, strict=True)]
        return Evaluation({"accuracy": float(np.mean(right))}, mistakes=[{"caption": "none"}])

    def baseline(self, splits, config):
        majority = np.bincount([e.target for e in splits.train]).argmax()
        return {"accuracy": float(np.mean([e.target == majority for e in splits.test]))}

    def settings(self, config, splits):
        return dict(splits.info)

    def card(self, config):
        return {"summary": "Two blobs.", "licence_id": "apache-2.0"}


TASK = ToyTask()

# The predictor finds a Processor as apps.<app>.preprocessing.
_module = types.ModuleType("apps.toy.preprocessing")
_module.Processor = Processor
sys.modules.setdefault("apps.toy", types.ModuleType("apps.toy"))
sys.modules.setdefault("apps.toy.preprocessing", _module)

if __name__ == "__main__":
    import importlib

    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    importlib.import_module(f"shared.runtime.{sys.argv[1]}").main(TASK, sys.argv[2:])
