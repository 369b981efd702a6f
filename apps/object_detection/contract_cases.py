"""What the contract's suite needs of this app: a tiny made data set and inputs that must be refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

OVERFIT = {
    "metric": "loss",
    "below": 0.35,
    "steps": 60,
    "flags": ["--scale_min", "1", "--scale_max", "1", "--color", "0", "--ema_momentum", "0"],
}
SIZE = (96, 64)
XML = """<annotation>
  <filename>{name}</filename>
  <size><width>{width}</width><height>{height}</height><depth>3</depth></size>
{objects}
</annotation>
"""
OBJECT = """  <object>
    <name>{label}</name>
    <bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox>
  </object>"""


def make_picture(seed: int) -> tuple[Image.Image, list[tuple[str, int, int, int, int]]]:
    """A grey picture with one red disc and one blue square, and their boxes (first and last pixel from 0)."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", SIZE, (200, 200, 200))
    draw, objects = ImageDraw.Draw(picture), []
    for column, (label, color) in enumerate((("disc", (200, 30, 30)), ("square", (30, 30, 200)))):
        side = int(rng.integers(18, 30))
        x = int(rng.integers(column * 48, column * 48 + 48 - side))
        y = int(rng.integers(0, SIZE[1] - side))
        shape = draw.ellipse if label == "disc" else draw.rectangle
        shape((x, y, x + side - 1, y + side - 1), fill=color)
        objects.append((label, x, y, x + side - 1, y + side - 1))
    return picture, objects


def tiny_dataset(folder: Path) -> list[str]:
    """Ten made pictures in Pascal VOC layout with all three splits; returns the train command's flags."""
    for name in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / name).mkdir(parents=True)
    for index in range(10):
        picture, objects = make_picture(index)
        picture.save(folder / "JPEGImages" / f"{index}.png")
        rows = [
            OBJECT.format(label=label, x0=x0 + 1, y0=y0 + 1, x1=x1 + 1, y1=y1 + 1)
            for label, x0, y0, x1, y1 in objects
        ]
        text = XML.format(name=f"{index}.png", width=SIZE[0], height=SIZE[1], objects="\n".join(rows))
        (folder / "Annotations" / f"{index}.xml").write_text(text, encoding="utf-8")
    for split, members in (("train", range(6)), ("val", range(6, 8)), ("test", range(8, 10))):
        (folder / "ImageSets/Main" / f"{split}.txt").write_text("\n".join(map(str, members)) + "\n")
    return [
        *("--data", str(folder), "--epochs", "1", "--passes_per_epoch", "1", "--batch_size", "4"),
        *("--image_height_px", "64", "--image_width_px", "96", "--channels", "16", "--head_depth", "1"),
        *("--learning_rate", "0.003", "--frozen_stages", "2"),
    ]


def bad_inputs(folder: Path) -> list[tuple[str, str, list, str]]:
    """Label, event, arguments and a part of the English refusal."""
    make_picture(0)[0].save(folder / "good.png")
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.png").write_text("this is no picture", encoding="utf-8")
    whole = (folder / "good.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    good = {"file": "good.png"}
    cells = ["Platelets", "RBC", "WBC"]
    rest = ["blood_cells", 0.3, 0.6, cells, ""]
    return [
        ("no picture", "/predict", [None, *rest], "Choose a picture first"),
        ("empty file", "/predict", [{"file": "empty.png"}, *rest], "empty"),
        ("text as picture", "/predict", [{"file": "text.png"}, *rest], "not a picture"),
        ("half a picture", "/predict", [{"file": "cut.png"}, *rest], "damaged"),
        ("unknown class", "/predict", [good, "blood_cells", 0.3, 0.6, ["zebra"], ""], "not in the list"),
        (
            "path as preset",
            "/predict",
            [good, "blood_cells", 0.3, 0.6, cells, "../x"],
            "no Keras-Hub detector",
        ),
        ("no pictures", "/predict_many", [None, "blood_cells", 0.3, 0.6, cells], "Choose one or more"),
    ]
