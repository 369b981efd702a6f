"""Images with boxes: your own folder in Pascal VOC XML or COCO JSON, or a TensorFlow data set by name.

Every wrong annotation is named by file and line, all of them in one `DataError`, before training starts.
"""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path

import numpy as np
from PIL import Image

from shared.files.errors import DataError

SPLITS = ("train", "validation", "test")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
MIN_SIDE_PX = 2.0
"""A box thinner than this is a slip of the mouse: it is set aside with a remark."""
TOLERANCE_PX = 1.0
"""Tools disagree about counting pixels from 0 or 1; a box may end one pixel outside and is cut."""
LAYOUTS = """Layouts that are read:
  Pascal VOC: Annotations/*.xml and JPEGImages/ (or XML beside the pictures), optionally
    ImageSets/Main/{train,val,test}.txt and classes.txt;
  COCO: annotations/{train,val,test}.json (names containing these words) or one annotations.json,
    pictures beside them, in images/ or in {train,val,test}/."""


@dataclasses.dataclass(frozen=True)
class BoxImage:
    """One picture and its objects.

    Attributes:
        source: Path of the file, or its content.
        boxes: `(n, 4)` float32, `xyxy` in pixels of the picture.
        class_ids: `(n,)` int32.
        ignored: `(n,)` bool: marked difficult, a crowd, or too thin; neither trained on nor counted.
        size_px: `(height, width)`.
        name: Shown in reports.
    """

    source: Path | bytes
    boxes: np.ndarray
    class_ids: np.ndarray
    ignored: np.ndarray
    size_px: tuple[int, int]
    name: str

    @property
    def input(self) -> Path | bytes:
        """What a predictor is given of it."""
        return self.source


BoxSplits = dict[str, list[BoxImage]]


@dataclasses.dataclass
class Findings:
    """Problems that stop training and remarks that do not."""

    problems: list[str] = dataclasses.field(default_factory=list)
    remarks: list[str] = dataclasses.field(default_factory=list)


def read_boxes(path: str | Path, *, seed: int = 0) -> tuple[BoxSplits, list[str], list[str]]:
    """Read a folder in either layout (see `LAYOUTS`).

    Args:
        path: The folder, or one COCO JSON file.
        seed: Of splits that the folder does not have; they are drawn from `train`.

    Returns:
        `train`, `validation` and `test`, the class names, and remarks on the data.

    Raises:
        DataError: The folder or its annotations are wrong; every problem by file and line.
    """
    from shared.data import boxes_coco, boxes_voc

    root = Path(path)
    if not str(path) or not root.exists():
        raise DataError([f"data: there is no folder {str(path)!r}"], LAYOUTS)
    found = Findings()
    if boxes_coco.find_files(root):
        splits, classes = boxes_coco.read(root, found)
    elif boxes_voc.find_files(root):
        splits, classes = boxes_voc.read(root, found)
    else:
        raise DataError([f"{root.name}: neither COCO JSON nor Pascal VOC XML annotations in it"], LAYOUTS)
    check_disjoint(splits, found)
    if not found.problems and not any(len(i.boxes) for i in splits.get("train", [])):
        found.problems.append(f"{root.name}: no object in any training image")
    if found.problems:
        raise DataError(found.problems, LAYOUTS)
    return complete_splits(splits, seed), classes, found.remarks


def check_box(
    box: tuple[float, float, float, float], size_px: tuple[int, int], place: str, found: Findings
) -> tuple[np.ndarray, bool] | None:
    """Judge one box.

    Args:
        box: `xyxy` in pixels, not inclusive.
        size_px: `(height, width)` of the picture.
        place: `file:line` for the message.
        found: Receives the problem or remark.

    Returns:
        The box cut to the picture and whether it is to be ignored; None for a wrong one.
    """
    height, width = size_px
    x0, y0, x1, y1 = box
    text = f"box ({x0:g}, {y0:g}, {x1:g}, {y1:g})"
    if not np.isfinite(box).all():
        found.problems.append(f"{place}: {text} has a value that is no number")
        return None
    if x1 < x0 or y1 < y0:
        found.problems.append(f"{place}: {text} ends before it begins (xyxy)")
        return None
    if min(x0, y0) < -TOLERANCE_PX or x1 > width + TOLERANCE_PX or y1 > height + TOLERANCE_PX:
        found.problems.append(f"{place}: {text} reaches outside the picture of {width} x {height} pixels")
        return None
    thin = min(x1 - x0, y1 - y0) < MIN_SIDE_PX
    if thin:
        found.remarks.append(f"{place}: {text} is thinner than {MIN_SIDE_PX:g} pixels and is ignored")
    return np.clip(np.array(box, np.float32), 0, [width, height, width, height]), thin


def read_size(path: Path, place: str, found: Findings) -> tuple[int, int] | None:
    """`(height, width)` of a picture from its header; None with a problem noted if it cannot be read."""
    if not path.is_file():
        found.problems.append(f"{place}: the picture {path.name!r} does not exist")
        return None
    try:
        with Image.open(path) as image:
            width, height = image.size
            # The picture is later turned as its EXIF says; its boxes were drawn on what is shown.
            if image.getexif().get(0x0112, 1) in (5, 6, 7, 8):
                width, height = height, width
    except (OSError, Image.DecompressionBombError):
        found.problems.append(f"{place}: the picture {path.name!r} cannot be read")
        return None
    return height, width


def make_image(
    source: Path | bytes, rows: list[tuple[np.ndarray, int, bool]], size_px: tuple[int, int], name: str
) -> BoxImage:
    """Stack rows of box, class and ignored."""
    return BoxImage(
        source,
        np.array([r[0] for r in rows], np.float32).reshape(-1, 4),
        np.array([r[1] for r in rows], np.int32),
        np.array([r[2] for r in rows], bool),
        size_px,
        name,
    )


def check_disjoint(splits: BoxSplits, found: Findings) -> None:
    """No picture may stand in two splits."""
    seen: dict[str, str] = {}
    for split in SPLITS:
        for image in splits.get(split, []):
            key = str(image.source) if isinstance(image.source, Path) else image.name
            if seen.setdefault(key, split) != split:
                found.problems.append(f"{image.name}: in both {seen[key]} and {split}")


def complete_splits(splits: BoxSplits, seed: int = 0, share: float = 0.15) -> BoxSplits:
    """Draw the splits that are missing from `train`, at least one picture each.

    Raises:
        DataError: Fewer than three pictures.
    """
    splits = {name: list(images) for name, images in splits.items() if images}
    missing = [name for name in ("validation", "test") if name not in splits]
    train = splits.get("train", [])
    if len(train) < len(missing) + 1:
        raise DataError(
            [f"train: needs at least {len(missing) + 1} pictures to draw {' and '.join(missing) or 'from'}"],
            LAYOUTS,
        )
    order = list(train)
    random.Random(seed).shuffle(order)
    count = max(1, round(len(train) * share))
    for name in missing:
        splits[name], order = order[:count], order[count:]
    drawn = {id(image) for name in missing for image in splits[name]}
    splits["train"] = [image for image in train if id(image) not in drawn]
    return {name: splits[name] for name in SPLITS}
