"""The contract an app fills: one class with the hooks the shared runtime calls.

An app's `task.py` holds `TASK = <App>Task()`. `shared.runtime.train` runs the hooks in this order:
`load_splits` -> `check_data` -> `baseline` -> `build_model` -> `phases`/`compile`/`batches` (fit) ->
`export_graphs` -> `save_assets` -> `settings` -> `evaluate`. Only training imports this side; a demo needs
the app's `preprocessing.Processor` and the exported graphs alone.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from shared.config import TrainConfig

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf

    from shared.runtime.predictor import Predictor


@dataclasses.dataclass(frozen=True)
class Splits:
    """Three fixed, disjoint splits.

    Attributes:
        train: Sequence of the app's own example type.
        validation: The split every decision is made on.
        test: The split no decision sees; scored once, after export.
        info: What the model must remember of the data (class names, ...), as JSON types.
    """

    train: Sequence[Any]
    validation: Sequence[Any]
    test: Sequence[Any]
    info: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class DataCheck:
    """What a look at the data found.

    Attributes:
        counts: Rows of a table, e.g. one a class with its count in each split.
        problems: Things the owner of the data should know; training goes on.
        contact_sheet: PNG bytes of a sample of the data, or None where a picture says nothing.
    """

    counts: list[dict[str, Any]]
    problems: list[str] = dataclasses.field(default_factory=list)
    contact_sheet: bytes | None = None


@dataclasses.dataclass(frozen=True)
class Phase:
    """One call of fit.

    Attributes:
        name: Shown in logs and reports.
        epochs: Epochs of this phase.
        learning_rate: Peak learning rate of this phase.
        prepare: Changes the model before it is compiled, e.g. freezes the backbone.
    """

    name: str
    epochs: int
    learning_rate: float
    prepare: Callable[[keras.Model], None] = lambda model: None


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Scores on one split, as the report and `metrics.json` show them.

    Attributes:
        metrics: Name -> number; the first is the headline.
        tables: Title -> rows (per class, per speaker, confusion matrix, ...).
        figures: Title -> PNG bytes (precision-recall curve, reliability diagram, ...).
        mistakes: Worst mistakes, at most about 24: dicts with `caption` and optionally `image` (PNG bytes).
    """

    metrics: dict[str, float]
    tables: dict[str, list[dict[str, Any]]] = dataclasses.field(default_factory=dict)
    figures: dict[str, bytes] = dataclasses.field(default_factory=dict)
    mistakes: list[dict[str, Any]] = dataclasses.field(default_factory=list)


class Task(abc.ABC):
    """Base of every app's task; see the module docstring for the order of the calls."""

    app: ClassVar[str]
    """Folder name under `apps/`."""
    config_class: ClassVar[type[TrainConfig]]
    variants: ClassVar[Mapping[str, TrainConfig]]
    """Named configs: those shipped in `models/`, first the demo's default."""
    monitor: ClassVar[str] = "val_loss"
    """Logged value the best checkpoint is chosen by."""
    monitor_mode: ClassVar[str] = "min"
    headline: ClassVar[str]
    """Name of the test metric shown first, e.g. `accuracy`."""
    higher_is_better: ClassVar[bool] = True
    pipeline_tag: ClassVar[str]
    """Hugging Face task name, e.g. `image-classification`; the model card and the Space use it."""

    @abc.abstractmethod
    def load_splits(self, config: TrainConfig) -> Splits:
        """Read the data; every problem is named by file and line, all of them in one error."""

    @abc.abstractmethod
    def check_data(self, splits: Splits, config: TrainConfig) -> DataCheck:
        """Count, look for trouble, draw a contact sheet."""

    @abc.abstractmethod
    def batches(
        self, examples: Sequence[Any], config: TrainConfig, splits: Splits, *, training: bool
    ) -> tf.data.Dataset:
        """Examples -> batched, prefetched `(inputs, targets[, weights])`.

        `training` shuffles (anew each epoch, seeded) and augments; otherwise the order is kept.
        Preprocessing is the app's `preprocessing.py`, the same functions that serve.
        """

    @abc.abstractmethod
    def build_model(self, config: TrainConfig, splits: Splits) -> keras.Model:
        """A model with random or pretrained weights whose outputs are logits."""

    @abc.abstractmethod
    def compile(self, model: keras.Model, config: TrainConfig, phase: Phase, steps_per_epoch: int) -> None:
        """Attach optimizer, schedule, loss and metrics for one phase."""

    @abc.abstractmethod
    def evaluate(self, predictor: Predictor, examples: Sequence[Any], config: TrainConfig) -> Evaluation:
        """Score the exported graphs through the same predictor that serves."""

    @abc.abstractmethod
    def baseline(self, splits: Splits, config: TrainConfig) -> dict[str, float]:
        """Test metrics of a trivial rule (majority class, popularity, mean mask ...)."""

    @abc.abstractmethod
    def settings(self, config: TrainConfig, splits: Splits) -> dict[str, Any]:
        """What the app's `Processor` needs to know to serve: sizes, class names, thresholds (JSON)."""

    def phases(self, config: TrainConfig) -> tuple[Phase, ...]:
        """The calls of fit; one by default."""
        return (Phase("train", config.epochs, config.learning_rate),)

    def callbacks(self, config: TrainConfig, splits: Splits) -> list[keras.callbacks.Callback]:
        """More callbacks for fit, such as a validation metric of the field."""
        return []

    def calibrate(self, model: keras.Model, config: TrainConfig, splits: Splits) -> dict[str, Any]:
        """Decisions made on validation after training (temperature, thresholds); merged into settings."""
        return {}

    def graphs(self, model: keras.Model, config: TrainConfig) -> dict[str, keras.Model]:
        """Models to export, by file name without ending; the first is the reference `model`."""
        return {"model": model}

    def output_names(self, config: TrainConfig) -> dict[str, list[str]]:
        """Names of the outputs of each graph."""
        return {"model": ["logits"]}

    def write_graphs(
        self, model: keras.Model, config: TrainConfig, folder: Path
    ) -> dict[str, list[str]] | None:
        """Write and check the served graphs yourself; None (the default) exports `graphs` the common way.

        Returns:
            Graph name -> output names. No `.keras` files are expected then, and `parity_inputs` answers None.
        """
        return None

    def keep_keras(self, config: TrainConfig) -> bool:
        """Whether the `.keras` files are published too; False where they would be too large to ship.

        Parity is checked before they are dropped.
        """
        return True

    def parity_inputs(
        self,
        predictor: Predictor,
        graph: str,
        examples: Sequence[Any],
        collect: Callable[[Predictor, Sequence[Any]], dict[str, np.ndarray]],
    ) -> dict[str, np.ndarray] | None:
        """A batch of real inputs of one graph for the Keras-against-ONNX check, or None to leave the graph out.

        The default preprocesses the examples' raw inputs: attribute `input` of an example, or the example
        itself. `collect(predictor, items)` preprocesses and stacks.
        """
        return collect(predictor, [getattr(example, "input", example) for example in examples])

    def save_assets(self, folder: Path, config: TrainConfig, splits: Splits) -> None:  # noqa: B027
        """Write vocabularies and the like beside the graphs; nothing by default."""

    def card(self, config: TrainConfig) -> dict[str, Any]:
        """Facts for the model card: `summary`, `data`, `licence`, `limits`, `dataset_name`, `language`."""
        return {}
