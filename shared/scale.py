"""Training past one device: the tf.distribute strategies behind `--strategy`."""

from __future__ import annotations

import contextlib
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
