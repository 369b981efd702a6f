"""Seeds, precision and what a run should remember of the machine it ran on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from typing import Any

from shared.config import TrainConfig

PACKAGES = ("keras", "tensorflow", "keras-hub", "onnxruntime", "numpy")


def prepare(config: TrainConfig) -> None:
    """Seed Python, NumPy and TensorFlow; set determinism and precision. Call before a layer is made."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(config.seed)
    if config.deterministic:
        tf.config.experimental.enable_op_determinism()
    # Preset constructors ignore a dtype argument in some layers; the global policy reaches all of them.
    keras.config.set_dtype_policy("mixed_bfloat16" if config.mixed_precision else "float32")


def machine() -> dict[str, Any]:
    """Processor, cores, memory and package versions."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as stream:
            model = next(line.split(":", 1)[1].strip() for line in stream if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    versions = {}
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": versions,
    }


def public_options(config: TrainConfig) -> dict[str, Any]:
    """The options as they may be published: where data and results lay on this machine becomes a bare name."""
    options = config.asdict() | {"resume": False, "data_dir": "", "run_dir": "runs", "models_dir": "models"}
    return {
        name: os.path.basename(os.path.normpath(value))
        if (name == "data" and value) or _is_place(value)
        else value
        for name, value in options.items()
    }


def _is_place(value: Any) -> bool:
    return isinstance(value, str) and (os.path.isabs(value) or value.startswith(("..", "~")))


def public_command(app: str, verb: str, argv: list[str]) -> str:
    """The command line as it may be published: paths of this machine become `PATH/<last part>`."""
    words = []
    for word in argv:
        head, equals, value = word.partition("=")
        target = value if equals else word
        if _is_place(target):
            target = f"PATH/{os.path.basename(os.path.normpath(target))}"
        words.append(f"{head}={target}" if equals else target)
    return " ".join(["python", "-m", f"apps.{app}.{verb}", *words])
