"""Publishing into `models/`: a variant is written aside, whole, and then takes the old one's place by a rename."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shared.runtime.files import write_json
from shared.runtime.variants import CONFIG_FILE, sha256

# Written by a run but not served: they may change without a new model.
UNHASHED = ("metrics.json", "MODEL_CARD.md", "report.html", CONFIG_FILE)


@contextlib.contextmanager
def staging_folder(app: str, variant: str, models_dir: Path) -> Iterator[Path]:
    """A folder beside the variants, on the same file system, removed if it was not published."""
    folder = models_dir / app / f".staging-{variant}-{os.getpid()}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def finish_config(folder: Path, config: dict[str, Any]) -> None:
    """Write `config.json` with the hash of every served file of the folder."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in UNHASHED)
    config = {**config, "files": {str(p.relative_to(folder)): sha256(p) for p in files}}
    write_json(folder / CONFIG_FILE, config)


def publish(folder: Path, target: Path) -> Path:
    """Move a finished staging folder to `target`; a failure before the rename leaves the old model as it was."""
    old = target.with_name(f".old-{target.name}-{os.getpid()}")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        os.replace(target, old)
    try:
        os.replace(folder, target)
    except OSError:
        if old.exists():
            os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)
    return target
