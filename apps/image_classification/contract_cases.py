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
    "flags": ["--augmentation", "none", "--label_smoothing", "0", "--alternating_flip", "false"],
}


def tiny_dataset(folder: Path) -> list[str]:
    """Squares, discs and stripes in random colours, 32 px; the flags train ResNet-20 on them."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:32, 0:32]
    shapes = {
        "square": (abs(y - 16) < 9) & (abs(x - 16) < 9),
        "disc": (y - 16) ** 2 + (x - 16) ** 2 < 60,
        "stripes": y // 4 % 2 == 0,
    }
    for split, count in (("train", 16), ("validation", 5), ("test", 5)):
        for name, mask in shapes.items():
            target = folder / split / name
            target.mkdir(parents=True)
            for number in range(count):
                image = rng.integers(0, 60, (32, 32, 3)) + rng.integers(0, 60, 3)
                image[mask] += rng.integers(60, 120, 3)
                Image.fromarray(image.astype(np.uint8)).save(target / f"{number}.png")
    return [
        "--data",
        str(folder),
        "--model",
        "resnet20",
        "--image_size_px",
        "32",
        "--epochs",
        "1",
        "--batch_size",
        "16",
        "--learning_rate",
        "0.05",
        "--random_crop_scale",
        "1",
        "--class_weight",
        "none",
    ]


def bad_inputs(folder: Path) -> list[tuple[str, str, list[Any], str]]:
    """What a visitor may send that no answer can be given to: label, event, arguments, part of the message."""
    example = Path(__file__).parent / "examples" / "china.jpg"
    content = example.read_bytes()
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("this is no picture")
    (folder / "cut.jpg").write_bytes(content[: len(content) // 2])
    (folder / "photo.jpg").write_bytes(content)
    (folder / "iphone.heic").write_bytes(b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic")
    Image.new("1", (12_000, 9_000)).save(folder / "huge.png")
    Image.new("RGB", (1, 1)).save(folder / "dot.png")

    def one(name: str) -> list[Any]:
        return [{"file": name}, "imagenet", 5, 0.0]

    return [
        ("no photo", "/predict", [None, "imagenet", 5, 0.0], "Choose a photo first"),
        ("0 bytes", "/predict", one("empty.jpg"), "empty"),
        ("text", "/predict", one("text.jpg"), "not a picture"),
        ("truncated", "/predict", one("cut.jpg"), "damaged"),
        ("HEIC", "/predict", one("iphone.heic"), "Export the photo as JPEG"),
        ("108 megapixels", "/predict", one("huge.png"), "at most 50"),
        ("one pixel", "/predict", one("dot.png"), "1 × 1 pixels"),
        (
            "a class the model does not know",
            "/explain",
            [{"file": "photo.jpg"}, "imagenet", "unicorn"],
            "one of",
        ),
        ("no photos", "/predict_many", [None, "imagenet", 0.5], "at least one photo"),
    ]
