"""Writes a converted backbone as a Keras-Hub preset: small, and complete or not there at all."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.backbones.wheels import Wheel
from shared.runtime.storage import compact_weights

SOURCE_FILE = "source.json"


@contextlib.contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A temporary folder that takes the place of `folder` when the block ends without an error."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = folder.parent / f".staging-{folder.name}"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        yield staging
        shutil.rmtree(folder, ignore_errors=True)
        staging.rename(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def compact_preset(folder: Path, *, half: bool) -> None:
    """Rewrite every weights file of a preset: float16 where exact, compressed."""
    for path in folder.glob("*.weights.h5"):
        # Keras-Hub compiles a task before it loads it, and expects the (fresh, tiny) optimizer in the file.
        path.write_bytes(compact_weights(path, half=half, optimizer=True))


def write_source(folder: Path, wheel: Wheel, **facts: Any) -> None:
    """Note where the weights came from, under which licence, and what was checked."""
    source = {
        "package": f"{wheel.package}=={wheel.version}",
        "wheel_sha256": wheel.sha256,
        **facts,
    }
    (folder / SOURCE_FILE).write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")
