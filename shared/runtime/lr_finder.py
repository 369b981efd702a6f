"""Learning-rate range test: one short run with a growing rate (Smith 2017, https://arxiv.org/abs/1506.01186)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from shared.config import TrainConfig
from shared.task import Splits, Task

STEPS = 100
LOWEST, HIGHEST = 1e-6, 1.0


@dataclasses.dataclass(frozen=True)
class RangeTest:
    """What the range test saw.

    Attributes:
        rates: Learning rate of every step, `(steps,)`, growing geometrically.
        losses: Exponentially smoothed training loss, `(steps,)`, cut where it diverged.
        suggestion: A tenth of the rate at the lowest loss: large, but well before divergence.
    """

    rates: np.ndarray
    losses: np.ndarray
    suggestion: float


def suggest(rates: Sequence[float], losses: Sequence[float], smoothing: float = 0.9) -> RangeTest:
    """Read the curve of a range test.

    Args:
        rates: Learning rate of every step.
        losses: Raw loss of every step; a NaN ends the curve.
        smoothing: Momentum of the bias-corrected moving average.

    Raises:
        ValueError: Fewer than ten steps had a finite loss.
    """
    smoothed: list[float] = []
    average = 0.0
    for step, loss in enumerate(losses):
        if not np.isfinite(loss):
            break
        average = smoothing * average + (1 - smoothing) * loss
        smoothed.append(average / (1 - smoothing ** (step + 1)))
        if step > 10 and smoothed[-1] > 4 * min(smoothed):
            break
    if len(smoothed) < 10:
        raise ValueError(
            f"losses must be finite for at least 10 steps, received {len(smoothed)}: check inputs and loss"
        )
    lowest = int(np.argmin(smoothed))
    kept = np.asarray(rates[: len(smoothed)], float)
    return RangeTest(kept, np.asarray(smoothed), float(kept[lowest] / 10))


class _Grow(keras.callbacks.Callback):
    def __init__(self, rates: np.ndarray):
        super().__init__()
        self.rates = rates
        self.losses: list[float] = []
        self._total = 0.0

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        self.model.optimizer.learning_rate.assign(self.rates[batch])

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        # Keras logs the running mean of the epoch; undo it.
        total = logs["loss"] * (batch + 1)
        self.losses.append(total - self._total)
        self._total = total
        if not np.isfinite(total) or (batch > 20 and self.losses[-1] > 10 * min(self.losses)):
            self.model.stop_training = True


def find_learning_rate(task: Task, config: TrainConfig, splits: Splits, folder: Path) -> RangeTest:
    """Run the range test on the task's first phase; draws `learning_rate.png` into `folder`.

    The weights are thrown away; the optimizer is the task's own with its schedule replaced.
    """
    model = task.build_model(config, splits)
    phase = task.phases(config)[0]
    phase.prepare(model)
    task.compile(model, config, phase, STEPS)
    # A schedule cannot be assigned to: give the optimizer a plain rate that the callback raises.
    model.optimizer._learning_rate = keras.Variable(LOWEST, dtype="float32", trainable=False, name="rate")
    rates = np.geomspace(LOWEST, HIGHEST, STEPS)
    grow = _Grow(rates)
    data = task.batches(splits.train, config, splits, training=True).repeat()
    model.fit(data, steps_per_epoch=STEPS, epochs=1, verbose=0, callbacks=[grow])
    result = suggest(rates, grow.losses)
    (folder / "learning_rate.png").write_bytes(_plot(result))
    return result


def _plot(result: RangeTest) -> bytes:
    from matplotlib import pyplot

    from shared.runtime.report import figure_png

    figure, axis = pyplot.subplots(figsize=(6, 3.6))
    axis.semilogx(result.rates, result.losses)
    axis.axvline(result.suggestion, color="tab:orange", label=f"suggestion {result.suggestion:.1e}")
    axis.set(xlabel="learning rate", ylabel="training loss (smoothed)")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.tight_layout()
    return figure_png(figure)


def describe(result: RangeTest) -> str:
    """One line for the terminal."""
    return (
        f"Learning-rate range test: lowest loss {result.losses.min():.4g} at {result.suggestion * 10:.1e}; "
        f"try --learning_rate {result.suggestion:.1e}"
    )
