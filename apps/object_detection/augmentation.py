"""Box-aware augmentation in NumPy and Pillow: a few milliseconds a picture, the serving resize included."""

from __future__ import annotations

import dataclasses

import numpy as np
from PIL import Image

from apps.object_detection.preprocessing import FILL


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How far a training picture may be changed.

    Attributes:
        scale: Smallest and largest enlargement against the size the picture is served at.
        aspect: Largest relative change of the width against the height.
        flip_vertical: Turn upside down half of the time (mirroring left to right always is).
        rotate: Turn by quarter turns: right for smears and satellite pictures, wrong for streets.
        color: Strength of brightness, contrast and tint changes, 0 for none.
        min_visible: A box stays when at least this share of its area is still inside.
    """

    scale: tuple[float, float] = (0.8, 1.5)
    aspect: float = 0.08
    flip_vertical: bool = True
    rotate: bool = True
    color: float = 1.0
    min_visible: float = 0.3


def rotate_quarter(boxes: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
    """Boxes `(n, 4)` of a picture `(height, width)` after `np.rot90` (a quarter turn to the left)."""
    width = size_px[1]
    x0, y0, x1, y1 = boxes.T
    return np.stack([y0, width - x1, y1, width - x0], axis=-1)


def augment(
    image: np.ndarray,
    boxes: np.ndarray,
    class_ids: np.ndarray,
    image_size_px: tuple[int, int],
    options: Augmentation,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn, mirror, scale, crop and recolour one picture.

    Args:
        image: uint8 `(h, w, 3)`.
        boxes: `(n, 4)` xyxy in its pixels.
        class_ids: `(n,)`.
        image_size_px: `(height, width)` of the network's input.
        options: How far.
        rng: Source of chance.

    Returns:
        uint8 `(height, width, 3)`, and the boxes and classes still to be seen.
    """
    height, width = image_size_px
    base = min(height / image.shape[0], width / image.shape[1])
    if options.rotate and rng.random() < 0.5:
        boxes, image = rotate_quarter(boxes, image.shape[:2]), np.rot90(image)
    if rng.random() < 0.5:
        image = image[:, ::-1]
        boxes = np.stack(
            [image.shape[1] - boxes[:, 2], boxes[:, 1], image.shape[1] - boxes[:, 0], boxes[:, 3]], axis=-1
        )
    if options.flip_vertical and rng.random() < 0.5:
        image = image[::-1]
        boxes = np.stack(
            [boxes[:, 0], image.shape[0] - boxes[:, 3], boxes[:, 2], image.shape[0] - boxes[:, 1]], axis=-1
        )
    scale = base * np.exp(rng.uniform(*np.log(options.scale)))
    stretch = np.exp(rng.uniform(-options.aspect, options.aspect) / 2)
    scale_x, scale_y = scale * stretch, scale / stretch
    left, inside_w, source_x = _window(image.shape[1], scale_x, width, rng)
    top, inside_h, source_y = _window(image.shape[0], scale_y, height, rng)
    picture = Image.fromarray(np.ascontiguousarray(image)).resize(
        (inside_w, inside_h),
        Image.Resampling.BILINEAR,
        box=(
            source_x,
            source_y,
            min(image.shape[1], source_x + inside_w / scale_x),
            min(image.shape[0], source_y + inside_h / scale_y),
        ),
    )
    canvas = np.full((height, width, 3), FILL, np.uint8)
    canvas[top : top + inside_h, left : left + inside_w] = recolor(np.asarray(picture), options.color, rng)
    moved = (boxes - [source_x, source_y, source_x, source_y]) * [scale_x, scale_y, scale_x, scale_y]
    moved += [left, top, left, top]
    clipped = np.clip(moved, [left, top] * 2, [left + inside_w, top + inside_h] * 2)
    area = np.prod(moved[:, 2:] - moved[:, :2], axis=-1)
    visible = np.prod(clipped[:, 2:] - clipped[:, :2], axis=-1) / np.maximum(area, 1e-6)
    keep = (visible >= options.min_visible) & ((clipped[:, 2:] - clipped[:, :2]).min(axis=-1) >= 2)
    return canvas, clipped[keep].astype(np.float32), class_ids[keep]


def recolor(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Change brightness, contrast and the gain of each channel, as stains and lamps do."""
    if not strength:
        return image
    levels = np.arange(256, dtype=np.float32)[:, None]
    gain = rng.uniform(1 - 0.06 * strength, 1 + 0.06 * strength, 3).astype(np.float32)
    contrast = rng.uniform(1 - 0.2 * strength, 1 + 0.2 * strength)
    shift = rng.uniform(-20 * strength, 20 * strength)
    table = np.clip((levels - 128) * contrast * gain + 128 + shift, 0, 255).astype(np.uint8)
    return np.stack([table[image[..., c], c] for c in range(3)], axis=-1)


def _window(size: int, scale: float, room: int, rng: np.random.Generator) -> tuple[int, int, float]:
    """Along one axis: where the content begins on the canvas, its length there, and where it begins in the source."""
    length = size * scale
    if length > room:
        return 0, room, float(rng.uniform(0, (length - room) / scale))
    inside = max(1, int(length))
    return int(rng.integers(0, room - inside + 1)), inside, 0.0
