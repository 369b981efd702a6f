"""Training options: a frozen dataclass, a YAML file and a command line that never disagree.

The precedence is defaults < the named variant < YAML (`--config run.yaml`) < flags. An unknown key in the
file or on the command line is an error: a misspelt option that is silently ignored costs a training run.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

Storage = Literal["float32", "float16", "int8"]


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Options that every training run has; an app adds its own in a subclass.

    Attributes:
        variant: Name of the folder under `models/<app>/` that the run publishes.
        dataset: `folder` for your own data (then `data` names it) or `tfds:<name>`.
        data: Path of your own data.
        data_dir: Where TensorFlow Datasets keeps its prepared data; its own default when empty.
        seed: Seeds splits, initial weights, shuffling and augmentation.
        epochs: Passes over the training split.
        batch_size: Examples a step.
        learning_rate: Peak learning rate.
        weight_decay: Decoupled weight decay, applied to kernels and not to biases or normalization.
        early_stopping_patience: Stop after this many epochs without improvement; 0 never stops early.
        ema_momentum: Exponential moving average of the weights, 0 for none.
        deterministic: Bit-equal runs on one machine, at the price of speed.
        mixed_precision: Compute in bfloat16 where it pays (it does not on most CPUs).
        resume: Continue a killed run of this variant at the epoch it had reached.
        limit: Use at most this many training examples (a quick check); 0 uses all.
        storage: How the published weights are stored.
        run_dir: Where checkpoints, logs and reports of runs go.
        models_dir: Where finished variants are published.
        find_learning_rate: Run a learning-rate range test of 100 steps instead of training.
        tensorboard: Write TensorBoard logs beside the CSV log.
        strategy: `none`, or a tf.distribute strategy for more than one device or machine.
        init_from: Variant of the same app, or a `.keras` file, whose weights training starts from.
    """

    variant: str = "custom"
    dataset: str = "folder"
    data: str = ""
    data_dir: str = ""
    seed: int = 0
    epochs: int = 10
    batch_size: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    early_stopping_patience: int = 0
    ema_momentum: float = 0.0
    deterministic: bool = False
    mixed_precision: bool = False
    resume: bool = False
    limit: int = 0
    storage: Storage = "float16"
    run_dir: str = "runs"
    models_dir: str = "models"
    find_learning_rate: bool = False
    tensorboard: bool = False
    strategy: Literal["none", "mirrored", "multiworker"] = "none"
    init_from: str = ""

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise ValueError(f"epochs must be 0 or more, received {self.epochs}")
        if self.batch_size < 1:
            raise ValueError(f"batch_size must be 1 or more, received {self.batch_size}")
        if self.learning_rate <= 0:
            raise ValueError(f"learning_rate must be above 0, received {self.learning_rate}")
        if not 0 <= self.ema_momentum < 1:
            raise ValueError(f"ema_momentum must be in [0, 1), received {self.ema_momentum}")
        if self.dataset != "folder" and not self.dataset.startswith("tfds:"):
            raise ValueError(
                f"dataset must be 'folder' or 'tfds:<name>' (e.g. tfds:cifar10), received {self.dataset!r}"
            )

    def asdict(self) -> dict:
        """The options as plain JSON types."""
        return dataclasses.asdict(self)


ConfigT = TypeVar("ConfigT", bound=TrainConfig)


def parse_config(
    config_class: type[ConfigT],
    variants: Mapping[str, ConfigT],
    argv: Sequence[str] | None = None,
    *,
    prog: str | None = None,
    description: str = "",
) -> ConfigT:
    """Read a config from the command line.

    Args:
        config_class: The app's dataclass.
        variants: Named configs; `--variant NAME` takes that one's values as defaults. A name that is not
            among them starts from the class defaults (your own model).
        argv: Command line without the program name; `sys.argv[1:]` when None.
        prog: Program name shown in the help.
        description: First line of the help.

    Returns:
        The config.

    Raises:
        SystemExit: For an unknown flag or a value of the wrong type, with the reason on stderr.
    """
    # jsonargparse belongs to the training requirements; a demo reads this module without it.
    import sys

    from jsonargparse import ArgumentParser

    argv = _normalize(sys.argv[1:] if argv is None else argv, config_class)
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--variant", default=None)
    chosen = first.parse_known_args(argv)[0].variant
    defaults = variants.get(chosen) if chosen else None
    if defaults is None:
        defaults = config_class(variant=chosen or "custom")
    parser = ArgumentParser(prog=prog, description=description, exit_on_error=True)
    parser.add_argument("--config", action="config", help="YAML file with any of these options")
    parser.add_class_arguments(config_class, as_group=False)
    parser.set_defaults(defaults.asdict())
    values = parser.parse_args(argv).as_dict()
    values.pop("config", None)
    try:
        return config_class(**values)
    except ValueError as error:
        parser.error(str(error))


def _normalize(argv: Sequence[str], config_class: type[TrainConfig]) -> list[str]:
    """Let `--learning-rate` stand for `--learning_rate`, and a bare `--resume` for `--resume=true`."""
    booleans = {f.name for f in dataclasses.fields(config_class) if f.type in (bool, "bool")}
    result = []
    for position, word in enumerate(argv):
        if word.startswith("--") and len(word) > 2:
            name, equals, value = word[2:].partition("=")
            name = name.replace("-", "_")
            following = argv[position + 1] if position + 1 < len(argv) else "--"
            if name in booleans and not equals and following.lower() not in ("true", "false", "yes", "no"):
                equals, value = "=", "true"
            word = f"--{name}{equals}{value}"
        result.append(word)
    return result
