"""Examples and a Python load function -> `tf.data`: one input pipeline for every vision app.

`load(example)` is the same NumPy/Pillow preprocessing that serves. Its results are kept in memory as they are
(uint8 images), so that decoding happens once; shuffling, batching and augmentation happen every epoch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

Load = Callable[[Any], Any]
CACHE_BYTES = 4 * 2**30


def build_dataset(
    examples: Sequence[Any],
    load: Load,
    *,
    batch_size: int,
    training: bool,
    seed: int = 0,
    augment: Callable[..., Any] | None = None,
    drop_remainder: bool = False,
    cache_bytes: int = CACHE_BYTES,
    deterministic: bool = False,
) -> tf.data.Dataset:
    """Build a batched, prefetched dataset of known length.

    Args:
        examples: Whatever `load` takes.
        load: Example -> arrays: `x`, `(x, y)` or `(x, y, sample_weight)`, each an array or a dict of arrays.
            Every example gives the same shapes and dtypes. Called from several threads.
        batch_size: Examples a batch; the last one is smaller unless `drop_remainder`.
        training: Shuffle, differently in each epoch, and augment. Otherwise the order is kept.
        seed: Of the shuffling.
        augment: Batched TensorFlow function `(x, y[, weight]) -> (x, y[, weight])`, Keras layers inside are
            fine. Only called when `training`.
        drop_remainder: Leave the smaller last batch out.
        cache_bytes: When all loaded examples together need more memory than this, they are loaded anew in
            each epoch instead of being kept.
        deterministic: Run augmentation in one thread, so that random numbers come in the same order.

    Returns:
        Dataset with `len()`, batches first.

    Raises:
        ValueError: There are no examples, or one has another shape or dtype than the first.
    """
    import keras
    import tensorflow as tf

    if not len(examples):
        raise ValueError("examples must hold at least one example, received none")
    first = keras.tree.map_structure(np.asarray, load(examples[0]))
    count = len(examples)
    parallel = None if deterministic else tf.data.AUTOTUNE

    dataset = tf.data.Dataset.range(count)
    if training:
        dataset = dataset.shuffle(count, seed=seed, reshuffle_each_iteration=True)
    size = sum(leaf.nbytes for leaf in keras.tree.flatten(first)) * count
    if size <= cache_bytes:
        arrays = load_arrays(examples, load)
        # On the CPU and captured, not embedded: the graph stays small.
        with tf.device("CPU"):
            tensors = keras.tree.map_structure(tf.constant, arrays)
        dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
        dataset = dataset.map(
            lambda indices: keras.tree.map_structure(lambda t: tf.gather(t, indices), tensors),
            num_parallel_calls=tf.data.AUTOTUNE,
            deterministic=True,
        )
    else:
        dataset = dataset.map(
            _loader(examples, load, first), num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
        )
        dataset = dataset.batch(batch_size, drop_remainder=drop_remainder)
    if training and augment is not None:
        dataset = dataset.map(augment, num_parallel_calls=parallel, deterministic=True)
    return dataset.prefetch(tf.data.AUTOTUNE)


def load_arrays(examples: Sequence[Any], load: Load) -> Any:
    """Load every example, in threads, into one array a leaf.

    Args:
        examples: Whatever `load` takes.
        load: See `build_dataset`.

    Returns:
        The structure `load` gives, each leaf with an example axis in front.

    Raises:
        ValueError: An example has another shape or dtype than the first; the message names it.
    """
    import keras

    first = keras.tree.map_structure(np.asarray, load(examples[0]))
    target = keras.tree.map_structure(lambda a: np.empty((len(examples), *a.shape), a.dtype), first)
    leaves = keras.tree.flatten(target)

    def put(index: int) -> None:
        values = keras.tree.flatten(load(examples[index]))
        for leaf, value in zip(leaves, values, strict=True):
            leaf[index] = _checked(np.asarray(value), leaf[0], examples[index])

    # Pillow and NumPy release the GIL while they decode and resize.
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(put, range(len(examples))))
    return target


def _loader(examples: Sequence[Any], load: Load, first: Any) -> Callable:
    """A `tf.data` map function: index -> loaded example with static shapes."""
    import keras
    import tensorflow as tf

    leaves = keras.tree.flatten(first)

    def read(index: np.ndarray) -> list[np.ndarray]:
        values = keras.tree.flatten(load(examples[int(index)]))
        return [
            _checked(np.asarray(v), leaf, examples[int(index)])
            for v, leaf in zip(values, leaves, strict=True)
        ]

    def mapped(index: tf.Tensor) -> Any:
        tensors = tf.numpy_function(read, [index], [leaf.dtype for leaf in leaves])
        for tensor, leaf in zip(tensors, leaves, strict=True):
            tensor.set_shape(leaf.shape)
        return keras.tree.pack_sequence_as(first, tensors)

    return mapped


def _checked(value: np.ndarray, like: np.ndarray, example: Any) -> np.ndarray:
    if value.shape != like.shape or value.dtype != like.dtype:
        raise ValueError(
            f"load must give every example one shape and dtype: {like.shape} {like.dtype} for the first, "
            f"{value.shape} {value.dtype} for {str(example)[:200]}"
        )
    return value
