"""Your own labelled pictures: `ROOT/{train,validation,test}/CLASS/*` or `ROOT/CLASS/*`."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from shared.files.errors import DataError, InputError
from shared.files.images import EXTENSIONS, read_image

SPLITS = ("train", "validation", "test")
_ALIASES = {"val": "validation", "valid": "validation", "dev": "validation", "training": "train"}
LAYOUT = (
    "An image folder is ROOT/train/CLASS/*.jpg, ROOT/validation/CLASS/*.jpg and ROOT/test/CLASS/*.jpg, or "
    "ROOT/CLASS/*.jpg (then it is split by --seed). The folder names are the class names; there are at least two."
)


@dataclasses.dataclass(frozen=True)
class LabelledImage:
    """One picture of a data set, read when it is needed.

    Attributes:
        source: Path, or the content of the file where it lies in no file of its own.
        label: Index into the class names.
        name: What messages call it: path below the data set's root.
    """

    source: Path | bytes
    label: int
    name: str

    def read(self) -> np.ndarray:
        """RGB uint8 `(h, w, 3)`.

        Raises:
            InputError: It cannot be read.
        """
        return read_image(self.source)

    def digest(self) -> bytes:
        """Hash of the file's content: equal files have equal digests."""
        content = self.source if isinstance(self.source, bytes) else self.source.read_bytes()
        return hashlib.blake2b(content, digest_size=16).digest()


ImageSplits = dict[str, list[LabelledImage]]


def read_image_folder(
    root: str | Path,
    *,
    seed: int = 0,
    validation_fraction: float = 0.1,
    test_fraction: float = 0.1,
    skip_unreadable: bool = False,
) -> tuple[ImageSplits, list[str], list[str]]:
    """List a folder of labelled pictures in three fixed, disjoint splits.

    Splits that have no folder of their own are drawn from `train`, class by class, by `seed` alone: adding a
    picture moves few others.

    Args:
        root: The folder; see `LAYOUT`.
        seed: Of the split.
        validation_fraction: Share of `train` when there is no `validation` folder.
        test_fraction: Share when there is no `test` folder.
        skip_unreadable: Leave files out that cannot be read, instead of refusing the data set.

    Returns:
        Splits by name, class names in order of the labels, and remarks: what was left out.

    Raises:
        DataError: All problems of the folder, each with its file.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError([f"{root}: no such folder"], LAYOUT)
    folders = {_ALIASES.get(p.name.lower(), p.name.lower()): p for p in _folders(root)}
    problems: list[str] = []
    if "train" in folders:
        found = {split: _classes(folders[split]) for split in SPLITS if split in folders}
    else:
        if set(folders) & {"validation", "test"}:
            problems.append(f"{root}: there is a validation or test folder but no train folder")
        found = {"train": _classes(root)}
    classes = sorted({c for files in found.values() for c in files})
    for name in classes:
        if not found["train"].get(name):
            problems.append(f"{root}: class {name!r} has no pictures to train on")
    if len(classes) < 2:
        problems.append(f"{root}: {len(classes)} class folder(s) with pictures; at least 2 are needed")
    if problems:
        raise DataError(problems, LAYOUT)
    splits: ImageSplits = {
        split: [
            LabelledImage(path, index, str(path.relative_to(root)))
            for index, name in enumerate(classes)
            for path in files.get(name, [])
        ]
        for split, files in found.items()
    }
    unreadable = find_unreadable([image for images in splits.values() for image in images])
    remarks: list[str] = []
    if unreadable and not skip_unreadable:
        raise DataError(
            [f"{image.name}: {reason}" for image, reason in unreadable],
            "Mend or remove these files, or leave them out with --skip_unreadable.",
        )
    if unreadable:
        bad = {image for image, _ in unreadable}
        splits = {split: [i for i in images if i not in bad] for split, images in splits.items()}
        remarks = [f"left out, unreadable: {image.name} ({reason})" for image, reason in unreadable]
    complete_splits(splits, seed, validation_fraction, test_fraction)
    return {split: splits[split] for split in SPLITS}, classes, remarks


def complete_splits(
    splits: ImageSplits, seed: int, validation_fraction: float = 0.1, test_fraction: float = 0.1
) -> None:
    """Draw the splits that are missing from `train`, in place; equal files stay in one split.

    Args:
        splits: With at least `train`.
        seed: Of the draw.
        validation_fraction: Share of each class that becomes `validation`, if that is missing.
        test_fraction: Share that becomes `test`, if that is missing.

    Raises:
        DataError: A class has too few pictures to be split.
    """
    wanted = [("test", test_fraction), ("validation", validation_fraction)]
    wanted = [(split, share) for split, share in wanted if split not in splits]
    if not wanted:
        return
    problems = []
    by_class: dict[int, list[LabelledImage]] = defaultdict(list)
    for image in splits["train"]:
        by_class[image.label].append(image)
    taken: dict[str, list[LabelledImage]] = {split: [] for split, _ in wanted}
    kept: list[LabelledImage] = []
    for images in by_class.values():
        # The content decides, so copies of a picture never stand on both sides.
        groups: dict[bytes, list[LabelledImage]] = defaultdict(list)
        for image in images:
            groups[hashlib.blake2b(image.digest(), key=str(seed).encode()).digest()].append(image)
        order = [groups[key] for key in sorted(groups)]
        if len(order) < len(wanted) + 1:
            folder = Path(images[0].name).parent
            problems.append(
                f"{folder}: {len(order)} different picture(s); at least {len(wanted) + 1} are needed"
            )
            continue
        start = 0
        for split, share in wanted:
            count = max(1, round(len(order) * share))
            taken[split] += [image for group in order[start : start + count] for image in group]
            start += count
        kept += [image for group in order[start:] for image in group]
    if problems:
        raise DataError(problems, "Add pictures, or give train, validation and test folders of your own.")
    splits["train"] = sorted(kept, key=lambda i: (i.label, i.name))
    splits |= {split: sorted(images, key=lambda i: (i.label, i.name)) for split, images in taken.items()}


def find_unreadable(images: Sequence[LabelledImage]) -> list[tuple[LabelledImage, str]]:
    """Decode every picture, in threads; those that fail, with the reason."""

    def reason(image: LabelledImage) -> str | None:
        try:
            image.read()
        except InputError as error:
            return error.en
        return None

    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        reasons = pool.map(reason, images)
        return [(image, why) for image, why in zip(images, reasons, strict=True) if why]


def find_leaks(splits: ImageSplits) -> list[str]:
    """Identical files in two splits, one line each: a test score would count what was trained on."""
    where: dict[bytes, tuple[str, str]] = {}
    leaks = []
    for split in SPLITS:
        for image in splits.get(split, []):
            first = where.setdefault(image.digest(), (split, image.name))
            if first[0] != split:
                leaks.append(f"{image.name} ({split}) is the same file as {first[1]} ({first[0]})")
    return leaks


def _folders(root: Path) -> list[Path]:
    return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def _classes(root: Path) -> dict[str, list[Path]]:
    """Class name -> its files; other files than pictures are ignored only when they are hidden or notes."""
    result = {}
    for folder in _folders(root):
        files = sorted(p for p in folder.rglob("*") if p.is_file() and _is_candidate(p))
        if files:
            result[folder.name] = files
    return result


def _is_candidate(path: Path) -> bool:
    ignored = (".txt", ".csv", ".json", ".xml", ".md", ".db", ".ini")
    return not path.name.startswith(".") and (
        path.suffix.lower() in EXTENSIONS or path.suffix.lower() not in ignored
    )
