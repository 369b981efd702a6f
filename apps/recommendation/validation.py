"""The metric of the field on the validation histories, after every epoch."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from apps.recommendation.scoring import ranking_scores, star_scores


class ValidationScore(keras.callbacks.Callback):
    """Adds `val_ndcg` or `val_rmse` and `val_mae` to the logs.

    Args:
        task: Its `graphs` give the model as it serves.
        config: Options.
        splits: Validation histories.
    """

    def __init__(self, task, config, splits):
        super().__init__()
        self._task, self._config, self._splits = task, config, splits

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        model = self.model
        if self._config.model == "two_tower":
            model = self._task.graphs(model, self._config)["model"]
        scorer = any_shape(model)
        histories = self._splits.validation
        if self._config.predicts_stars:
            metrics = star_scores(scorer, histories, self._config.low, self._config.high)[0]
            logs |= {f"val_{k}": v for k, v in metrics.items()}
            return
        popularity = self._splits.popularity
        metrics = ranking_scores(scorer, histories, popularity, self._splits.trend.at())[0]
        logs |= {"val_ndcg": metrics["ndcg@10"], "val_recall": metrics["recall@10"]}


def any_shape(model: keras.Model) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """The model as a function of named arrays, traced once; `predict_on_batch` traces every new length."""
    import tensorflow as tf

    signature = {t.name: tf.TensorSpec(t.shape, t.dtype) for t in model.inputs}
    names = [t.name for t in model.inputs]
    traced = tf.function(lambda x: model([x[n] for n in names], training=False), input_signature=[signature])
    return lambda arrays: traced({n: tf.constant(arrays[n]) for n in names}).numpy()
