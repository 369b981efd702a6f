"""Made data and refused inputs for the contract suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

OVERFIT = {
    "metric": "loss",
    "below": 0.3,
    "steps": 60,
    "flags": [
        "--min_scale", "1", "--max_scale", "1", "--flip", "false", "--colour_jitter", "0",
        "--dropout", "0", "--stochastic_depth", "0", "--weight_decay", "0",
    ],
}  # fmt: skip


def tiny_dataset(folder: Path, pictures: int = 10) -> list[str]:
    """Bright squares and discs on dark ground, 64 x 48 px, with indexed masks; it has all three splits."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:48, 0:64]
    for split, count in (("train", pictures - 4), ("validation", 2), ("test", 2)):
        for kind in ("images", "masks"):
            (folder / split / kind).mkdir(parents=True)
        for number in range(count):
            image = rng.integers(0, 50, (48, 64, 3)).astype(np.uint8)
            mask = np.zeros((48, 64), np.uint8)
            row, column = rng.integers(12, 36), rng.integers(10, 20)
            square = (abs(y - row) < 9) & (abs(x - column) < 9)
            row, column = rng.integers(12, 36), rng.integers(42, 54)
            disc = (y - row) ** 2 + (x - column) ** 2 < 90
            for index, (shape, colour) in enumerate(
                ((square, (220, 60, 40)), (disc, (40, 80, 230))), start=1
            ):
                image[shape] = colour
                mask[shape] = index
            Image.fromarray(image).save(folder / split / "images" / f"{number}.png")
            Image.fromarray(mask).save(folder / split / "masks" / f"{number}.png")
    (folder / "classes.txt").write_text("ground\nsquare\ndisc\n", encoding="utf-8")
    return [
        "--data", str(folder), "--epochs", "1", "--batch_size", "4", "--side_px", "64",
        "--crop_height_px", "64", "--crop_width_px", "64", "--channels", "32",
    ]  # fmt: skip


def bad_inputs(folder: Path) -> list[tuple[str, str, list[Any], str]]:
    """What a visitor may send that no answer can be given to: label, event, arguments, part of the message."""
    Image.fromarray(np.full((40, 60, 3), 120, np.uint8)).save(folder / "photo.jpg")
    content = (folder / "photo.jpg").read_bytes()
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("this is no picture")
    (folder / "cut.jpg").write_bytes(content[: len(content) // 2])
    (folder / "iphone.heic").write_bytes(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")
    Image.new("1", (12_000, 9_000)).save(folder / "huge.png")
    Image.new("RGB", (1, 1)).save(folder / "dot.png")

    def one(name: str | None, opacity: float = 0.5, view: str = "classes") -> list[Any]:
        return [name and {"file": name}, "road_scenes", opacity, view, ["road", "car"]]

    return [
        ("no picture", "/predict", one(None), "Choose a picture first"),
        ("0 bytes", "/predict", one("empty.jpg"), "empty"),
        ("text", "/predict", one("text.jpg"), "not a picture"),
        ("truncated", "/predict", one("cut.jpg"), "damaged"),
        ("HEIC", "/predict", one("iphone.heic"), "Export the photo as JPEG"),
        ("108 megapixels", "/predict", one("huge.png"), "at most 50"),
        ("one pixel", "/predict", one("dot.png"), "1 × 1 pixels"),
    ]
