"""Where the data comes from, and the batches the network trains on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from apps.object_detection.augmentation import Augmentation, augment
from apps.object_detection.config import Config
from apps.object_detection.preprocessing import load_input
from shared.backbones.normalization import normalize_efficientnet_lite0
from shared.data.boxes import BoxImage, read_boxes
from shared.data.images import resize
from shared.data.pipeline import build_dataset
from shared.files.images import read_image
from shared.task import Splits

if TYPE_CHECKING:
    import tensorflow as tf

CACHE_MARGIN = 1.6
"""Training pictures are kept this much larger than the input, so that enlarging them invents nothing."""

CACHE_BYTES = 6 * 2**30
"""Decoded training pictures are kept in memory up to this; larger data sets are decoded in every pass."""


def load_splits(config: Config) -> Splits:
    """Read the data set that the options name.

    Raises:
        DataError: Every problem by file and line.
    """
    if config.dataset == "folder":
        splits, classes, remarks = read_boxes(config.data, seed=config.seed)
    else:
        from shared.data.boxes_tfds import read_tfds_boxes

        splits, classes, remarks = read_tfds_boxes(config.dataset, data_dir=config.data_dir, seed=config.seed)
    info = {"class_names": classes, "remarks": remarks}
    return Splits(splits["train"], splits["validation"], splits["test"], info)


def max_objects(splits: Splits) -> int:
    """Most objects in one picture of train and validation: rows of the padded targets."""
    return max(1, max(len(e.boxes) for e in [*splits.train, *splits.validation]))


def make_target(boxes: np.ndarray, class_ids: np.ndarray, rows: int) -> np.ndarray:
    """Boxes and classes -> `(rows, 5)` float32: class (-1 for no object), then xyxy."""
    target = np.full((rows, 5), -1.0, np.float32)
    count = min(rows, len(boxes))
    target[:count, 0] = class_ids[:count]
    target[:count, 1:] = boxes[:count]
    return target


def batches(
    examples: Sequence[BoxImage], config: Config, splits: Splits, *, training: bool
) -> tf.data.Dataset:
    """Examples -> batches of normalized pictures and padded targets; training ones augmented anew each pass."""
    rows = max_objects(splits)
    if training:
        return training_batches(examples, config, rows)

    def load(example: BoxImage) -> tuple[np.ndarray, np.ndarray]:
        image, placement = load_input(example.source, config.image_size_px)
        boxes = placement.boxes_to_input(example.boxes[~example.ignored])
        target = make_target(boxes, example.class_ids[~example.ignored], rows)
        return normalize_efficientnet_lite0(image), target

    return build_dataset(examples, load, batch_size=config.batch_size, training=False)


def training_batches(examples: Sequence[BoxImage], config: Config, rows: int) -> tf.data.Dataset:
    """`passes_per_epoch` shuffled passes an epoch; pictures are decoded once and kept as uint8 if they fit."""
    import tensorflow as tf

    options = Augmentation(
        scale=(config.scale_min, config.scale_max),
        flip_vertical=config.rotate,
        rotate=config.rotate,
        color=config.color,
    )
    pixels = np.prod(config.image_size_px) * CACHE_MARGIN**2
    kept = (
        [_keep(e, config.image_size_px) for e in examples] if pixels * 3 * len(examples) < CACHE_BYTES else []
    )

    def load(index: np.ndarray, seed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([int(seed), int(index)])
        example = kept[index] if kept else _keep(examples[index], config.image_size_px)
        image, boxes, class_ids = augment(*example, config.image_size_px, options, rng)
        return normalize_efficientnet_lite0(image), make_target(boxes, class_ids, rows)

    def mapped(index: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image, target = tf.numpy_function(load, [index, seed], [tf.float32, tf.float32])
        image.set_shape((*config.image_size_px, 3))
        target.set_shape((rows, 5))
        return image, target

    count = len(examples)
    # A pass is shuffled as a whole before the next begins, and each picture gets a new seed every time.
    order = (
        tf.data.Dataset.range(count)
        .shuffle(count, seed=config.seed, reshuffle_each_iteration=True)
        .repeat(config.passes_per_epoch)
    )
    seeds = tf.data.Dataset.random(seed=config.seed, rerandomize_each_iteration=True)
    dataset = tf.data.Dataset.zip(order, seeds).map(mapped, num_parallel_calls=2, deterministic=True)
    dataset = dataset.batch(config.batch_size)
    steps = -(-count * config.passes_per_epoch // config.batch_size)
    return dataset.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(4)


def _keep(example: BoxImage, image_size_px: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Decode one training picture, not larger than augmentation can use, with the boxes it trains on."""
    image = read_image(example.source)
    height, width = image.shape[:2]
    scale = min(1.0, CACHE_MARGIN * min(image_size_px[0] / height, image_size_px[1] / width))
    image = resize(image, (max(2, round(height * scale)), max(2, round(width * scale))))
    factor = [image.shape[1] / width, image.shape[0] / height] * 2
    keep = ~example.ignored
    return image, (example.boxes[keep] * factor).astype(np.float32), example.class_ids[keep]
