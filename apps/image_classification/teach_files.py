"""What a visitor takes home from "Teach it yours": ONNX file, Keras head, photos in folders, and the way on."""

from __future__ import annotations

import io
import re
import shlex
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from apps.image_classification.keras_head import write_keras_head
from apps.image_classification.onnx_head import replace_head
from apps.image_classification.teach import Lesson
from shared.runtime.predictor import Predictor


def onnx_file(model: Predictor, lesson: Lesson) -> bytes:
    """The whole classifier: photo in, probabilities of the visitor's classes out."""
    content = model.variant.checked("model.onnx").read_bytes()
    return replace_head(content, lesson.head, lesson.class_names)


def keras_file(lesson: Lesson) -> bytes:
    """The new last layer as a Keras 3 model on the features of the served network."""
    return write_keras_head(lesson.head)


def photos_zip(classes: Mapping[str, Sequence[str]]) -> bytes:
    """The photos as the folder the training script reads: `photos/CLASS/1.jpg`."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, paths in classes.items():
            for number, path in enumerate(paths, start=1):
                suffix = Path(path).suffix.lower() or ".jpg"
                archive.write(path, f"photos/{folder_name(name)}/{number:03d}{suffix}")
    return stream.getvalue()


def folder_name(name: str) -> str:
    """A class name as a folder that every system takes."""
    return re.sub(r"[^\w\- ]+", "_", name).strip(" ._") or "class"


def train_command(lesson: Lesson) -> str:
    """The line that fine-tunes the network itself on the same photos."""
    epochs = 30 if lesson.photos < 200 else 15
    words = ["python", "-m", "apps.image_classification.train", "--variant", "mine", "--data", "photos"]
    words += ["--augmentation", "randaugment", "--epochs", str(epochs)]
    return shlex.join(words)


def keras_snippet(variant: str) -> str:
    """How the Keras head is joined to the network it was taught on."""
    return (
        "import keras\n"
        f'network = keras.saving.load_model("models/image_classification/{variant}/model.keras")\n'
        'head = keras.saving.load_model("head.keras")\n'
        "mine = keras.Model(network.input, head(network.outputs[2]))  # outputs: logits, class_maps, features"
    )
