"""Your own images with a mask for each, CamVid folders, and masks of TensorFlow Datasets.

Every picture and mask is opened before training; whatever is wrong stands in one `DataError`, by file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import random
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from shared.data.class_table import (
    CLASS_LIST_HINT,
    UNKNOWN,
    VOID,
    ClassTable,
    camvid_table,
    make_table,
    read_class_list,
)
from shared.data.tfds_builder import prepared_builder
from shared.files.errors import DataError, InputError
from shared.files.images import EXTENSIONS, read_image

SPLITS = ("train", "validation", "test")
_FOLDERS = {
    "train": ("train", "training"),
    "validation": ("validation", "val", "valid", "dev"),
    "test": ("test", "testing"),
}
_IMAGES = ("images", "image", "img", "imgs", "JPEGImages")
_MASKS = ("masks", "mask", "labels", "annotations", "annot", "SegmentationClass")
LAYOUT = (
    "Layouts that work: ROOT/images/*.jpg with ROOT/masks/*.png (split by --seed), ROOT/train/images with "
    "ROOT/train/masks (and validation, test), ROOT/images/train with ROOT/masks/train, or CamVid's ROOT/train "
    "with ROOT/trainannot. A mask is a PNG with the name and the size of its image. " + CLASS_LIST_HINT
)


@dataclasses.dataclass(frozen=True)
class MaskedImage:
    """One picture with a class for every pixel, read when it is needed.

    Attributes:
        image: Path, or the content of the file.
        mask: Path, or the content of a PNG.
        name: What messages call it: path below the data set's root.
        table: How the mask is read.
        size_px: `(height, width)`; filled by `check_masks`.
    """

    image: Path | bytes
    mask: Path | bytes
    name: str
    table: ClassTable = dataclasses.field(repr=False)
    size_px: tuple[int, int] = (0, 0)

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """RGB uint8 `(h, w, 3)` and class indices uint8 `(h, w)`, `VOID` where nobody labelled.

        Raises:
            InputError: The picture cannot be read.
            ValueError: The mask cannot be used; the message says why.
        """
        image = read_image(self.image)
        mask = read_mask(self.mask, self.table)
        if mask.shape != image.shape[:2]:
            raise ValueError(
                f"the mask has {mask.shape[1]} × {mask.shape[0]} pixels, its image {image.shape[1]} × "
                f"{image.shape[0]}"
            )
        return image, mask

    def digest(self) -> bytes:
        """Hash of the picture's file: equal files have equal digests."""
        content = self.image if isinstance(self.image, bytes) else self.image.read_bytes()
        return hashlib.blake2b(content, digest_size=16).digest()


MaskSplits = dict[str, list[MaskedImage]]


def read_mask(source: Path | bytes, table: ClassTable) -> np.ndarray:
    """Read a mask: an indexed or grey PNG of class indices, or a colour PNG of class colours.

    Returns:
        uint8 `(h, w)`: class index, or `VOID`.

    Raises:
        ValueError: It is no PNG-like picture, or a value or colour is not in the class list; the message names
            the value and where it stands first.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
            lossy = picture.format == "JPEG"
            picture.load()
            if table.colour_table is not None:
                values = np.asarray(picture.convert("RGB"))
            elif picture.mode in ("P", "L", "1") or picture.mode.startswith("I"):
                values = np.asarray(picture)
            else:
                values = np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError, EOFError, IndexError) as error:
        raise ValueError(f"the mask cannot be read ({str(error)[:80] or type(error).__name__})") from error
    if lossy:
        raise ValueError("the mask is a JPEG, which changes class values; save masks as PNG")
    if table.colour_table is not None:
        return _from_colours(values, table)
    if values.ndim == 3:
        if (values[..., :1] != values).any():
            raise ValueError("the mask is a colour picture, but the class list gives no colours")
        values = values[..., 0]
    return _from_indices(values, table)


def _from_indices(values: np.ndarray, table: ClassTable) -> np.ndarray:
    lookup = np.array(table.index_table, np.uint8)
    outside = (values < 0) | (values > 255)
    mask = lookup[np.where(outside, 0, values).astype(np.uint8)]
    wrong = outside | (mask == UNKNOWN)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        kinds = sorted(int(v) for v in np.unique(values[wrong]))
        known = [i for i, v in enumerate(table.index_table) if v not in (UNKNOWN, VOID)]
        raise ValueError(
            f"unknown index {', '.join(map(str, kinds[:5]))}{' ...' if len(kinds) > 5 else ''} (first at row "
            f"{row}, column {column}; {int(wrong.sum())} pixels); classes are {known[0]} to {known[-1]}, void is 255"
        )
    return mask


def _from_colours(values: np.ndarray, table: ClassTable) -> np.ndarray:
    keys = np.array([k for k, _ in table.colour_table], np.uint32)
    classes = np.array([v for _, v in table.colour_table], np.uint8)
    wide = values.astype(np.uint32)
    packed = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    position = np.minimum(np.searchsorted(keys, packed), len(keys) - 1)
    wrong = keys[position] != packed
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        colour = tuple(int(v) for v in values[row, column])
        kinds = len(np.unique(packed[wrong]))
        raise ValueError(
            f"unknown colour {colour} (first at row {row}, column {column}; {int(wrong.sum())} pixels of "
            f"{kinds} unknown colour(s)); it is not in the class list"
        )
    return classes[position]


def read_mask_folder(root: str | Path, *, seed: int = 0) -> tuple[MaskSplits, ClassTable, list[str]]:
    """Find images and masks below a folder, check every one and complete the splits.

    Args:
        root: See `LAYOUT`.
        seed: Of the splits that the folder does not have.

    Returns:
        Splits, class table, remarks.

    Raises:
        DataError: Everything that is wrong with the class list, images and masks.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError([f"{root}: is not a folder"], LAYOUT)
    found, camvid = _find_folders(root)
    if not found:
        raise DataError([f"{root}: no folder of images beside a folder of masks"], LAYOUT)
    lists = [p for p in (root / "classes.txt", root / "class_dict.csv") if p.is_file()]
    if lists:
        table = read_class_list(lists[0])
    elif camvid:
        table = camvid_table()
    else:
        raise DataError([f"{root.name}/classes.txt: is missing"], CLASS_LIST_HINT)
    splits: MaskSplits = {}
    problems: list[str] = []
    for split, images, masks in found:
        splits[split] = _pair(root, images, masks, table, problems)
    splits = {split: check_masks(rows, problems) for split, rows in splits.items()}
    if not problems and not splits.get("train"):
        problems.append(f"{root.name}: no images in the train folder")
    problems += find_leaks(splits)
    if problems:
        raise DataError(problems, LAYOUT)
    complete_splits(splits, seed)
    return {split: splits[split] for split in SPLITS}, table, []


def _find_folders(root: Path) -> tuple[list[tuple[str, Path, Path]], bool]:
    """`(split, images, masks)` of the layout that is there, and whether it is CamVid's."""
    flat = _beside(root, _IMAGES, _MASKS)
    if flat and not any(p.is_dir() for p in flat[0].iterdir()):
        return [("train", *flat)], False
    found, camvid = [], False
    for split, names in _FOLDERS.items():
        for name in names:
            folder = root / name
            annotated = next(
                (
                    root / f"{name}{end}"
                    for end in ("annot", "_labels", "_masks")
                    if (root / f"{name}{end}").is_dir()
                ),
                None,
            )
            inside = _beside(folder, _IMAGES, _MASKS)
            if folder.is_dir() and annotated:
                found.append((split, folder, annotated))
                camvid = camvid or annotated.name.endswith("annot")
            elif inside:
                found.append((split, *inside))
            elif flat and (flat[0] / name).is_dir():
                found.append((split, flat[0] / name, flat[1] / name))
            else:
                continue
            break
    return found, camvid


def _beside(folder: Path, first: Iterable[str], second: Iterable[str]) -> tuple[Path, Path] | None:
    one = next((folder / n for n in first if (folder / n).is_dir()), None)
    two = next((folder / n for n in second if (folder / n).is_dir()), None)
    return (one, two) if one and two else None


def _pair(root: Path, images: Path, masks: Path, table: ClassTable, problems: list[str]) -> list[MaskedImage]:
    def pictures(folder: Path) -> dict[str, Path]:
        if not folder.is_dir():
            return {}
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in EXTENSIONS and p.name[0] != ".")
        return {p.stem: p for p in files}

    pairs, of_images, of_masks = [], pictures(images), pictures(masks)
    # Full CamVid calls the mask of `x.png` `x_L.png`; other tools write `x_mask.png`.
    for end in ("_L", "_mask"):
        for stem in [s for s in of_masks if s.endswith(end) and s.removesuffix(end) in of_images]:
            of_masks.setdefault(stem.removesuffix(end), of_masks.pop(stem))
    for stem, path in of_images.items():
        if stem in of_masks:
            pairs.append(MaskedImage(path, of_masks[stem], str(path.relative_to(root)), table))
        else:
            expected = (masks / f"{stem}.png").relative_to(root)
            problems.append(f"{path.relative_to(root)}: has no mask; {expected} is missing")
    for stem in sorted(set(of_masks) - set(of_images)):
        problems.append(
            f"{of_masks[stem].relative_to(root)}: has no image; {images.relative_to(root)}/{stem}.* is missing"
        )
    return pairs


def check_masks(examples: Sequence[MaskedImage], problems: list[str]) -> list[MaskedImage]:
    """Open every picture and mask, in threads; note what is wrong and fill in the sizes."""

    def check(example: MaskedImage) -> tuple[MaskedImage, str | None]:
        try:
            size = example.read()[0].shape[:2]
        except InputError as error:
            return example, f"{example.name}: {error.en}"
        except ValueError as error:
            mask = example.mask
            file = f"{mask.parent.name}/{mask.name}" if isinstance(mask, Path) else "mask"
            return example, f"{example.name}: {error} ({file})"
        return dataclasses.replace(example, size_px=(int(size[0]), int(size[1]))), None

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        results = list(pool.map(check, examples))
    problems += [why for _, why in results if why]
    return [example for example, why in results if not why]


def find_leaks(splits: MaskSplits) -> list[str]:
    """Identical picture files in two splits: a test score would count what was trained on."""
    where: dict[bytes, tuple[str, str]] = {}
    leaks = []
    for split, examples in splits.items():
        for example in examples:
            first = where.setdefault(example.digest(), (split, example.name))
            if first[0] != split:
                leaks.append(f"{example.name} ({split}) is the same picture as {first[1]} ({first[0]})")
    return leaks


def complete_splits(splits: MaskSplits, seed: int, share: float = 0.15) -> None:
    """Draw the missing splits from `train`, in place; equal files stay in one split.

    Raises:
        DataError: There are too few different pictures.
    """
    wanted = [s for s in ("test", "validation") if not splits.get(s)]
    groups: dict[bytes, list[MaskedImage]] = {}
    for example in splits["train"]:
        groups.setdefault(example.digest(), []).append(example)
    if len(groups) < len(wanted) + 1:
        raise DataError(
            [f"{len(groups)} different picture(s) in train; at least {len(wanted) + 1} are needed"], LAYOUT
        )
    keys = sorted(groups)
    random.Random(seed).shuffle(keys)
    count = max(1, round(len(keys) * share))
    for split in wanted:
        splits[split] = sorted((e for k in keys[:count] for e in groups[k]), key=lambda e: e.name)
        keys = keys[count:]
    splits["train"] = sorted((e for k in keys for e in groups[k]), key=lambda e: e.name)


def read_tfds_masks(
    name: str, *, data_dir: str = "", seed: int = 0, limit_bytes: int = 8 * 2**30
) -> tuple[MaskSplits, ClassTable, list[str]]:
    """Read a segmentation data set of TensorFlow Datasets, pictures still encoded.

    `oxford_iiit_pet` has masks of 1 pet, 2 background, 3 border. Other data sets need a feature
    `segmentation_mask` or `segmentation_label` with indices from 0.

    Args:
        name: As `tfds.builder` takes it.
        data_dir: Where prepared data sets lie; TFDS's own default when empty.
        seed: Of splits that the data set does not have.
        limit_bytes: Refuse data sets that need more memory than this.

    Returns:
        Splits, class table, remarks.

    Raises:
        DataError: There is no such data set, it has no masks, or it is too large.
    """
    import tensorflow_datasets as tfds

    name = name.removeprefix("tfds:")
    builder = prepared_builder(name, data_dir)
    features = builder.info.features
    key = next((k for k in ("segmentation_mask", "segmentation_label") if k in features), None)
    if key is None or "image" not in features:
        raise DataError(
            [f"tfds:{name}: needs the features image and segmentation_mask, has {', '.join(features)}"],
            "tfds:oxford_iiit_pet works.",
        )
    if builder.info.dataset_size > limit_bytes:
        raise DataError([f"tfds:{name}: {builder.info.dataset_size / 2**30:.1f} GB do not fit in memory"])
    decoders = {"image": tfds.decode.SkipDecoding(), key: tfds.decode.SkipDecoding()}
    rows = {
        split: list(tfds.as_numpy(builder.as_dataset(split=split, decoders=decoders, shuffle_files=False)))
        for split in builder.info.splits
        if split in SPLITS
    }
    if "train" not in rows:
        raise DataError([f"tfds:{name}: no train split among {', '.join(builder.info.splits)}"])
    if name.split(":")[0].split("/")[0] == "oxford_iiit_pet":
        names = ["pet", "background", "border"]
        table = make_table(names, [None] * 3, coloured_masks=False, first_index=1)
    else:
        highest = max(_highest(bytes(row[key])) for split in rows.values() for row in split)
        names = [f"class {i}" for i in range(highest + 1)]
        table = make_table(names, [None] * len(names), coloured_masks=False)
    problems: list[str] = []
    splits: MaskSplits = {}
    for split, items in rows.items():
        examples = [
            MaskedImage(bytes(row["image"]), bytes(row[key]), f"{name}/{split}/{index}", table)
            for index, row in enumerate(items)
        ]
        splits[split] = check_masks(examples, problems)
    remarks = [f"left out: {problem}" for problem in problems]
    complete_splits(splits, seed)
    return {split: splits[split] for split in SPLITS}, table, remarks


def _highest(png: bytes) -> int:
    with Image.open(io.BytesIO(png)) as picture:
        values = np.asarray(picture)
    return int(values[values < VOID].max(initial=0))
