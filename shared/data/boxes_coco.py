"""COCO detection JSON: https://cocodataset.org/#format-data (object detection)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from json import decoder, scanner
from pathlib import Path
from typing import Any

from shared.data.boxes import BoxImage, BoxSplits, Findings, check_box, make_image, read_size

WORDS = {"train": "train", "valid": "validation", "val": "validation", "test": "test"}


def find_files(root: Path) -> dict[Path, str]:
    """The JSON files that have COCO's keys, and the split each one's name or folder stands for."""
    if root.is_file():
        return {root: "train"} if root.suffix == ".json" else {}
    files = {}
    for pattern in ("*.json", "annotations/*.json", "*/_annotations*.json"):
        for path in sorted(root.glob(pattern)):
            with path.open("rb") as stream:
                head = stream.read(65536)
            # A broken file is still COCO's: its error must be named, not passed over.
            if path.parent != root or re.search(rb'"(images|annotations|categories)"', head):
                files[path] = _split_of(path, root)
    return files


def _split_of(path: Path, root: Path) -> str:
    for text in (path.stem, path.parent.name if path.parent != root else ""):
        for part in re.split(r"[^a-z]+", text.lower()):
            if part in WORDS:
                return WORDS[part]
    return "train"


def read(root: Path, found: Findings) -> tuple[BoxSplits, list[str]]:
    """Read every JSON file of the folder; problems go to `found`."""
    base = root if root.is_dir() else root.parent
    contents: dict[Path, dict[str, Any]] = {}
    for path in find_files(root):
        short = path.relative_to(base).as_posix()
        try:
            content = json.loads(path.read_bytes())
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            found.problems.append(f"{short}:{getattr(error, 'lineno', 1)}: not valid JSON ({error})")
            continue
        if isinstance(content, dict) and isinstance(content.get("images"), list):
            contents[path] = content
        else:
            found.problems.append(f"{short}:1: no list 'images' at the top")
    names = {c.get("name", ""): None for f in contents.values() for c in f.get("categories", [])}
    classes = [n for n in names if n]
    splits: BoxSplits = {}
    for path, content in contents.items():
        # Positions cost a slow parse, so they are only looked up when something is wrong.
        trial = Findings()
        images = _read_file(path, base, content, classes, trial)
        if trial.problems or trial.remarks:
            _read_file(path, base, _parse_with_lines(path.read_text("utf-8")), classes, found)
        splits.setdefault(find_files(root)[path], []).extend(images)
    return splits, classes


def _read_file(
    path: Path, base: Path, content: dict[str, Any], classes: list[str], found: Findings
) -> list[BoxImage]:
    short = path.relative_to(base).as_posix()

    def place(row: dict[str, Any]) -> str:
        return f"{short}:{row.get('__line__', '?')}"

    by_id = {c.get("id"): c.get("name") for c in content.get("categories", [])}
    sizes: dict[Any, tuple[int, int]] = {}
    pictures: dict[Any, Path] = {}
    rows: dict[Any, list] = {}
    for row in content["images"]:
        if row.get("id") in pictures:
            found.problems.append(f"{place(row)}: image id {row.get('id')!r} occurs twice")
            continue
        picture = _find_picture(path, base, str(row.get("file_name", "")))
        pictures[row.get("id")] = picture
        size_px = read_size(picture, place(row), found)
        if size_px is None:
            continue
        said = row.get("height"), row.get("width")
        if all(said) and said != size_px:
            found.problems.append(
                f"{place(row)}: size says {said[1]} x {said[0]}, the picture {picture.name!r} has "
                f"{size_px[1]} x {size_px[0]} pixels"
            )
            continue
        sizes[row.get("id")], rows[row.get("id")] = size_px, []
    for row in content.get("annotations", []):
        key = row.get("image_id")
        if key not in pictures:
            found.problems.append(f"{place(row)}: image_id {key!r} is not among the images")
        elif row.get("category_id") not in by_id:
            known = ", ".join(f"{k} {v}" for k, v in list(by_id.items())[:20])
            found.problems.append(
                f"{place(row)}: unknown category_id {row.get('category_id')!r}; known: {known}"
            )
        elif key in sizes:
            values = row.get("bbox")
            if not _is_box(values):
                found.problems.append(f"{place(row)}: bbox must be [x, y, width, height], is {values!r}")
                continue
            x, y, width, height = map(float, values)
            checked = check_box((x, y, x + width, y + height), sizes[key], place(row), found)
            if checked:
                label = classes.index(by_id[row["category_id"]])
                rows[key].append((checked[0], label, checked[1] or bool(row.get("iscrowd"))))
    return [make_image(pictures[key], rows[key], sizes[key], pictures[key].name) for key in sizes]


def _is_box(values: Any) -> bool:
    return (
        isinstance(values, list)
        and len(values) == 4
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    )


def _find_picture(path: Path, base: Path, file_name: str) -> Path:
    # An absolute name or one that climbs out of the folder is not followed.
    name = Path(*[p for p in Path(file_name).parts if p not in ("/", "..", "")]) if file_name else Path("?")
    split = _split_of(path, base)
    folders: Iterable[Path] = (
        path.parent,
        base,
        base / "images",
        *(base / top / word for top in ("", "images") for word, s in WORDS.items() if s == split),
        *sorted(p for p in base.iterdir() if p.is_dir() and p.name != "annotations"),
    )
    return next((f / name for f in folders if (f / name).is_file()), base / name)


def _parse_with_lines(text: str) -> dict[str, Any]:
    """Parse JSON, giving every object the line it begins at as `__line__`."""
    starts = [m.start() for m in re.finditer("\n", text)]

    class Located(json.JSONDecoder):
        def __init__(self):
            super().__init__()
            self.parse_object = self._object
            # The C scanner knows nothing of parse_object.
            self.scan_once = scanner.py_make_scanner(self)

        def _object(self, s_and_end: tuple[str, int], *args: Any) -> tuple[dict, int]:
            import bisect

            value, end = decoder.JSONObject(s_and_end, *args)
            value["__line__"] = bisect.bisect_left(starts, s_and_end[1]) + 1
            return value, end

    return Located().decode(text)
