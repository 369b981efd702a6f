"""Class lists of segmentation data: which index or colour of a mask means which class."""

from __future__ import annotations

import csv
import dataclasses
import io
from pathlib import Path

import numpy as np

from shared.files.errors import DataError

VOID = 255
"""Index of pixels that nobody labelled: they train nothing and are not scored."""
VOID_NAMES = frozenset({"void", "ignore", "ignored", "unlabelled", "unlabeled", "unknown"})
CLASS_LIST_HINT = (
    "classes.txt has a class a line, in the order of the mask's indices: `road`. If the masks are colour "
    "pictures, the colour follows: `road 128 64 128` or `road #804080`. A class named `void` is not trained. "
    "class_dict.csv (name,r,g,b) is read too."
)
Colour = tuple[int, int, int]

CAMVID: tuple[tuple[str, Colour], ...] = (
    ("sky", (128, 128, 128)),
    ("building", (128, 0, 0)),
    ("pole", (192, 192, 128)),
    ("road", (128, 64, 128)),
    ("pavement", (60, 40, 222)),
    ("tree", (128, 128, 0)),
    ("sign", (192, 128, 128)),
    ("fence", (64, 64, 128)),
    ("car", (64, 0, 128)),
    ("pedestrian", (64, 64, 0)),
    ("bicyclist", (0, 128, 192)),
)
"""The 11 classes most papers use and CamVid's colours for them: https://doi.org/10.1016/j.patrec.2008.04.005."""


@dataclasses.dataclass(frozen=True)
class ClassTable:
    """How the values of a mask become class indices.

    Attributes:
        names: Names of the trained classes; the position is the index.
        colours: A colour for each, to show them.
        index_table: `(256,)` uint8: value in the file -> class index or `VOID`; `UNKNOWN` marks values that
            mean nothing. None when masks are colour pictures.
        colour_table: RGB packed into 24 bits -> class index or `VOID`. None when masks hold indices.
    """

    names: tuple[str, ...]
    colours: tuple[Colour, ...]
    index_table: tuple[int, ...] | None = None
    colour_table: tuple[tuple[int, int], ...] | None = None


UNKNOWN = 254
MAX_CLASSES = 200


def palette(count: int) -> tuple[Colour, ...]:
    """Distinct colours, the ones of Pascal VOC: the bits of the index spread over red, green and blue."""
    colours = []
    for index in range(1, count + 1):
        red = green = blue = 0
        value = index
        for shift in range(7, -1, -1):
            red |= (value & 1) << shift
            green |= (value >> 1 & 1) << shift
            blue |= (value >> 2 & 1) << shift
            value >>= 3
        colours.append((red, green, blue))
    return tuple(colours)


def make_table(
    names: list[str], colours: list[Colour | None], *, coloured_masks: bool, first_index: int = 0
) -> ClassTable:
    """Build the table of a list in which void classes may stand anywhere.

    Args:
        names: All lines of the list, void ones included.
        colours: One a line; None where the list gives none.
        coloured_masks: The masks hold these colours rather than indices.
        first_index: Index of the first line in the masks.
    """
    kept = [i for i, name in enumerate(names) if name.lower() not in VOID_NAMES]
    target = {line: index for index, line in enumerate(kept)}
    automatic = palette(len(names))
    shown = tuple(colours[i] or automatic[i] for i in kept)
    kept_names = tuple(names[i] for i in kept)
    if coloured_masks:
        packed = [(r << 16 | g << 8 | b, target.get(i, VOID)) for i, (r, g, b) in enumerate(colours)]
        return ClassTable(kept_names, shown, colour_table=tuple(sorted(packed)))
    values = np.full(256, UNKNOWN, np.uint8)
    values[VOID] = VOID
    for line in range(len(names)):
        values[first_index + line] = target.get(line, VOID)
    return ClassTable(kept_names, shown, index_table=tuple(values.tolist()))


def camvid_table() -> ClassTable:
    """The 11 classes of CamVid, index 11 void."""
    names, colours = zip(*CAMVID, strict=True)
    return make_table([*names, "void"], [*colours, None], coloured_masks=False)


def read_class_list(path: Path) -> ClassTable:
    """Read `classes.txt` or `class_dict.csv`.

    Raises:
        DataError: Every wrong line, by file and line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError([f"{path.name}: cannot be read as UTF-8 text ({error})"], CLASS_LIST_HINT) from error
    problems: list[str] = []
    names: list[str] = []
    colours: list[Colour | None] = []
    rows = _csv_rows(text) if path.suffix.lower() == ".csv" else _text_rows(text)
    for line, name, parts in rows:
        colour = _colour(parts)
        if not name:
            problems.append(f"{path.name}:{line}: the class has no name")
        elif name in names:
            problems.append(
                f"{path.name}:{line}: class {name!r} stands in line {names.index(name) + 1} already"
            )
        if parts and colour is None:
            problems.append(
                f"{path.name}:{line}: {' '.join(parts)!r} is not a colour of three numbers 0 to 255"
            )
        elif colour is not None and colour in colours:
            problems.append(
                f"{path.name}:{line}: colour {colour} belongs to {names[colours.index(colour)]!r} already"
            )
        names.append(name)
        colours.append(colour)
    coloured = [c is not None for c in colours]
    if any(coloured) and not all(coloured) and not problems:
        missing = [n for n, c in zip(names, coloured, strict=True) if not c]
        problems.append(
            f"{path.name}: all classes have a colour or none has; without one: {', '.join(missing)}"
        )
    trained = [n for n in names if n.lower() not in VOID_NAMES]
    if not problems and not 2 <= len(trained) <= MAX_CLASSES:
        problems.append(f"{path.name}: needs 2 to {MAX_CLASSES} classes besides void, has {len(trained)}")
    if problems:
        raise DataError(problems, CLASS_LIST_HINT)
    return make_table(names, colours, coloured_masks=all(coloured))


def _text_rows(text: str) -> list[tuple[int, str, list[str]]]:
    """`(line, name, colour words)`; the name may hold spaces, the colour is at the end."""
    rows = []
    for line, content in enumerate(text.splitlines(), start=1):
        words = content.replace(",", " ").split()
        if not words:
            continue
        if words[-1].startswith("#") and len(words) > 1:
            rows.append((line, " ".join(words[:-1]), words[-1:]))
        elif len(words) > 3 and all(w.lstrip("-").isdigit() for w in words[-3:]):
            rows.append((line, " ".join(words[:-3]), words[-3:]))
        else:
            rows.append((line, " ".join(words), []))
    return rows


def _csv_rows(text: str) -> list[tuple[int, str, list[str]]]:
    rows = []
    for line, cells in enumerate(csv.reader(io.StringIO(text)), start=1):
        cells = [c.strip() for c in cells]
        if not any(cells) or (line == 1 and cells[0].lower() in ("name", "class", "label")):
            continue
        rows.append((line, cells[0], [c for c in cells[1:4] if c]))
    return rows


def _colour(parts: list[str]) -> Colour | None:
    try:
        if len(parts) == 1 and parts[0].startswith("#") and len(parts[0]) == 7:
            value = int(parts[0][1:], 16)
            return value >> 16, value >> 8 & 255, value & 255
        values = [int(p) for p in parts]
    except ValueError:
        return None
    return tuple(values) if len(values) == 3 and all(0 <= v <= 255 for v in values) else None
