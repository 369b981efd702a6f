"""Augmentation of training batches: Keras layers, and two steps that Keras lacks or does per batch only."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from apps.image_classification.config import ImageClassificationConfig
from shared.data.image_folder import LabelledImage

if TYPE_CHECKING:
    import tensorflow as tf


def mirrored_first(image: LabelledImage, seed: int) -> bool:
    """Whether alternating flips show this picture mirrored in even epochs: half of all, fixed by its name."""
    return bool(zlib.crc32(f"{seed}/{image.name}".encode()) & 1)


def build_augmentation(
    config: ImageClassificationConfig, size_px: int, odd_epoch: tf.Variable | None = None
) -> Callable[[Any, Any], tuple[Any, Any]]:
    """A function for `tf.data`: `(images (b, h, w, 3) 0 to 255, one-hot (b, classes)) -> (images, targets)`.

    Args:
        config: `augmentation`, `random_crop_scale`, `translate_px`, `alternating_flip`, `seed`.
        size_px: Side of the images that come out.
        odd_epoch: 1 in odd epochs; needed for `alternating_flip`.
    """
    import keras
    import tensorflow as tf

    layers = []
    mix = None
    if config.augmentation != "none" and not config.alternating_flip:
        layers.append(keras.layers.RandomFlip("horizontal", seed=config.seed))
    if config.augmentation == "randaugment":
        layers.append(keras.layers.RandAugment(value_range=(0, 255), num_ops=2, factor=0.3, seed=config.seed))
    elif config.augmentation == "mixup":
        mix = keras.layers.MixUp(alpha=0.2, seed=config.seed)
    elif config.augmentation == "cutmix":
        mix = keras.layers.CutMix(factor=1.0, seed=config.seed)
    crop_seeds = tf.random.Generator.from_seed(config.seed + 1)

    def augment(images: tf.Tensor, targets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        if config.random_crop_scale < 1 or images.shape[1] != size_px:
            images = random_resized_crop(images, size_px, config.random_crop_scale, crop_seeds)
        images = tf.cast(images, tf.float32)
        if config.translate_px:
            images = random_shift(images, config.translate_px, crop_seeds)
        if config.alternating_flip and odd_epoch is not None:
            images = tf.cond(odd_epoch > 0, lambda: tf.reverse(images, [2]), lambda: images)
        for layer in layers:
            images = layer(images, training=True)
        if mix is not None:
            mixed = mix({"images": images, "labels": targets}, training=True)
            images, targets = mixed["images"], mixed["labels"]
        return images, targets

    return augment


def random_resized_crop(
    images: tf.Tensor, size_px: int, smallest_area: float, generator: tf.random.Generator
) -> tf.Tensor:
    """Cut a random rectangle of each image and resize it (Inception crop, https://arxiv.org/abs/1409.4842).

    Args:
        images: `(b, h, w, 3)`.
        size_px: Side of the result.
        smallest_area: Smallest share of the area; 1 only resizes.
        generator: Source of randomness.

    Returns:
        float32 `(b, size_px, size_px, 3)`.
    """
    import tensorflow as tf

    count = tf.shape(images)[0]
    area = generator.uniform([count], smallest_area, 1.0)
    # Between 3:4 and 4:3, as likely one way as the other; no wish for it when nothing is cut.
    widest = float(np.log(4 / 3)) if smallest_area < 1 else 0.0
    ratio = tf.exp(generator.uniform([count], -widest, widest)) if widest else tf.ones([count])
    height = tf.minimum(tf.sqrt(area / ratio), 1.0)
    width = tf.minimum(tf.sqrt(area * ratio), 1.0)
    top = generator.uniform([count]) * (1 - height)
    left = generator.uniform([count]) * (1 - width)
    boxes = tf.stack([top, left, top + height, left + width], axis=1)
    cut = tf.image.crop_and_resize(images, boxes, tf.range(count), [size_px, size_px])
    cut.set_shape([None, size_px, size_px, 3])
    return cut


def random_shift(images: tf.Tensor, pixels: int, generator: tf.random.Generator) -> tf.Tensor:
    """Shift each image by up to `pixels` both ways, whole pixels, its border filled by reflection."""
    import tensorflow as tf

    count, size_y, size_x = tf.shape(images)[0], images.shape[1], images.shape[2]
    padded = tf.pad(images, [[0, 0], [pixels, pixels], [pixels, pixels], [0, 0]], "REFLECT")
    shifts = generator.uniform([2, count, 1], 0, 2 * pixels + 1, tf.int32)
    padded = tf.gather(padded, shifts[0] + tf.range(size_y)[None], axis=1, batch_dims=1)
    return tf.gather(padded, shifts[1] + tf.range(size_x)[None], axis=2, batch_dims=1)
