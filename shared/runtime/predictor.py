"""Serving: a variant's graphs, run by ONNX Runtime (or by Keras, the reference), behind the app's Processor.

The default runtime imports neither TensorFlow nor Keras.
"""

from __future__ import annotations

import functools
import importlib
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from shared.runtime.variants import MissingWeights, Variant, find_variant, list_variants

Runtime = Literal["onnx", "keras"]
Arrays = Mapping[str, np.ndarray]


class Graph(Protocol):
    """A loaded model: named arrays in, named arrays out, batch first."""

    input_names: list[str]
    output_names: list[str]

    def __call__(self, inputs: Arrays) -> dict[str, np.ndarray]: ...


class OnnxGraph:
    """An exported graph in ONNX Runtime.

    Args:
        path: The `.onnx` file.
        threads: Threads inside one operator; all cores this process may use when None.
    """

    def __init__(self, path: Path | str, threads: int | None = None):
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or len(os.sched_getaffinity(0))
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Spinning threads would keep both cores busy between requests.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input_names = [i.name for i in self._session.get_inputs()]
        self.output_names = [o.name for o in self._session.get_outputs()]

    def __call__(self, inputs: Arrays) -> dict[str, np.ndarray]:
        feed = {name: np.ascontiguousarray(inputs[name]) for name in self.input_names}
        return dict(zip(self.output_names, self._session.run(None, feed), strict=True))


class KerasGraph:
    """The `.keras` file itself, the reference the exported graph is held to. Imports TensorFlow."""

    def __init__(self, path: Path | str | None = None, output_names: Sequence[str] = ("logits",), model=None):
        import keras
        import tensorflow as tf

        # Custom layers register themselves under the package "shared" when they are imported.
        importlib.import_module("shared.layers")
        self.model = model if model is not None else keras.saving.load_model(path, compile=False)
        self.input_names = [t.name for t in self.model.inputs]
        self.output_names = list(output_names)
        self._function = tf.function(lambda x: self.model(x, training=False), reduce_retracing=True)

    def __call__(self, inputs: Arrays) -> dict[str, np.ndarray]:
        feed = {name: np.asarray(inputs[name]) for name in self.input_names}
        outputs = self._function(feed if len(feed) > 1 else next(iter(feed.values())))
        if isinstance(outputs, Mapping):
            return {name: np.asarray(outputs[name]) for name in self.output_names}
        outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
        return {name: np.asarray(value) for name, value in zip(self.output_names, outputs, strict=True)}


class Processor:
    """Base of an app's `preprocessing.Processor`: raw input -> arrays -> typed result.

    Args:
        settings: `settings` of the variant's `config.json`.
        folder: The variant's folder, for vocabularies and other assets.
    """

    def __init__(self, settings: Mapping[str, Any], folder: Path):
        self.settings = settings
        self.folder = Path(folder)

    def preprocess(self, item: Any) -> dict[str, np.ndarray]:
        """One raw input -> named arrays without the batch axis."""
        raise NotImplementedError

    def postprocess(self, outputs: Arrays, item: Any, **options: Any) -> Any:
        """One example's outputs, without the batch axis -> a typed result of `shared.results`."""
        raise NotImplementedError

    def run(self, graphs: Mapping[str, Graph], items: Sequence[Any], **options: Any) -> list[Any]:
        """Answer a batch. Override where one pass through one graph is not all (speech decoding)."""
        arrays = [self.preprocess(item) for item in items]
        results: list[Any] = [None] * len(items)
        graph = next(iter(graphs.values()))
        # Inputs of one shape share a batch; text padded to other lengths makes a batch of its own.
        groups: dict[tuple, list[int]] = {}
        for index, named in enumerate(arrays):
            groups.setdefault(tuple(named[name].shape for name in sorted(named)), []).append(index)
        for indices in groups.values():
            batch = {name: np.stack([arrays[i][name] for i in indices]) for name in arrays[indices[0]]}
            outputs = graph(batch)
            for row, index in enumerate(indices):
                one = {name: value[row] for name, value in outputs.items()}
                results[index] = self.postprocess(one, items[index], **options)
        return results


class Predictor:
    """One variant, loaded and ready.

    Args:
        variant: Which model.
        runtime: `onnx` serves the exported graph; `keras` the `.keras` file (imports TensorFlow).
        threads: ONNX Runtime threads.
    """

    def __init__(self, variant: Variant, runtime: Runtime = "onnx", threads: int | None = None):
        self.variant = variant
        self.runtime = runtime
        processing = importlib.import_module(f"apps.{variant.app}.preprocessing")
        self.processor: Processor = processing.Processor(variant.settings, variant.folder)
        self._threads = threads

    @functools.cached_property
    def graphs(self) -> dict[str, Graph]:
        """The variant's graphs by name, loaded at first use after their hashes are checked."""
        outputs = self.variant.config["graphs"]
        loaded: dict[str, Graph] = {}
        for name, names in outputs.items():
            if self.runtime == "keras":
                loaded[name] = KerasGraph(self.variant.checked(f"{name}.keras"), names)
            else:
                for extra in self.variant.config["files"]:
                    if extra.endswith(".data"):
                        self.variant.checked(extra)
                loaded[name] = OnnxGraph(self.variant.checked(f"{name}.onnx"), self._threads)
        return loaded

    def predict(self, item: Any, **options: Any) -> Any:
        """Answer one raw input with a typed result."""
        return self.predict_batch([item], **options)[0]

    def predict_batch(self, items: Sequence[Any], **options: Any) -> list[Any]:
        """Answer several raw inputs; those of one shape run as one batch."""
        return self.processor.run(self.graphs, list(items), **options)


class ModelStore:
    """An app's variants, each loaded once, when it is first asked for. Safe for Gradio's worker threads.

    Args:
        app: App folder name.
        order: Variant names in the order the demo shows them; others follow.
        runtime: See `Predictor`.
        models_dir: Where variants are published.
    """

    def __init__(
        self,
        app: str,
        order: Iterable[str] = (),
        runtime: Runtime = "onnx",
        models_dir: Path | None = None,
    ):
        self.app = app
        self.runtime = runtime
        self._models_dir = models_dir
        self.variants = {v.name: v for v in list_variants(app, order, models_dir)}
        if not self.variants:
            first = next(iter(order), "custom")
            raise MissingWeights(
                f"No trained weights for {app} in {models_dir or 'models'}/{app}. Train them: "
                f"python -m apps.{app}.train --variant {first} --data PATH"
            )
        self._predictors: dict[str, Predictor] = {}
        self._lock = threading.Lock()

    @property
    def names(self) -> list[str]:
        """Variant names, the default first."""
        return list(self.variants)

    @property
    def default(self) -> str:
        """The variant the demo opens with."""
        return self.names[0]

    def __getitem__(self, name: str) -> Predictor:
        """The loaded predictor of a variant.

        Raises:
            MissingWeights: There is no such variant.
        """
        with self._lock:
            if name not in self._predictors:
                variant = self.variants.get(name) or find_variant(self.app, name, self._models_dir)
                predictor = Predictor(variant, self.runtime)
                _ = predictor.graphs
                self._predictors[name] = predictor
            return self._predictors[name]
