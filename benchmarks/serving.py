"""One exported model in every runtime: latency, throughput, start-up and memory.

`python -m benchmarks.serving [APP/VARIANT ...]`: each runtime runs in a process of its own, so that start-up and
memory are its own. Inputs are random arrays of the graph's own shapes: the arithmetic does not depend on them.
LiteRT converts the Keras file, OpenVINO reads the ONNX file (float32 is asked for; its default is bfloat16).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import median_ms, record, resident_mb
from shared.runtime.variants import Variant, find_variant

NAME = "serving"
DEFAULT = ["image_classification/imagenet", "segmentation/road_scenes", "object_detection/blood_cells"]
RUNTIMES = ["onnxruntime", "keras tf.function", "keras predict_on_batch", "litert", "openvino"]
BATCHES = (1, 8)


def inputs_of(variant: Variant, batch: int) -> dict[str, np.ndarray]:
    """Random float inputs; free spatial dimensions get 224."""
    import onnxruntime as ort

    path = variant.folder / f"{variant.graph_names[0]}.onnx"
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    return {
        node.name: rng.normal(
            size=[batch, *[d if isinstance(d, int) else 224 for d in node.shape[1:]]]
        ).astype("float32")
        for node in session.get_inputs()
    }


def onnxruntime_call(variant: Variant) -> Callable[[dict[str, np.ndarray]], Any]:
    from shared.runtime.predictor import OnnxGraph

    return OnnxGraph(variant.folder / f"{variant.graph_names[0]}.onnx")


def keras_call(variant: Variant, *, predict: bool) -> Callable[[dict[str, np.ndarray]], Any]:
    from shared.runtime.predictor import KerasGraph

    name = variant.graph_names[0]
    graph = KerasGraph(variant.folder / f"{name}.keras", variant.config["graphs"][name])
    if not predict:
        return graph
    return lambda inputs: graph.model.predict_on_batch(next(iter(inputs.values())))


def litert_call(variant: Variant) -> Callable[[dict[str, np.ndarray]], Any]:
    import keras
    from ai_edge_litert.interpreter import Interpreter

    import shared.layers  # noqa: F401 - registers the custom layers

    path = Path(tempfile.mkdtemp()) / "model.tflite"
    if (cached := variant.folder.parents[2] / "build" / f"{variant.app}-{variant.name}.tflite").exists():
        path = cached
    else:
        model = keras.saving.load_model(variant.folder / f"{variant.graph_names[0]}.keras", compile=False)
        model.export(str(path), format="litert", verbose=False)
        cached.parent.mkdir(exist_ok=True)
        cached.write_bytes(path.read_bytes())
    interpreter = Interpreter(str(path), num_threads=2)
    allocated: list[bool] = []

    def call(inputs: dict[str, np.ndarray]) -> Any:
        value = next(iter(inputs.values()))
        node = interpreter.get_input_details()[0]
        if tuple(node["shape"]) != value.shape or not allocated:
            interpreter.resize_tensor_input(node["index"], value.shape)
            interpreter.allocate_tensors()
            allocated.append(True)
        interpreter.set_tensor(node["index"], value)
        interpreter.invoke()
        return [interpreter.get_tensor(o["index"]) for o in interpreter.get_output_details()]

    return call


def openvino_call(variant: Variant) -> Callable[[dict[str, np.ndarray]], Any]:
    import openvino

    model = openvino.Core().compile_model(
        str(variant.folder / f"{variant.graph_names[0]}.onnx"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    return lambda inputs: model(list(inputs.values()))


MAKERS: dict[str, Callable[[Variant], Callable[[dict[str, np.ndarray]], Any]]] = {
    "onnxruntime": onnxruntime_call,
    "keras tf.function": lambda v: keras_call(v, predict=False),
    "keras predict_on_batch": lambda v: keras_call(v, predict=True),
    "litert": litert_call,
    "openvino": openvino_call,
}


def measure(variant: Variant, runtime: str, repeats: int) -> dict[str, Any]:
    """One row, measured in this process."""
    batches = {b: inputs_of(variant, b) for b in BATCHES}
    before = resident_mb()
    begun = time.perf_counter()
    call = MAKERS[runtime](variant)
    call(batches[1])
    first_s = time.perf_counter() - begun
    row: dict[str, Any] = {"model": f"{variant.app}/{variant.name}", "runtime": runtime}
    for batch in BATCHES:
        milliseconds = median_ms(lambda b=batch: call(batches[b]), repeats=repeats)
        row[f"batch {batch}, ms"] = round(milliseconds, 2)
        row[f"batch {batch}, items/s"] = round(1000 * batch / milliseconds, 1)
    row["import, load and first answer, s"] = round(first_s, 2)
    row["memory added, MB"] = round(resident_mb() - before)
    return row


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=__doc__)
    parser.add_argument("models", nargs="*", default=DEFAULT, metavar="APP/VARIANT")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--runtimes", nargs="*", choices=RUNTIMES, default=RUNTIMES)
    parser.add_argument("--data", help="not needed here")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(
            "ROW "
            + json.dumps(measure(find_variant(*options.models[0].split("/")), options.child, options.repeats))
        )
        return
    rows = []
    for model in options.models:
        for runtime in options.runtimes:
            words = [sys.executable, "-m", "benchmarks.serving", model, "--child", runtime]
            words += ["--repeats", str(options.repeats)]
            done = subprocess.run(words, capture_output=True, text=True)
            found = [line[4:] for line in done.stdout.splitlines() if line.startswith("ROW ")]
            if found:
                rows.append(json.loads(found[0]))
            else:
                reason = (done.stderr.strip().splitlines() or ["no output"])[-1][:100]
                rows.append({"model": model, "runtime": runtime, "batch 1, ms": f"failed: {reason}"})
    record(
        NAME,
        "Runtimes on the same exported models",
        rows,
        sys.argv[1:],
        packages=["onnxruntime", "openvino", "ai-edge-litert"],
        notes="Each runtime in a process of its own, two threads. Memory is what the runtime and the model add.",
    )


if __name__ == "__main__":
    main()
