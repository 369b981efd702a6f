"""The fit loop: phases, callbacks and resuming a killed run at the epoch it had reached."""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from shared.config import TrainConfig
from shared.runtime.files import write_json
from shared.runtime.history import best_epoch, read_history
from shared.scale import build_under, make_strategy, scope, worker_index
from shared.task import Phase, Splits, Task


class Run:
    """A training run's folder: `runs/<app>/<variant>/` with config, state, logs and checkpoints.

    Args:
        task: The app's task.
        config: The run's options.

    Raises:
        ValueError: `--resume` with options that differ from the killed run's.
    """

    MAY_DIFFER = ("resume", "run_dir", "models_dir", "data", "data_dir")

    def __init__(self, task: Task, config: TrainConfig):
        self.task = task
        self.config = config
        self.folder = Path(config.run_dir) / task.app / config.variant
        if worker_index():  # workers may share a disk; the chief clears its own folder only
            self.folder = self.folder.with_name(f"{config.variant}-worker-{worker_index()}")
        if not config.resume and self.folder.exists():
            shutil.rmtree(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_same_options()
        write_json(self.folder / "config.json", config.asdict())
        self.state: dict[str, Any] = {"completed": [], "seconds": 0.0}
        if (self.folder / "state.json").exists():
            self.state = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))

    def _check_same_options(self) -> None:
        path = self.folder / "config.json"
        if not path.exists():
            return
        before, now = json.loads(path.read_text(encoding="utf-8")), self.config.asdict()
        different = [
            k for k in now if k not in self.MAY_DIFFER and before.get(k) != json.loads(json.dumps(now[k]))
        ]
        if different:
            raise ValueError(
                "resume continues the killed run with its own options; these differ: "
                + ", ".join(f"{k} was {before.get(k)!r}, received {now[k]!r}" for k in different)
            )

    def save_state(self) -> None:
        """Write `state.json` at once and whole."""
        write_json(self.folder / "state.json", self.state)

    def history(self) -> list[list[dict[str, float]]]:
        """Logged epochs, one list a phase."""
        return [
            read_history(self.folder / f"history-{i}.csv") for i in range(len(self.task.phases(self.config)))
        ]


class _Clock(keras.callbacks.Callback):
    """Adds the seconds of every finished epoch to the run's state, so that a resumed run reports all of them."""

    def __init__(self, run: Run):
        super().__init__()
        self._run = run
        self._since = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        now = time.monotonic()
        self._run.state["seconds"] += now - self._since
        self._since = now
        self._run.save_state()


class _ResumableSwapEMA(keras.callbacks.SwapEMAWeights):
    """SwapEMAWeights for a backup that was taken while the averaged weights were in the model."""

    def __init__(self, resumed: bool):
        super().__init__(swap_on_epoch=True)
        self._ema_weights_in_model = resumed


class _ResumableEarlyStopping(keras.callbacks.EarlyStopping):
    """EarlyStopping that remembers, from the log, what a killed run had already waited."""

    def __init__(self, rows: Sequence[dict[str, float]], **options: Any):
        super().__init__(**options)
        self._rows = rows

    def on_train_begin(self, logs: dict | None = None) -> None:
        super().on_train_begin(logs)
        at = best_epoch(self._rows, self.monitor, "max" if self.mode == "max" else "min")
        if at is not None:
            self.best = self._rows[at][self.monitor]
            self.wait = len(self._rows) - 1 - at
            self.best_epoch = at


def fit(task: Task, config: TrainConfig, splits: Splits, run: Run) -> keras.Model:
    """Train through all phases and return the model with the best checkpoint's weights, read from disk.

    Raises:
        FloatingPointError: The loss became NaN or infinite.
    """
    strategy = make_strategy(config.strategy)
    train_examples = splits.train[: config.limit] if config.limit else splits.train
    steps = max(1, math.ceil(len(train_examples) / config.batch_size))
    with scope(strategy):
        model = task.build_model(config, splits)
    if config.init_from:
        load_initial_weights(model, task, config)
    for index, phase in enumerate(task.phases(config)):
        best = run.folder / f"best-{index}.weights.h5"
        if index in run.state["completed"]:
            phase.prepare(model)
            model.load_weights(best)
            continue
        print(f"\nPhase {index + 1}: {phase.name}, {phase.epochs} epochs", flush=True)
        with scope(strategy):
            phase.prepare(model)
            task.compile(model, config, phase, steps)
        train = task.batches(train_examples, config, splits, training=True)
        validation = task.batches(splits.validation, config, splits, training=False)
        build_under(strategy, model, train)
        model.fit(
            train,
            validation_data=validation,
            epochs=phase.epochs,
            callbacks=_callbacks(task, config, splits, run, model, index),
            verbose=2 if not os.isatty(1) else 1,
        )
        rows = read_history(run.folder / f"history-{index}.csv")
        if rows and not math.isfinite(rows[-1].get("loss", 0.0)):
            raise FloatingPointError(
                f"the loss became {rows[-1]['loss']} in epoch {len(rows)} of phase {phase.name!r}: "
                f"lower --learning_rate (now {phase.learning_rate}) or check the data for extreme values"
            )
        if not best.exists():  # no validation value was logged
            model.save_weights(best)
        model.load_weights(best)
        _check_finite(model, phase)
        run.state["completed"].append(index)
        run.save_state()
        shutil.rmtree(run.folder / f"backup-{index}", ignore_errors=True)
    return model


def _check_finite(model: keras.Model, phase: Phase) -> None:
    """A ReLU hides NaN: the loss can look ordinary while the weights before it are lost."""
    for weight in model.weights:
        values = keras.ops.convert_to_numpy(weight)
        if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
            raise FloatingPointError(
                f"weight {weight.path!r} became NaN or infinite in phase {phase.name!r}: lower --learning_rate "
                f"(now {phase.learning_rate}) or check the data for missing and extreme values"
            )


def _callbacks(
    task: Task,
    config: TrainConfig,
    splits: Splits,
    run: Run,
    model: keras.Model,
    index: int,
) -> list[keras.callbacks.Callback]:
    """Order matters: the averaged weights are swapped in first, so that the app's own validation values and
    the best checkpoint are theirs; the backup is last, so that a kill at any point repeats an epoch (the later
    row of the log counts) and never loses one."""
    log = run.folder / f"history-{index}.csv"
    backup = run.folder / f"backup-{index}"
    rows = read_history(log) if backup.exists() else []
    if not rows and log.exists():
        log.unlink()
    at = best_epoch(rows, task.monitor, task.monitor_mode)
    callbacks: list[keras.callbacks.Callback] = [keras.callbacks.TerminateOnNaN()]
    if getattr(model.optimizer, "use_ema", False):
        callbacks.append(_ResumableSwapEMA(resumed=bool(rows)))
    callbacks += task.callbacks(config, splits)
    callbacks.append(
        keras.callbacks.ModelCheckpoint(
            str(run.folder / f"best-{index}.weights.h5"),
            monitor=task.monitor,
            mode=task.monitor_mode,
            save_best_only=True,
            save_weights_only=True,
            initial_value_threshold=rows[at][task.monitor] if at is not None else None,
        )
    )
    callbacks.append(keras.callbacks.CSVLogger(str(log), append=bool(rows)))
    if config.early_stopping_patience:
        callbacks.append(
            _ResumableEarlyStopping(
                rows,
                monitor=task.monitor,
                mode=task.monitor_mode,
                patience=config.early_stopping_patience,
                verbose=1,
            )
        )
    if config.tensorboard:
        callbacks.append(keras.callbacks.TensorBoard(str(run.folder / "tensorboard" / str(index))))
    callbacks.append(_Clock(run))
    callbacks.append(
        keras.callbacks.BackupAndRestore(str(backup), double_checkpoint=True, delete_checkpoint=False)
    )
    return callbacks


def load_initial_weights(model: keras.Model, task: Task, config: TrainConfig) -> None:
    """Start from the weights of another variant or `.keras` file, layer by layer, where name and shapes agree.

    Raises:
        FileNotFoundError: There is no such variant or file.
        ValueError: No layer of the file fits the model.
    """
    path = Path(config.init_from)
    if path.suffix != ".keras":
        path = Path(config.models_dir) / task.app / config.init_from / "model.keras"
    if not path.is_file():
        raise FileNotFoundError(
            f"init_from must name a variant or a .keras file, received {config.init_from!r}"
        )
    source = {layer.name: layer for layer in _leaves(keras.saving.load_model(path, compile=False))}
    taken = 0
    for layer in _leaves(model):
        other = source.get(layer.name)
        if other is None or not layer.weights:
            continue
        if [w.shape for w in layer.weights] == [w.shape for w in other.weights]:
            layer.set_weights(other.get_weights())
            taken += 1
    if not taken:
        raise ValueError(
            f"init_from: no layer of {path.name} has the name and shape of a layer of this model"
        )
    print(f"Weights of {taken} layers taken from {path.name}", flush=True)


def _leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Layers of a model and of the models in it; not what is inside a layer, whose names repeat (a transformer's
    blocks all have a `self_attention_layer`): a layer is taken whole."""
    for layer in model.layers:
        if getattr(layer, "layers", None):
            yield from _leaves(layer)
        else:
            yield layer
