"""Geometry of images in NumPy and Pillow: one copy, used by training and by serving.

Every resize is antialiased: a model trained on `tf.image.resize` and served with Pillow (or the reverse)
loses accuracy on photos much larger than its input.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_RESAMPLE = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


def resize(image: np.ndarray, size_px: tuple[int, int], method: str = "bilinear") -> np.ndarray:
    """Resize to exactly `size_px`, changing the aspect ratio if it differs.

    Args:
        image: uint8 `(h, w, 3)`, `(h, w, 1)` or `(h, w)`.
        size_px: `(height, width)` wanted.
        method: `bilinear` and `bicubic` (antialiased), or `nearest` for masks of class indices.

    Returns:
        uint8 with the same number of axes.
    """
    if method not in _RESAMPLE:
        raise ValueError(f"method must be one of {', '.join(_RESAMPLE)}, received {method!r}")
    if image.dtype != np.uint8:
        raise ValueError(f"image must be uint8, received {image.dtype}")
    if image.shape[:2] == tuple(size_px):
        return image
    single = image.ndim == 3 and image.shape[-1] == 1
    picture = Image.fromarray(np.ascontiguousarray(image[..., 0] if single else image))
    # Reducing by whole factors first is several times faster on big photos and differs by under one level.
    gap = 3.0 if method != "nearest" else None
    result = np.array(picture.resize((size_px[1], size_px[0]), _RESAMPLE[method], reducing_gap=gap))
    return result[..., None] if single else result


def resize_short_side(image: np.ndarray, side_px: int, method: str = "bilinear") -> np.ndarray:
    """Resize so that the shorter side has `side_px` pixels, keeping the aspect ratio."""
    height, width = image.shape[:2]
    scale = side_px / min(height, width)
    size = max(side_px, round(height * scale)), max(side_px, round(width * scale))
    return resize(image, size, method)


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where a resized image lies inside the square (or rectangle) the model sees.

    Attributes:
        original_px: `(height, width)` of the original image.
        offset_px: `(top, left)` of the image inside the model's input.
        inside_px: `(height, width)` it covers there.
        input_px: `(height, width)` of the model's input.
    """

    original_px: tuple[int, int]
    offset_px: tuple[int, int]
    inside_px: tuple[int, int]
    input_px: tuple[int, int]

    @property
    def scale_xy(self) -> tuple[float, float]:
        """Input pixels an original pixel, `(x, y)`."""
        return self.inside_px[1] / self.original_px[1], self.inside_px[0] / self.original_px[0]

    def boxes_to_input(self, boxes: np.ndarray) -> np.ndarray:
        """`(n, 4)` xyxy of the original image -> of the model's input."""
        (sx, sy), (top, left) = self.scale_xy, self.offset_px
        return (boxes * [sx, sy, sx, sy] + [left, top, left, top]).astype(np.float32)

    def boxes_to_original(self, boxes: np.ndarray) -> np.ndarray:
        """`(n, 4)` xyxy of the model's input -> of the original image, clipped to it."""
        (sx, sy), (top, left) = self.scale_xy, self.offset_px
        height, width = self.original_px
        moved = (boxes - [left, top, left, top]) / [sx, sy, sx, sy]
        return np.clip(moved, 0, [width, height, width, height]).astype(np.float32)

    def crop(self, array: np.ndarray) -> np.ndarray:
        """Cut the part of an input-shaped array (`(input_h, input_w, ...)`) that shows the image."""
        top, left = self.offset_px
        return array[top : top + self.inside_px[0], left : left + self.inside_px[1]]


def letterbox(
    image: np.ndarray,
    size_px: tuple[int, int],
    *,
    fill: int = 114,
    center: bool = True,
    method: str = "bilinear",
) -> tuple[np.ndarray, Placement]:
    """Fit the whole image into `size_px`, keep its aspect ratio and fill the rest.

    Args:
        image: uint8 `(h, w, 3)` or `(h, w)`.
        size_px: `(height, width)` of the model's input.
        fill: Value of the border.
        center: Border on both sides; else only below and right.
        method: See `resize`.

    Returns:
        The filled image and where the original lies in it.
    """
    height, width = image.shape[:2]
    scale = min(size_px[0] / height, size_px[1] / width)
    inside = max(1, min(size_px[0], round(height * scale))), max(1, min(size_px[1], round(width * scale)))
    top, left = ((size_px[0] - inside[0]) // 2, (size_px[1] - inside[1]) // 2) if center else (0, 0)
    canvas = np.full((*size_px, *image.shape[2:]), fill, np.uint8)
    canvas[top : top + inside[0], left : left + inside[1]] = resize(image, inside, method)
    return canvas, Placement((height, width), (top, left), inside, tuple(size_px))


def center_crop(image: np.ndarray, size_px: int, fraction: float = 1.0) -> tuple[np.ndarray, Placement]:
    """Cut the central square and resize it: how ImageNet models are evaluated.

    Args:
        image: uint8 `(h, w, 3)`.
        size_px: Side of the model's input.
        fraction: Side of the square over the shorter side of the image; 0.875 is the ImageNet convention.

    Returns:
        uint8 `(size_px, size_px, 3)`, and a placement whose `offset_px` is negative: the image reaches
        beyond the input.
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"fraction must be in (0, 1], received {fraction}")
    height, width = image.shape[:2]
    side = max(1, round(min(height, width) * fraction))
    top, left = (height - side) // 2, (width - side) // 2
    square = resize(image[top : top + side, left : left + side], (size_px, size_px))
    scale = size_px / side
    placement = Placement(
        (height, width),
        (-round(top * scale), -round(left * scale)),
        (round(height * scale), round(width * scale)),
        (size_px, size_px),
    )
    return square, placement


def encode_png(image: np.ndarray) -> bytes:
    """uint8 image -> content of a PNG file."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(stream, "PNG")
    return stream.getvalue()


def encode_jpeg(image: np.ndarray, quality: int = 88) -> bytes:
    """uint8 RGB image -> content of a JPEG file."""
    stream = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def contact_sheet(
    images: Sequence[np.ndarray], captions: Sequence[str] = (), *, columns: int = 8, tile_px: int = 128
) -> bytes:
    """Small pictures side by side under their captions.

    Args:
        images: uint8 `(h, w, 3)` of any sizes.
        captions: One an image, cut to the tile's width; none at all is allowed.
        columns: Tiles a row.
        tile_px: Side of a tile.

    Returns:
        Content of a PNG file.
    """
    if not images:
        raise ValueError("images must hold at least one picture, received none")
    columns = min(columns, len(images))
    line = 16 if captions else 0
    rows = -(-len(images) // columns)
    sheet = Image.new("RGB", (columns * tile_px, rows * (tile_px + line)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=11)
    for index, image in enumerate(images):
        left, top = index % columns * tile_px, index // columns * (tile_px + line)
        tile, _ = letterbox(image, (tile_px - 4, tile_px - 4), fill=255)
        sheet.paste(Image.fromarray(tile), (left + 2, top + 2))
        if captions:
            text = str(captions[index])
            while text and draw.textlength(text, font=font) > tile_px - 4:
                text = text[:-2].rstrip() + "…" if len(text) > 2 else ""
            draw.text((left + 3, top + tile_px - 1), text, fill="black", font=font)
    stream = io.BytesIO()
    sheet.save(stream, "PNG")
    return stream.getvalue()
