"""Random crops, sizes, mirror images and colours, for a batch of pictures and their masks at once."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from apps.segmentation.config import SegmentationConfig
from apps.segmentation.preprocessing import FILL
from shared.data.class_table import VOID

STRETCH = 0.1
"""Height and width are enlarged independently by up to this share."""


def build_augment(config: SegmentationConfig) -> Callable:
    """Augmentation of batches.

    Crop, enlargement and mirror image are one bilinear look-up (`tf.image.crop_and_resize`; nearest for masks).

    Args:
        config: Crop size, `min_scale`, `max_scale`, `flip`, `colour_jitter`.

    Returns:
        Function `({"image": (b, h, w, 3), "size": (b, 2)}, mask (b, h, w))` -> `(images float32, masks uint8)`
        of the crop size. `size` is the part of the canvas that holds the picture.
    """
    crop = config.crop_height_px, config.crop_width_px

    def augment(inputs: dict[str, tf.Tensor], masks: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        images, sizes = inputs["image"], tf.cast(inputs["size"], tf.float32)
        count = tf.shape(images)[0]
        canvas = tf.cast(tf.shape(images)[1:3], tf.float32)
        low, high = math.log(config.min_scale), math.log(config.max_scale)
        scale = tf.exp(tf.random.uniform((count, 1), low, high))
        if config.max_scale > config.min_scale:
            scale *= 1 + tf.random.uniform((count, 2), -STRETCH, STRETCH)
        window = tf.constant(crop, tf.float32) / scale
        # A window smaller than the picture lies inside it; a larger one holds it all.
        room = sizes - window
        start = tf.minimum(room, 0.0) + tf.random.uniform((count, 2)) * tf.abs(room)
        end = start + window - 1
        boxes = tf.concat([start, end], axis=1) / tf.tile(canvas - 1, [2])
        if config.flip:
            mirrored = tf.gather(boxes, [0, 3, 2, 1], axis=1)
            boxes = tf.where(tf.random.uniform((count, 1)) < 0.5, mirrored, boxes)
        rows = tf.range(count)
        images = tf.image.crop_and_resize(images, boxes, rows, crop, extrapolation_value=FILL)
        masks = tf.image.crop_and_resize(
            masks[..., None], boxes, rows, crop, method="nearest", extrapolation_value=VOID
        )
        if config.colour_jitter:
            images = jitter_colours(images, config.colour_jitter)
        return images, tf.cast(masks[..., 0], tf.uint8)

    return augment


def jitter_colours(images: tf.Tensor, strength: float) -> tf.Tensor:
    """Random brightness, contrast, saturation and colour balance, one draw a picture.

    Args:
        images: float32 `(b, h, w, 3)`, 0 to 255.
        strength: 1 changes contrast by up to 30 %, saturation by up to 50 %, brightness by up to 32 levels.
    """
    shape = (tf.shape(images)[0], 1, 1, 1)

    def factor(share: float, channels: int = 1) -> tf.Tensor:
        size = (*shape[:3], channels)
        return 1 + tf.random.uniform(size, -share * strength, share * strength)

    grey = tf.reduce_mean(images, axis=-1, keepdims=True)
    images = grey + (images - grey) * factor(0.5)
    mean = tf.reduce_mean(images, axis=(1, 2, 3), keepdims=True)
    images = mean + (images - mean) * factor(0.3)
    images = images * factor(0.08, 3) + tf.random.uniform(shape, -32 * strength, 32 * strength)
    return tf.clip_by_value(images, 0.0, 255.0)
