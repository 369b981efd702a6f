"""Training past one device: the tf.distribute strategies behind `--strategy`."""

from __future__ import annotations

import contextlib
import json
import os
from typing import Any


def make_strategy(name: str) -> Any | None:
    """The tf.distribute strategy of that name, or None for plain training on one device.

    `mirrored` copies the model onto every device of this machine. `multiworker` joins the processes that the
    environment variable `TF_CONFIG` names, one a machine, by all-reduce
    (https://www.tensorflow.org/guide/distributed_training).

    Raises:
        ValueError: Unknown name, or `multiworker` without `TF_CONFIG`.
    """
    if name == "none":
        return None
    import tensorflow as tf

    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if name == "multiworker":
        if "TF_CONFIG" not in os.environ:
            raise ValueError(
                "strategy multiworker needs the environment variable TF_CONFIG, which names every worker: "
                "https://www.tensorflow.org/guide/distributed_training#TF_CONFIG"
            )
        return tf.distribute.MultiWorkerMirroredStrategy()
    raise ValueError(f"strategy must be none, mirrored or multiworker, received {name!r}")


def scope(strategy: Any | None) -> contextlib.AbstractContextManager:
    """The strategy's scope, or nothing to enter for None."""
    return contextlib.nullcontext() if strategy is None else strategy.scope()


def build_under(strategy: Any | None, model: Any, dataset: Any) -> None:
    """Build metrics, loss and optimizer of a compiled model before it is fitted under a strategy.

    Keras builds them from the first batch, averaged over the replicas, and fails where a worker has one device:
    the batch is then still a `PerReplica` value. An ordinary batch does the same here.
    """
    if strategy is None:
        return
    _mean_of_scalars()
    with strategy.scope():
        model._symbolic_build(data_batch=next(iter(dataset)))
    model._maybe_symbolic_build = lambda **_: None


def _mean_of_scalars() -> None:
    """Average a step's logs over all workers without an axis: they are scalars, and Keras asks for axis 0."""
    import keras
    import tensorflow as tf
    from keras.src.backend.tensorflow import trainer

    original = trainer.reduce_per_replica
    if getattr(original, "reduces_scalars", False):
        return

    def reduce_per_replica(values: Any, strategy: Any, reduction: str) -> Any:
        several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        if several and reduction in ("auto", "mean"):
            return keras.tree.map_structure(lambda v: strategy.reduce("MEAN", v, axis=None), values)
        return original(values, strategy, reduction)

    reduce_per_replica.reduces_scalars = True
    trainer.reduce_per_replica = reduce_per_replica


def worker_index() -> int:
    """This process's place among the workers that `TF_CONFIG` names; 0 without it.

    Worker 0 is the chief: it alone evaluates, exports and publishes.
    """
    return int(json.loads(os.environ.get("TF_CONFIG", "{}")).get("task", {}).get("index", 0))
