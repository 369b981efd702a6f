"""AdamW whose pretrained part learns more slowly; warm-up and cosine decay over steps or minutes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import keras

from apps.segmentation.config import SegmentationConfig
from apps.segmentation.model import is_backbone

FINAL_SHARE = 0.01
"""Learning rate at the end, as a share of the peak."""


class TwoRateAdamW(keras.optimizers.AdamW):
    """AdamW with a lower learning rate for some variables.

    Args:
        slow_rate: Share of the learning rate that the slow variables get.
        is_slow: Chooses them.
        options: See `keras.optimizers.AdamW`.
    """

    def __init__(self, *args, slow_rate: float = 1.0, is_slow: Callable = is_backbone, **options):
        super().__init__(*args, **options)
        self.slow_rate, self.is_slow = slow_rate, is_slow
        self._shares: list[float] = []

    def build(self, variables):
        super().build(variables)
        self._shares = [self.slow_rate if self.is_slow(v) else 1.0 for v in variables]

    def update_step(self, gradient, variable, learning_rate):
        share = self._shares[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * share)

    def get_config(self) -> dict:
        return super().get_config() | {"slow_rate": self.slow_rate}


def build_optimizer(config: SegmentationConfig, peak_rate: float) -> TwoRateAdamW:
    """Optimizer of one phase; `CosineRate` moves its learning rate.

    Args:
        config: `weight_decay`, `ema_momentum`, `backbone_rate`.
        peak_rate: Learning rate of the decoder at its peak.
    """
    optimizer = TwoRateAdamW(
        peak_rate,
        slow_rate=config.backbone_rate,
        weight_decay=config.weight_decay,
        global_clipnorm=1.0,
        use_ema=config.ema_momentum > 0,
        ema_momentum=config.ema_momentum or 0.99,
    )
    if config.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def rate_at(progress: float, warmup_share: float) -> float:
    """Share of the peak rate: linear rise over `warmup_share`, then half a cosine down to `FINAL_SHARE`.

    Args:
        progress: 0 to 1.
        warmup_share: 0 to below 1.
    """
    if progress < warmup_share:
        return max(FINAL_SHARE, progress / warmup_share)
    share = min(1.0, (progress - warmup_share) / (1 - warmup_share))
    return FINAL_SHARE + (1 - FINAL_SHARE) * (1 + math.cos(math.pi * share)) / 2


class CosineRate(keras.callbacks.Callback):
    """Sets the learning rate before every step, by the steps done or, if that is further, by the time spent.

    A time budget ends training when it is used up, its learning rate lowered as it should be: on a machine whose
    speed is not known beforehand, a number of epochs cannot promise both.

    Args:
        peak_rate: Highest learning rate.
        warmup_share: Share of the training in which it rises.
        max_minutes: Budget; 0 for none. A resumed run gets its time anew, its steps count on.
    """

    def __init__(self, peak_rate: float, warmup_share: float, max_minutes: float = 0.0):
        super().__init__()
        self.peak_rate, self.warmup_share, self.max_seconds = peak_rate, warmup_share, max_minutes * 60
        self._begun = 0.0
        self._epoch = 0
        self._resumed_from = 0.0

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._begun = time.monotonic()
        self._resumed_from = -1.0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._epoch = epoch
        if self._resumed_from < 0:
            self._resumed_from = epoch / self.params["epochs"]

    def progress(self, batch: int) -> float:
        """Share of the training that is done, 0 to 1."""
        steps = self.params.get("steps") or 1
        done = (self._epoch + batch / steps) / self.params["epochs"]
        if self.max_seconds:
            spent = (time.monotonic() - self._begun) / self.max_seconds
            done = max(done, self._resumed_from + (1 - self._resumed_from) * spent)
        return min(1.0, done)

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        rate = self.peak_rate * rate_at(self.progress(batch), self.warmup_share)
        self.model.optimizer.learning_rate = rate

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        if self.max_seconds and self.progress(batch + 1) >= 1.0:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class RefreshBatchNorm(keras.callbacks.Callback):
    """Before every validation, recompute the statistics of batch normalization for the weights that are validated.

    Averaged weights (EMA) were never run on training data: the moving statistics belong to the latest weights,
    and while the learning rate is high the two differ enough to spoil validation. Training itself never uses
    moving statistics, so nothing has to be put back. As in stochastic weight averaging:
    https://arxiv.org/abs/1803.05407.

    Args:
        batches: Augmented training batches, `(images, masks)`.
    """

    def __init__(self, batches):
        super().__init__()
        self._batches = batches
        self._forward: Callable | None = None

    def on_test_begin(self, logs: dict | None = None) -> None:
        norms = [
            layer
            for layer in self.model._flatten_layers(include_self=False)
            if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        ]
        if not norms:
            return
        momenta = [layer.momentum for layer in norms]
        if self._forward is None:
            import tensorflow as tf

            # Momentum is read when the function is traced: 0 makes each batch's own statistics the moving ones.
            self._forward = tf.function(lambda x: self.model(x, training=True), reduce_retracing=True)
        sums: list = []
        count = 0
        for layer in norms:
            layer.momentum = 0.0
        for images, *_ in self._batches:
            self._forward(images)
            seen = [keras.ops.copy(v.value) for n in norms for v in (n.moving_mean, n.moving_variance)]
            sums = seen if not sums else [a + b for a, b in zip(sums, seen, strict=True)]
            count += 1
        for layer, momentum in zip(norms, momenta, strict=True):
            layer.momentum = momentum
        variables = [v for n in norms for v in (n.moving_mean, n.moving_variance)]
        for variable, total in zip(variables, sums, strict=True):
            variable.assign(total / count)
