"""Detection data sets of TensorFlow Datasets by name: `tfds:voc/2007`, `tfds:coco/2017`, `tfds:bccd`, ..."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from shared.data.boxes import SPLITS, BoxImage, BoxSplits, Findings, check_box, complete_splits, make_image
from shared.data.tfds_builder import prepared_builder
from shared.files.errors import DataError

IGNORE_FLAGS = ("is_difficult", "is_crowd")
HINT = "See tensorflow.org/datasets/catalog, section 'Object detection'; --data_dir names prepared data."


def read_tfds_boxes(
    name: str, *, data_dir: str = "", seed: int = 0, memory_bytes: int = 4 * 2**30
) -> tuple[BoxSplits, list[str], list[str]]:
    """Read a detection data set, pictures still encoded.

    Pictures of a data set too large for memory (COCO) are written once as files beside the prepared data.

    Args:
        name: As `tfds.builder` takes it, e.g. `voc/2007`; a leading `tfds:` is cut.
        data_dir: Where prepared data sets lie; TFDS's own default when empty.
        seed: Of splits that the data set does not have; they are drawn from `train`.
        memory_bytes: Largest data set whose pictures are kept in memory.

    Returns:
        As `shared.data.boxes.read_boxes`.

    Raises:
        DataError: There is no such data set, or it has no boxes.
    """
    import tensorflow_datasets as tfds

    name = name.removeprefix("tfds:")
    builder = prepared_builder(name, data_dir)
    features = builder.info.features
    # FeaturesDict is no dict: it has neither get() nor a default.
    known = "image" in features and "objects" in features
    objects = getattr(features["objects"], "feature", {}) if known else {}
    if "bbox" not in objects or "label" not in objects or not hasattr(objects["label"], "num_classes"):
        raise DataError(
            [f"tfds:{name}: needs 'image' and 'objects' with 'bbox' and 'label', has {', '.join(features)}"],
            HINT,
        )
    folder = Path(builder.data_dir) / "pictures" if builder.info.dataset_size > memory_bytes else None
    label = objects["label"]
    classes = list(label.names) if label.names else [str(i) for i in range(label.num_classes)]
    found = Findings()
    splits: BoxSplits = {}
    for split in builder.info.splits:
        if split not in SPLITS:
            continue
        rows = tfds.as_numpy(
            builder.as_dataset(
                split=split, decoders={"image": tfds.decode.SkipDecoding()}, shuffle_files=False
            )
        )
        keep = folder / split if folder else None
        images = [_image(row, f"{name}/{split}/{index}", keep, found) for index, row in enumerate(rows)]
        # Some test splits hide their boxes: nothing can be measured on them.
        if split == "train" or any(len(image.boxes) for image in images):
            splits[split] = images
    if found.problems:
        raise DataError(found.problems, HINT)
    if "train" not in splits:
        raise DataError([f"tfds:{name}: no train split among {', '.join(builder.info.splits)}"], HINT)
    return complete_splits(splits, seed), classes, found.remarks


def _image(row: dict[str, Any], name: str, folder: Path | None, found: Findings) -> BoxImage:
    content, objects = bytes(row["image"]), row["objects"]
    with Image.open(io.BytesIO(content)) as image:
        width, height = image.size
    ignored = np.zeros(len(objects["label"]), bool)
    for flag in IGNORE_FLAGS:
        if flag in objects:
            ignored |= np.asarray(objects[flag], bool)
    rows = []
    for index, (box, label) in enumerate(zip(objects["bbox"], objects["label"], strict=True)):
        # TFDS keeps boxes as (y_min, x_min, y_max, x_max), shares of the picture.
        y0, x0, y1, x1 = (float(v) for v in box)
        pixels = (x0 * width, y0 * height, x1 * width, y1 * height)
        checked = check_box(pixels, (height, width), f"{name}:object {index + 1}", found)
        if checked and label >= 0:
            rows.append((checked[0], int(label), checked[1] or bool(ignored[index])))
    source: Path | bytes = content
    if folder:
        source = folder / name.rsplit("/", 1)[-1]
        if not source.is_file() or source.stat().st_size != len(content):
            folder.mkdir(parents=True, exist_ok=True)
            source.write_bytes(content)
    return make_image(source, rows, (height, width), name)
