"""Boxes with names and scores drawn on a picture: the demo, its PNG download and the report share it."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from shared.results import Detections

PALETTE = (
    "#d62728", "#1f5fd0", "#0b8a3e", "#b8540a", "#7b3fb5", "#00808a", "#c2187c", "#5d6b00", "#3f4a5a", "#8a3324",
)  # fmt: skip
"""Dark enough for white letters (contrast 4.5 or more); classes beyond the tenth begin again."""


def class_color(class_id: int) -> str:
    """Colour of a class, `#rrggbb`."""
    return PALETTE[class_id % len(PALETTE)]


def draw_boxes(image: np.ndarray, found: Detections, scores: bool = True) -> np.ndarray:
    """Draw every box with its class and score.

    Args:
        image: uint8 RGB `(height, width, 3)`.
        found: What to draw.
        scores: Write the score beside the name.

    Returns:
        A new uint8 array of the same shape.
    """
    picture = Image.fromarray(np.ascontiguousarray(image)).convert("RGB")
    draw = ImageDraw.Draw(picture)
    unit = max(1, round(min(picture.size) / 240))
    font = ImageFont.load_default(size=max(10, min(picture.size) // 36))
    # The best box last, so that its label lies on top.
    for box, class_id, score in zip(
        found.boxes[::-1], found.class_ids[::-1], found.scores[::-1], strict=True
    ):
        color = class_color(int(class_id))
        x0, y0, x1, y1 = (float(v) for v in box)
        draw.rectangle((x0, y0, max(x0, x1 - 1), max(y0, y1 - 1)), outline=color, width=unit)
        name = found.class_names[int(class_id)]
        text = f"{name} {score:.2f}" if scores else name
        _, _, width, height = draw.textbbox((0, 0), text, font=font)
        top = y0 - height - 2 if y0 >= height + 2 else y0
        left = min(x0, picture.width - width - 4)
        draw.rectangle((left, top, left + width + 3, top + height + 2), fill=color)
        draw.text((left + 2, top), text, fill="white", font=font)
    return np.asarray(picture)


def small_png(image: np.ndarray, width_px: int = 480, colors: int = 128) -> bytes:
    """PNG of few colours for reports: a tenth of the size, and boxes stay legible."""
    picture = Image.fromarray(np.ascontiguousarray(image))
    if picture.width > width_px:
        height = max(1, round(picture.height * width_px / picture.width))
        picture = picture.resize((width_px, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    stream = io.BytesIO()
    # Without dithering neighbouring pixels stay equal, which is what PNG compresses.
    picture.quantize(colors, dither=Image.Dither.NONE).save(stream, "PNG", optimize=True)
    return stream.getvalue()
