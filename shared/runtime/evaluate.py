"""Score a published variant again: `python -m apps.<app>.evaluate --variant NAME --data PATH`."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.config import parse_config
from shared.runtime import environment
from shared.runtime.predictor import Predictor
from shared.runtime.variants import find_variant
from shared.task import Task


def main(task: Task, argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Command line of every app's `evaluate.py`: prints test metrics beside the published ones.

    `--runtime keras` scores the `.keras` file instead of the exported graph; `--split validation` another split.
    The other flags are those of training and start from the options the variant was trained with.

    Raises:
        SystemExit: The variant or the data is missing, or a figure differs from the published one (exit code 1).
    """
    import argparse

    argv = list(sys.argv[1:] if argv is None else argv)
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--variant", required=True)
    own.add_argument("--runtime", choices=["onnx", "keras"], default="onnx")
    own.add_argument("--split", choices=["validation", "test"], default="test")
    own.add_argument("--models_dir", "--models-dir", default="models")
    options, rest = own.parse_known_args(argv)
    try:
        variant = find_variant(task.app, options.variant, Path(options.models_dir))
    except FileNotFoundError as error:
        raise SystemExit(f"error: {error}") from error
    trained = task.config_class(**variant.config["train"])
    config = parse_config(
        task.config_class,
        {options.variant: dataclasses.replace(trained, data="")},
        ["--variant", options.variant, *rest],
        prog=f"python -m apps.{task.app}.evaluate",
    )
    environment.prepare(config)
    splits = task.load_splits(config)
    examples = splits.test if options.split == "test" else splits.validation
    evaluation = task.evaluate(Predictor(variant, options.runtime), examples, config)
    published = variant.metrics.get(options.split, {})
    differs = False
    for name, value in evaluation.metrics.items():
        known = published.get(name)
        note = "" if known is None else f"   published {known:.4f}"
        if known is not None and abs(known - value) > 5e-4 * max(1.0, abs(known)):
            note += "   DIFFERS"
            differs = True
        print(f"{name:28s} {value:.4f}{note}")
    for title, rows in evaluation.tables.items():
        print(f"\n{title}")
        for row in rows[:40]:
            print("  " + json.dumps(row, ensure_ascii=False))
    if differs:
        raise SystemExit(1)
    return evaluation.metrics
