"""Export: Keras model -> `.keras` and `.onnx` in a folder, both on one storage grid, held equal by a check."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shared.config import Storage, TrainConfig
from shared.runtime import environment
from shared.runtime.predictor import KerasGraph, OnnxGraph
from shared.runtime.publish import finish_config, publish, staging_folder
from shared.runtime.variants import find_variant
from shared.task import Task

TOLERANCE = 1e-3
"""Largest accepted difference of a logit between Keras and ONNX."""


class ParityError(ValueError):
    """The exported graph does not answer as the Keras model does."""


def export_graphs(task: Task, model: Any, config: TrainConfig, folder: Path) -> dict[str, list[str]]:
    """Write `<name>.keras` and `<name>.onnx` for every graph of the task.

    The weights are first rounded onto the storage grid (`config.storage`), so the Keras file, the graph and
    whatever is measured afterwards are one model.

    Returns:
        Graph name -> output names, as `config.json` keeps them.
    """
    written = task.write_graphs(model, config, folder)
    if written is not None:
        return written
    outputs = task.output_names(config)
    graphs = task.graphs(model, config)
    for name, graph in graphs.items():
        write_graph(graph, folder, name, outputs[name], config.storage)
    return {name: list(outputs[name]) for name in graphs}


def write_graph(model: Any, folder: Path, name: str, outputs: Sequence[str], grid: Storage) -> None:
    """Round one model's weights onto a storage grid and write it as `<name>.keras` and `<name>.onnx`."""
    from shared.runtime import storage

    storage.round_weights(model, grid)
    storage.save_keras(model, folder / f"{name}.keras", grid)
    storage.export_onnx(model, folder / f"{name}.onnx", output_names=outputs)
    storage.shrink_onnx(folder / f"{name}.onnx", grid)


def check_parity(folder: Path, name: str, outputs: Sequence[str], inputs: dict[str, np.ndarray]) -> float:
    """Largest absolute difference between the stored Keras model and the stored graph.

    Args:
        folder: Where both lie.
        name: Graph name.
        outputs: Output names.
        inputs: A batch of real, preprocessed inputs.

    Raises:
        ParityError: It exceeds `TOLERANCE` for an output of ordinary scale (relative above 1).
    """
    reference = KerasGraph(folder / f"{name}.keras", outputs)(inputs)
    served = OnnxGraph(folder / f"{name}.onnx")(inputs)
    worst = 0.0
    for output in outputs:
        scale = max(1.0, float(np.abs(reference[output]).max()))
        difference = float(np.abs(reference[output] - served[output]).max())
        if not difference <= TOLERANCE * scale:
            raise ParityError(
                f"{name}.onnx answers differently from {name}.keras: output {output!r} is off by {difference:.3g} "
                f"(at most {TOLERANCE * scale:.3g} is accepted)"
            )
        worst = max(worst, difference)
    return worst


def parity_inputs(predictor: Any, items: Sequence[Any]) -> dict[str, np.ndarray]:
    """Preprocess raw inputs of one shape into a batch; those of other shapes are left out."""
    arrays = [predictor.processor.preprocess(item) for item in items]
    shapes = [tuple(sorted((k, v.shape) for k, v in a.items())) for a in arrays]
    same = [a for a, s in zip(arrays, shapes, strict=True) if s == shapes[0]]
    return {name: np.stack([a[name] for a in same]) for name in same[0]}


def main(task: Task, argv: Sequence[str] | None = None) -> Path:
    """Command line: export a published variant again from its `.keras` file, e.g. after a converter update."""
    import argparse
    import shutil

    import keras

    parser = argparse.ArgumentParser(prog=f"python -m apps.{task.app}.export", description=main.__doc__)
    parser.add_argument("--variant", required=True, help="name under models/" + task.app)
    parser.add_argument("--models_dir", "--models-dir", default="models")
    parser.add_argument("--storage", choices=["float32", "float16", "int8"], default=None)
    options = parser.parse_args(argv)
    variant = find_variant(task.app, options.variant, Path(options.models_dir))
    config = task.config_class(**variant.config["train"])
    chosen = options.storage or config.storage
    environment.prepare(config)
    # A `.keras` file names its layers: whoever loads one has to have imported them.
    importlib.import_module("shared.layers")
    with staging_folder(task.app, options.variant, Path(options.models_dir)) as folder:
        shutil.copytree(variant.folder, folder, dirs_exist_ok=True)
        for name, outputs in variant.config["graphs"].items():
            path = variant.checked(f"{name}.keras")
            model = keras.saving.load_model(path, compile=False)
            write_graph(model, folder, name, outputs, chosen)
        stored = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        stored["train"]["storage"] = chosen
        finish_config(folder, stored)
        published = publish(folder, variant.folder)
    print(f"Exported {published}; score it: python -m apps.{task.app}.evaluate --variant {options.variant}")
    return published
