"""What the demo does with a picture, without Gradio: segment once, then paint, measure, point and write files."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import io
import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shared.data.images import resize
from shared.files.images import read_image
from shared.results import Segmentation
from shared.runtime.predictor import ModelStore

REMEMBERED = 6
"""Answers kept for slider, filter and clicks."""
SHOWN_SIDE_PX = 1280
"""Longer side of the picture on the page; masks are downloaded in full size."""
_VIRIDIS = np.array(
    [(68, 1, 84), (71, 44, 122), (59, 81, 139), (44, 113, 142), (33, 144, 141), (39, 173, 129), (92, 200, 99),
     (170, 220, 50), (253, 231, 37)],
    np.float32,
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Answer:
    """One picture under one model.

    Attributes:
        result: Mask and confidence of full size.
        colours: A colour a class.
        shown: The picture as the page shows it, uint8, longer side at most `SHOWN_SIDE_PX`.
        shown_mask: Class indices of that size.
        shown_confidence: Confidence of that size, uint8, 255 = 1.
        network_ms: Time from pixels to mask.
    """

    result: Segmentation
    colours: np.ndarray
    shown: np.ndarray
    shown_mask: np.ndarray
    shown_confidence: np.ndarray
    network_ms: float

    @property
    def class_names(self) -> list[str]:
        """All classes of the model."""
        return self.result.class_names


class Segmenter:
    """Segments pictures and remembers the last few answers, by content and model.

    Args:
        models: The app's variants.
    """

    def __init__(self, models: ModelStore):
        self._models = models
        self._lock = threading.Lock()
        self._remembered: collections.OrderedDict[tuple[str, str], Answer] = collections.OrderedDict()
        self.runs = 0
        """How often a network ran: opacity, filter and clicks must not raise it."""

    def segment(self, source: str | Path, model: str) -> Answer:
        """Read a picture and give its answer, from memory where it is there.

        Args:
            source: Path of the picture.
            model: Name of a variant.

        Raises:
            InputError: The picture cannot be read.
            MissingWeights: There is no such variant.
        """
        predictor = self._models[model]
        image = read_image(source)
        key = (hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest() + str(image.shape), model)
        with self._lock:
            if key in self._remembered:
                self._remembered.move_to_end(key)
                return self._remembered[key]
        begun = time.perf_counter()
        result = predictor.predict(image)
        elapsed = (time.perf_counter() - begun) * 1000
        confidence = np.rint(result.confidence * 255).astype(np.uint8)
        size = shown_size(image.shape[:2])
        answer = Answer(
            result,
            np.array(predictor.processor.settings["colours"], np.uint8),
            resize(image, size),
            resize(result.mask, size, "nearest"),
            resize(confidence, size),
            elapsed,
        )
        with self._lock:
            self.runs += 1
            self._remembered[key] = answer
            while len(self._remembered) > REMEMBERED:
                self._remembered.popitem(last=False)
        return answer


def shown_size(size_px: tuple[int, int]) -> tuple[int, int]:
    """`(height, width)` on the page."""
    scale = min(1.0, SHOWN_SIDE_PX / max(size_px))
    return max(1, round(size_px[0] * scale)), max(1, round(size_px[1] * scale))


def paint_classes(answer: Answer, opacity: float, classes: Sequence[str] | None = None) -> np.ndarray:
    """The picture under the colours of the chosen classes.

    Args:
        answer: What to show.
        opacity: 0 shows the picture alone, 1 the colours alone.
        classes: Names of the classes to colour; all when None.

    Returns:
        uint8 `(h, w, 3)`.
    """
    names = answer.class_names
    chosen = np.array([classes is None or name in classes for name in names])
    share = np.where(chosen, opacity, 0.0).astype(np.float32)[answer.shown_mask][..., None]
    colours = answer.colours.astype(np.float32)[answer.shown_mask]
    return np.rint(answer.shown * (1 - share) + colours * share).astype(np.uint8)


def paint_confidence(answer: Answer, opacity: float) -> np.ndarray:
    """The picture under its confidence: dark violet is 0, yellow is 1."""
    steps = np.arange(256) / 255 * (len(_VIRIDIS) - 1)
    table = np.stack([np.interp(steps, np.arange(len(_VIRIDIS)), _VIRIDIS[:, c]) for c in range(3)], axis=1)
    colours = table.astype(np.float32)[answer.shown_confidence]
    return np.rint(answer.shown * (1 - opacity) + colours * opacity).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class Region:
    """What lies under a click.

    Attributes:
        label: Its class.
        confidence: Probability at the pixel.
        share: Share of the picture that the connected region covers, in [0, 1].
        inside: Boolean mask of the region, size of the page's picture.
    """

    label: str
    confidence: float
    share: float
    inside: np.ndarray


def region_at(answer: Answer, column: int, row: int) -> Region:
    """The connected region of one class around a pixel of the page's picture; outside, the nearest pixel."""
    height, width = answer.shown_mask.shape
    row, column = min(max(row, 0), height - 1), min(max(column, 0), width - 1)
    index = int(answer.shown_mask[row, column])
    inside = connected(answer.shown_mask == index, row, column)
    confidence = float(answer.shown_confidence[row, column]) / 255
    return Region(answer.class_names[index], confidence, float(inside.mean()), inside)


def connected(allowed: np.ndarray, row: int, column: int) -> np.ndarray:
    """Pixels reachable from one through neighbours above, below, left and right (scan-line flood fill).

    Args:
        allowed: Boolean `(h, w)`; true at `(row, column)`.
        row: Row of the start.
        column: Column of the start.
    """
    height = allowed.shape[0]
    left_ends, right_ends = _run_ends(allowed)
    result = np.zeros_like(allowed)
    waiting = [(row, column)]
    while waiting:
        y, x = waiting.pop()
        if result[y, x]:
            continue
        first, last = left_ends[y, x], right_ends[y, x]
        result[y, first : last + 1] = True
        for beside in (y - 1, y + 1):
            if 0 <= beside < height:
                stretch = allowed[beside, first : last + 1] & ~result[beside, first : last + 1]
                # One start a run is enough: its whole length is filled at once.
                starts = np.flatnonzero(stretch & ~np.concatenate([[False], stretch[:-1]]))
                waiting += [(beside, int(first + s)) for s in starts]
    return result


def _run_ends(allowed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First and last column of the horizontal run every allowed pixel lies in."""
    width = allowed.shape[1]
    columns = np.broadcast_to(np.arange(width), allowed.shape)
    before = np.maximum.accumulate(np.where(allowed, -1, columns), axis=1)
    after = np.minimum.accumulate(np.where(allowed, width, columns)[:, ::-1], axis=1)[:, ::-1]
    return before + 1, after - 1


def outline(picture: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Draw the border of a region, white beside black, so that it shows on any colour."""
    result = picture.copy()
    inner = _eroded(inside)
    result[inside & ~inner] = 255
    result[inner & ~_eroded(inner)] = 0
    return result


def _eroded(mask: np.ndarray) -> np.ndarray:
    padded = np.pad(mask, 1, mode="edge")
    return mask & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]


def legend_rows(answer: Answer) -> list[dict[str, Any]]:
    """Classes in the picture, largest first: `label`, `colour` (`#rrggbb`), `share`, `confidence`."""
    names = answer.class_names
    rows = []
    for label, share in answer.result.areas().items():
        index = names.index(label)
        mean = float(answer.result.confidence[answer.result.mask == index].mean())
        colour = "#{:02x}{:02x}{:02x}".format(*answer.colours[index])
        rows.append({"label": label, "colour": colour, "share": share, "confidence": mean})
    return rows


def mask_png(answer: Answer, classes: Sequence[str] | None = None) -> bytes:
    """Indexed PNG of full size: pixel = class index (255 where the filter leaves a class out), with palette."""
    mask = _filtered(answer, classes)
    picture = Image.fromarray(mask)
    table = np.zeros((256, 3), np.uint8)
    table[: len(answer.colours)] = answer.colours
    picture.putpalette(table.tobytes())
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


def _filtered(answer: Answer, classes: Sequence[str] | None) -> np.ndarray:
    if classes is None or set(answer.class_names) <= set(classes):
        return answer.result.mask
    keep = np.array([name in classes for name in answer.class_names])
    return np.where(keep[answer.result.mask], answer.result.mask, 255).astype(np.uint8)


def run_lengths(inside: np.ndarray) -> list[int]:
    """COCO's uncompressed run-length code: lengths of alternating runs down the columns, first of zeros.

    https://cocodataset.org/#format-data; `pycocotools.mask.frPyObjects` reads it.

    Args:
        inside: Boolean `(h, w)`.
    """
    flat = inside.ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return [0, *counts] if flat[0] else counts


def rle_json(answer: Answer, classes: Sequence[str] | None = None, model: str = "", file: str = "") -> str:
    """A run-length code for every class in the picture."""
    mask = _filtered(answer, classes)
    height, width = mask.shape
    names = answer.class_names
    segments = [
        {
            "label": names[index],
            "class_index": int(index),
            "area_px": int(np.count_nonzero(mask == index)),
            "segmentation": {"size": [height, width], "counts": run_lengths(mask == index)},
        }
        for index in np.unique(mask[mask < len(names)])
    ]
    content = {"file": file, "model": model, "class_names": names, "height": height, "width": width}
    return json.dumps(content | {"segments": segments}, ensure_ascii=False)
