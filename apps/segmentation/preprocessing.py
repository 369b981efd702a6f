"""Picture -> model input, logits -> mask of the picture's own size. NumPy only; training uses it too."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shared.data.images import resize
from shared.results import Segmentation
from shared.runtime import predictor

STRIDE = 32
"""The network halves its input five times."""
FILL = 127
"""Grey of the border: what the backbone's normalization maps to 0."""


def working_size(size_px: tuple[int, int], side_px: int) -> tuple[int, int]:
    """`(height, width)` of a picture whose longer side becomes `side_px`, aspect ratio kept."""
    scale = side_px / max(size_px)
    return max(1, round(size_px[0] * scale)), max(1, round(size_px[1] * scale))


def padded_size(size_px: tuple[int, int]) -> tuple[int, int]:
    """The next size whose sides are multiples of `STRIDE`."""
    return -(-size_px[0] // STRIDE) * STRIDE, -(-size_px[1] // STRIDE) * STRIDE


def pad(image: np.ndarray, size_px: tuple[int, int], value: int) -> np.ndarray:
    """Fill below and to the right."""
    result = np.full((*size_px, *image.shape[2:]), value, image.dtype)
    result[: image.shape[0], : image.shape[1]] = image
    return result


@functools.lru_cache(maxsize=64)
def _interpolation(target: int, inside: int, cells: int, stride: float) -> np.ndarray:
    """Weights `(target, cells)` of linear interpolation.

    Position `t` of the picture lies at `(t + 0.5) * inside / target - 0.5` of the model's input, and input
    position `p` at `(p + 0.5) / stride - 0.5` of the logits: pixel centres, as the loss has it.
    """
    position = ((np.arange(target) + 0.5) * inside / target) / stride - 0.5
    position = np.clip(position, 0, cells - 1)
    low = np.minimum(np.floor(position).astype(int), max(0, cells - 2))
    weights = np.zeros((target, cells), np.float32)
    share = (position - low).astype(np.float32)
    weights[np.arange(target), low] = 1 - share
    weights[np.arange(target), np.minimum(low + 1, cells - 1)] += share
    weights.flags.writeable = False
    return weights


def upsample_logits(
    logits: np.ndarray, input_px: tuple[int, int], inside_px: tuple[int, int], size_px: tuple[int, int]
) -> np.ndarray:
    """Enlarge logits to the size of the picture, in one bilinear step (two matrix products).

    Args:
        logits: `(h, w, classes)` of the padded input.
        input_px: `(height, width)` of the padded input.
        inside_px: `(height, width)` the picture covers in it.
        size_px: `(height, width)` of the picture.

    Returns:
        float32 `(classes, height, width)`.
    """
    height, width, classes = logits.shape
    rows = _interpolation(size_px[0], inside_px[0], height, input_px[0] / height)
    columns = _interpolation(size_px[1], inside_px[1], width, input_px[1] / width)
    # Classes first: every later step then works on whole planes.
    planes = np.ascontiguousarray(logits.transpose(2, 0, 1), np.float32)
    planes = np.matmul(rows, planes)
    return (planes.reshape(-1, width) @ columns.T).reshape(classes, *size_px)


def argmax_and_confidence(logits: np.ndarray, temperature: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Class of every pixel and its probability.

    Args:
        logits: `(classes, h, w)`.
        temperature: Logits are divided by it for the probability.

    Returns:
        uint8 `(h, w)` and float32 `(h, w)`.
    """
    mask = np.zeros(logits.shape[1:], np.uint8)
    best = logits[0].copy()
    for index in range(1, len(logits)):
        mask[logits[index] > best] = index
        np.maximum(best, logits[index], out=best)
    total = np.zeros_like(best)
    for plane in logits:
        total += np.exp((plane - best) / np.float32(temperature))
    return mask, 1 / total


class Processor(predictor.Processor):
    """RGB uint8 `(h, w, 3)` of any size -> `shared.results.Segmentation` of that size.

    Settings: `class_names`, `colours`, `side_px` (longer side in training), and what was chosen on validation:
    `serve_scale` (factor of that side), `flip` (average with the mirror image), `logit_offsets` (one a class),
    `temperature`.
    """

    @property
    def side_px(self) -> int:
        """Longer side of the picture as the network sees it."""
        return round(self.settings["side_px"] * self.settings.get("serve_scale", 1.0))

    def preprocess(self, item: np.ndarray) -> dict[str, np.ndarray]:
        """Scale to the working size and pad to whole strides; `images` float32, 0 to 255."""
        inside = working_size(item.shape[:2], self.side_px)
        image = pad(resize(item, inside), padded_size(inside), FILL)
        return {"images": image.astype(np.float32)}

    def postprocess(
        self, outputs: Mapping[str, np.ndarray], item: np.ndarray, **options: Any
    ) -> Segmentation:
        """Enlarge the logits to the picture, then choose: smoother edges than an enlarged mask has."""
        logits = self.enlarge(outputs["logits"], item.shape[:2])
        mask, confidence = argmax_and_confidence(logits, self.settings.get("temperature", 1.0))
        return Segmentation(mask, confidence, list(self.settings["class_names"]))

    def enlarge(self, logits: np.ndarray, size_px: tuple[int, int]) -> np.ndarray:
        """Logits `(h, w, classes)` of the padded input -> `(classes, height, width)` of the picture."""
        inside = working_size(size_px, self.side_px)
        return upsample_logits(logits, padded_size(inside), inside, size_px)

    def run(
        self, graphs: Mapping[str, predictor.Graph], items: Sequence[np.ndarray], **options: Any
    ) -> list[Segmentation]:
        """One picture at a time (their sizes differ), each with its mirror image where that was chosen."""
        graph = next(iter(graphs.values()))
        return [self.postprocess({"logits": self.low_logits(graph, item)}, item, **options) for item in items]

    def low_logits(self, graph: predictor.Graph, item: np.ndarray) -> np.ndarray:
        """Logits `(h, w, classes)` of the padded input, averaged over the views, offsets added."""
        images = self.preprocess(item)["images"]
        offsets = np.array(self.settings.get("logit_offsets") or [0.0], np.float32)
        if not self.settings.get("flip"):
            return graph({"images": images[None]})["logits"][0] + offsets
        both = graph({"images": np.stack([images, images[:, ::-1]])})["logits"]
        return (both[0] + both[1][:, ::-1]) / 2 + offsets
