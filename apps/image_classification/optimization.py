"""Optimizer and schedule, and what airbench adds to them."""

from __future__ import annotations

import keras

from apps.image_classification.config import ImageClassificationConfig


class TriangularSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Rises in a straight line to the peak and falls in another.

    Args:
        peak: Highest learning rate.
        steps: Steps of the whole training.
        rise: Share of the steps before the peak.
        start: Share of the peak at the first step.
        end: Share of the peak at the last step.
    """

    def __init__(self, peak: float, steps: int, rise: float = 0.23, start: float = 0.2, end: float = 0.07):
        self.peak, self.steps, self.rise, self.start, self.end = peak, steps, rise, start, end

    def __call__(self, step):
        x = keras.ops.cast(step, "float32") / max(1, self.steps)
        up = self.start + (1 - self.start) * x / self.rise
        down = 1 - (1 - self.end) * (x - self.rise) / (1 - self.rise)
        return self.peak * keras.ops.where(x < self.rise, up, keras.ops.maximum(down, self.end))

    def get_config(self) -> dict:
        return {
            "peak": self.peak,
            "steps": self.steps,
            "rise": self.rise,
            "start": self.start,
            "end": self.end,
        }


class FastBiasSGD(keras.optimizers.SGD):
    """SGD with a higher learning rate for the biases of batch normalization (Page 2018, "How to train your ResNet").

    Args:
        bias_factor: Times the learning rate of the other weights.
        **options: See `keras.optimizers.SGD`.
    """

    def __init__(self, *args, bias_factor: float = 64.0, **options):
        super().__init__(*args, **options)
        self.bias_factor = bias_factor

    def update_step(self, gradient, variable, learning_rate):
        # The backend's variable comes in; Keras's own, with the name it was made with, stands at its index.
        if self._trainable_variables[self._get_variable_index(variable)].name == "beta":
            learning_rate = learning_rate * self.bias_factor
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict:
        return super().get_config() | {"bias_factor": self.bias_factor}


class Lookahead(keras.callbacks.Callback):
    """Every few steps the weights return to a running average of themselves, ever nearer to it.

    As in airbench94: the share of the average rises with the cube of the progress to `strength`; at the end
    the average is the result.

    Args:
        steps: Steps of the whole training.
        every: Steps between two updates.
        strength: Share of the average at the end.
        done: Steps that a resumed run has behind it, for each finished epoch.
    """

    def __init__(self, steps: int, steps_per_epoch: int, every: int = 5, strength: float = 0.95**5):
        super().__init__()
        self.steps, self.steps_per_epoch = steps, steps_per_epoch
        self.every, self.strength = every, strength
        self._slow: list = []
        self._step = 0

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self._step = epoch * self.steps_per_epoch
        if not self._slow:
            # After a resume the average restarts from the weights, which stand next to it.
            self._slow = [keras.ops.copy(v.value) for v in self._variables()]

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self._step += 1
        if self._step >= self.steps:
            self._update(1.0)
        elif self._step % self.every == 0:
            self._update(self.strength * (self._step / self.steps) ** 3)

    def _variables(self) -> list:
        return [v for v in self.model.variables if str(v.dtype).startswith("float")]

    def _update(self, decay: float) -> None:
        for index, variable in enumerate(self._variables()):
            slow = self._slow[index]
            slow = slow + (1 - decay) * (variable.value - slow)
            self._slow[index] = slow
            variable.assign(slow)


def build_optimizer(config: ImageClassificationConfig, steps: int) -> keras.optimizers.Optimizer:
    """AdamW with warm-up and cosine decay for a pretrained model, Nesterov SGD with a triangle from scratch.

    Weight decay is decoupled and acts on kernels only.

    Args:
        config: `learning_rate`, `weight_decay`, `ema_momentum`, `model`.
        steps: Steps of the whole training.
    """
    options = {
        "weight_decay": config.weight_decay or None,
        "use_ema": config.ema_momentum > 0,
        "ema_momentum": config.ema_momentum or 0.99,
    }
    if config.pretrained:
        warmup = max(1, steps // 10)
        schedule = keras.optimizers.schedules.CosineDecay(
            config.learning_rate * 0.01,
            max(1, steps - warmup),
            alpha=0.01,
            warmup_target=config.learning_rate,
            warmup_steps=warmup,
        )
        optimizer = keras.optimizers.AdamW(schedule, clipnorm=1.0, **options)
    elif config.model == "airbench":
        schedule = TriangularSchedule(config.learning_rate, steps)
        optimizer = FastBiasSGD(schedule, momentum=0.85, nesterov=True, **options)
    else:
        schedule = TriangularSchedule(config.learning_rate, steps, start=0.1, end=0.0)
        optimizer = keras.optimizers.SGD(schedule, momentum=0.9, nesterov=True, **options)
    if config.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
