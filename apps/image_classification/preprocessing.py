"""What happens to a photo before and after the network; the same code trains, evaluates and serves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shared.data.images import Placement, center_crop, resize
from shared.files.images import ImageSource, read_image
from shared.results import Classification
from shared.runtime.predictor import Arrays
from shared.runtime.predictor import Processor as BaseProcessor


def to_square(image: np.ndarray, settings: Mapping[str, Any]) -> tuple[np.ndarray, Placement]:
    """Make the square the network sees.

    Args:
        image: RGB uint8 `(h, w, 3)`.
        settings: `image_size_px`, `crop` (`squash` or `center`) and `crop_fraction`.

    Returns:
        RGB uint8 `(size, size, 3)`, 0 to 255 (the network normalizes), and where the photo lies in it.
    """
    size = settings["image_size_px"]
    if settings["crop"] == "center":
        return center_crop(image, size, settings["crop_fraction"])
    square = resize(image, (size, size))
    return square, Placement(image.shape[:2], (0, 0), (size, size), (size, size))


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities along the last axis; a temperature above 1 makes them more cautious."""
    shifted = (logits - logits.max(axis=-1, keepdims=True)) / temperature
    exponents = np.exp(shifted.astype(np.float64))
    return exponents / exponents.sum(axis=-1, keepdims=True)


class Processor(BaseProcessor):
    """Photo (path, bytes, array or PIL image) -> `Classification`."""

    def preprocess(self, item: ImageSource) -> dict[str, np.ndarray]:
        """`images`: float32 `(size, size, 3)`, 0 to 255."""
        square, _ = to_square(read_image(item), self.settings)
        return {"images": square.astype(np.float32)}

    def postprocess(
        self, outputs: Arrays, item: ImageSource, *, top_k: int = 5, threshold: float = 0.0, **options: Any
    ) -> Classification:
        """The most probable classes.

        Args:
            outputs: `logits` `(classes,)`, `class_maps` `(h, w, classes)`, `features` `(d,)`.
            item: The photo.
            top_k: At most so many classes.
            threshold: Leave out classes below this probability; the first always stays.
            options: Ignored.

        Returns:
            `extras` holds `indices` `(k,)`, `all_probabilities` `(classes,)`, `class_maps` and `features`.
        """
        probabilities = softmax(outputs["logits"], self.settings.get("temperature", 1.0))
        order = np.argsort(-probabilities, kind="stable")[: max(1, top_k)]
        order = order[: max(1, int(np.count_nonzero(probabilities[order] >= threshold)))]
        names = self.settings["class_names"]
        return Classification(
            labels=[names[i] for i in order],
            probabilities=probabilities[order],
            extras={
                "indices": order,
                "all_probabilities": probabilities,
                "class_maps": outputs.get("class_maps"),
                "features": outputs.get("features"),
            },
        )


def activation_map(
    class_maps: np.ndarray, index: int, image_shape: tuple[int, ...], settings: Mapping[str, Any]
) -> np.ndarray:
    """Where in the photo the network saw a class (CAM, https://arxiv.org/abs/1512.04150).

    The network's logit of a class is the mean (or maximum) over places of that class's map, so the map is
    exact and needs no gradient. Of each place the mean over all classes is taken away: what stays is what
    speaks for this class and not for the others.

    Args:
        class_maps: `(h, w, classes)` of one photo.
        index: The class.
        image_shape: `(height, width, ...)` of the photo.
        settings: See `to_square`.

    Returns:
        float32 `(height, width)` in [0, 1]; 0 outside what the network saw.
    """
    height, width = image_shape[:2]
    heat = class_maps[..., index] - class_maps.mean(axis=-1)
    heat = np.maximum(heat - np.median(heat), 0)
    heat = heat / max(float(heat.max()), 1e-9)
    small = np.rint(heat * 255).astype(np.uint8)
    if settings["crop"] == "center":
        side = max(1, round(min(height, width) * settings["crop_fraction"]))
        top, left = (height - side) // 2, (width - side) // 2
        result = np.zeros((height, width), np.float32)
        result[top : top + side, left : left + side] = resize(small, (side, side), "bicubic") / 255.0
        return result
    return (resize(small, (height, width), "bicubic") / 255.0).astype(np.float32)
