"""Any Keras-Hub object detector by its preset's name: D-FINE, RetinaNet and others, with a network.

This is the only part of the demo that needs TensorFlow; it is imported when a preset is asked for and not before.
"""

from __future__ import annotations

import functools
import importlib.util
from typing import Any

import numpy as np

from apps.object_detection.preprocessing import CANDIDATE_SCORE, Candidates
from shared.data.images import letterbox
from shared.files.errors import InputError

PRESET_PREFIX = "preset:"
SUGGESTED = ("dfine_nano_coco", "dfine_small_coco", "retinanet_resnet50_fpn_coco")

COCO_CLASSES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard",
    "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors",
    "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
COCO_IDS = tuple(i for i in range(1, 91) if i not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83))
"""COCO numbers its 80 classes 1 to 90 with gaps; some presets keep those (91 outputs, 0 unused, or 90)."""


class PresetDetector:
    """A Keras-Hub `ObjectDetector` with its own preprocessing and decoding.

    Args:
        task: A `keras_hub.models.ObjectDetector`.
    """

    def __init__(self, task: Any):
        self._task = task
        count = int(task.num_classes)
        self._rank: dict[int, int] | None = None
        if count in (90, 91):
            self._rank = {coco_id - (91 - count): i for i, coco_id in enumerate(COCO_IDS)}
            self.class_names = list(COCO_CLASSES)
        elif count == len(COCO_CLASSES):
            self.class_names = list(COCO_CLASSES)
        else:
            self.class_names = [f"class {i}" for i in range(count)]

    def candidates(self, image: np.ndarray) -> Candidates:
        """Every box the detector gives for one uint8 RGB picture, in the picture's pixels."""
        import keras

        # Keras-Hub crops or pads by options of each preset; a picture that already has the network's size
        # passes unchanged, so its boxes are known to lie where we put it.
        size = self._input_size() or image.shape[:2]
        fitted, placement = letterbox(image, size, fill=0, center=False)
        found = self._task.predict(fitted[None].astype("float32"), verbose=0)
        count = int(np.asarray(found["num_detections"])[0]) if "num_detections" in found else None
        boxes = np.asarray(found["boxes"], np.float32)[0][:count]
        scores = np.asarray(found["confidence"], np.float32)[0][:count]
        labels = np.asarray(found["labels"])[0][:count].astype(int)
        boxes = np.asarray(
            keras.utils.bounding_boxes.convert_format(
                boxes, self._task.bounding_box_format, "xyxy", height=size[0], width=size[1]
            )
        )
        if self._rank is not None:
            labels = np.array([self._rank.get(int(i), -1) for i in labels], int)
        keep = (labels >= 0) & (labels < len(self.class_names)) & (scores >= CANDIDATE_SCORE)
        return Candidates(
            placement.boxes_to_original(boxes[keep].reshape(-1, 4)),
            scores[keep],
            labels[keep].astype(np.int64),
            image.shape[:2],
        )

    def _input_size(self) -> tuple[int, int] | None:
        """`(height, width)` the preset's preprocessor resizes to."""
        converter = getattr(getattr(self._task, "preprocessor", None), "image_converter", None)
        size = getattr(converter, "image_size", None)
        return tuple(size) if size and None not in size else None


@functools.lru_cache(maxsize=1)
def load_preset(name: str) -> PresetDetector:
    """Load a preset by name, `kaggle://` or `hf://` address, or local folder.

    Raises:
        InputError: TensorFlow is not installed here, there is no network, or there is no such preset.
    """
    name = name.strip()
    if not name:
        raise InputError(
            f"Type the name of a Keras-Hub detector, e.g. {SUGGESTED[0]}.",
            f"Escribe el nombre de un detector de Keras-Hub, p. ej. {SUGGESTED[0]}.",
        )
    if importlib.util.find_spec("keras_hub") is None:
        raise InputError(
            "Keras-Hub presets need TensorFlow and Keras-Hub, which are not installed here: "
            "pip install -r requirements-train.txt. The models of this page work without.",
            "Los modelos de Keras-Hub necesitan TensorFlow y Keras-Hub, que no están instalados aquí: "
            "pip install -r requirements-train.txt. Los modelos de esta página funcionan sin ellos.",
        )
    import keras_hub

    try:
        return PresetDetector(keras_hub.models.ObjectDetector.from_preset(name))
    except Exception as error:  # Kaggle, Hugging Face and the file system each raise their own kinds.
        raise InputError(
            f"The Keras-Hub preset {name!r} could not be loaded ({type(error).__name__}). Presets are "
            f"downloaded from Kaggle or Hugging Face: this needs a network and an existing name such as "
            f"{', '.join(SUGGESTED)}. The models of this page work offline.",
            f"No se pudo cargar el modelo de Keras-Hub {name!r} ({type(error).__name__}). Estos modelos se "
            f"descargan de Kaggle o Hugging Face: hace falta red y un nombre que exista, como "
            f"{', '.join(SUGGESTED)}. Los modelos de esta página funcionan sin red.",
        ) from error
