"""Pascal VOC XML: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/ (annotation format)."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from xml.parsers import expat

from shared.data.boxes import (
    IMAGE_SUFFIXES,
    BoxImage,
    BoxSplits,
    Findings,
    check_box,
    make_image,
    read_size,
)

SPLIT_FILES = {"train": "train", "val": "validation", "test": "test"}


@dataclasses.dataclass
class Element:
    """An XML element that knows its line."""

    tag: str
    line: int
    text: str = ""
    children: list[Element] = dataclasses.field(default_factory=list)

    def find(self, tag: str) -> Element | None:
        """The first child of that tag."""
        return next((c for c in self.children if c.tag == tag), None)

    def findall(self, tag: str) -> list[Element]:
        """All children of that tag."""
        return [c for c in self.children if c.tag == tag]

    def value(self, tag: str) -> str:
        """Text of the first child of that tag, empty if there is none."""
        child = self.find(tag)
        return child.text.strip() if child else ""


def parse_xml(content: bytes) -> Element:
    """Parse XML keeping line numbers, which ElementTree throws away.

    Raises:
        xml.parsers.expat.ExpatError: Not well-formed; `lineno` says where.
    """
    top = Element("", 0)
    stack = [top]
    parser = expat.ParserCreate()

    def start(tag: str, _attributes: dict) -> None:
        element = Element(tag, parser.CurrentLineNumber)
        stack[-1].children.append(element)
        stack.append(element)

    def characters(data: str) -> None:
        stack[-1].text += data

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _tag: stack.pop()
    parser.CharacterDataHandler = characters
    parser.Parse(content, True)
    return top.children[0]


def find_files(root: Path) -> list[Path]:
    """The XML files of a VOC folder."""
    if not root.is_dir():
        return []
    folder = root / "Annotations"
    return sorted((folder if folder.is_dir() else root).glob("*.xml"))


def read(root: Path, found: Findings) -> tuple[BoxSplits, list[str]]:
    """Read a VOC folder; problems go to `found`. Without `classes.txt` the classes are those that occur."""
    files = {path.stem: path for path in find_files(root)}
    parsed: dict[str, tuple[Path, Element]] = {}
    for stem, path in files.items():
        try:
            parsed[stem] = path, parse_xml(path.read_bytes())
        except expat.ExpatError as error:
            found.problems.append(f"{_short(path, root)}:{error.lineno}: not well-formed XML ({error})")
    listed = _read_sets(root, files, found)
    classes_file = root / "classes.txt"
    if classes_file.is_file():
        lines = classes_file.read_text(encoding="utf-8").splitlines()
        classes = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    else:
        names = {o.value("name") for _, tree in parsed.values() for o in tree.findall("object")}
        classes = sorted(n for n in names if n)
    images = {
        stem: image
        for stem, (path, tree) in parsed.items()
        if (image := _read_image(root, path, tree, classes, found))
    }
    if not listed:
        return {"train": list(images.values())}, classes
    return {s: [images[stem] for stem in stems if stem in images] for s, stems in listed.items()}, classes


def _read_sets(root: Path, files: dict[str, Path], found: Findings) -> dict[str, list[str]]:
    listed: dict[str, list[str]] = {}
    for name, split in SPLIT_FILES.items():
        path = root / "ImageSets" / "Main" / f"{name}.txt"
        if not path.is_file():
            continue
        listed[split] = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            stem = line.split()[0] if line.split() else ""
            if stem and stem not in files:
                found.problems.append(f"{_short(path, root)}:{number}: there is no Annotations/{stem}.xml")
            elif stem:
                listed[split].append(stem)
    return listed


def _read_image(
    root: Path, path: Path, tree: Element, classes: list[str], found: Findings
) -> BoxImage | None:
    short = _short(path, root)
    element = tree.find("filename")
    picture = _find_picture(root, path, element.text.strip() if element else "")
    size_px = read_size(picture, f"{short}:{element.line if element else tree.line}", found)
    if size_px is None:
        return None
    size = tree.find("size")
    if size is not None:
        said = size.value("height"), size.value("width")
        if all(s.isdigit() and int(s) > 0 for s in said) and (int(said[0]), int(said[1])) != size_px:
            found.problems.append(
                f"{short}:{size.line}: size says {said[1]} x {said[0]}, the picture has "
                f"{size_px[1]} x {size_px[0]} pixels"
            )
            return None
    rows = []
    for item in tree.findall("object"):
        name = item.value("name")
        if name not in classes:
            label = item.find("name")
            known = ", ".join(classes)
            found.problems.append(
                f"{short}:{label.line if label else item.line}: unknown class {name!r}; known: {known}"
            )
            continue
        box = item.find("bndbox")
        if box is None:
            found.problems.append(f"{short}:{item.line}: the object {name!r} has no bndbox")
            continue
        try:
            x0, y0, x1, y1 = (float(box.value(k)) for k in ("xmin", "ymin", "xmax", "ymax"))
        except ValueError:
            x0 = y0 = x1 = y1 = math.nan
        # VOC counts pixels from 1 and includes the last one.
        checked = check_box((x0 - 1, y0 - 1, x1, y1), size_px, f"{short}:{box.line}", found)
        if checked:
            rows.append((checked[0], classes.index(name), checked[1] or item.value("difficult") == "1"))
    return make_image(picture, rows, size_px, picture.name)


def _find_picture(root: Path, xml: Path, filename: str) -> Path:
    """The picture of an annotation: by its `filename`, else by the name of the XML file."""
    folders = [root / "JPEGImages", root / "images", xml.parent, root]
    # Only the last part: the folder of whoever drew the boxes is not ours.
    name = filename.replace("\\", "/").rsplit("/", 1)[-1]
    for folder in folders:
        if name and (folder / name).is_file():
            return folder / name
    for folder in folders:
        for suffix in IMAGE_SUFFIXES:
            if (folder / (xml.stem + suffix)).is_file():
                return folder / (xml.stem + suffix)
    return folders[0] / (name or xml.stem)


def _short(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
