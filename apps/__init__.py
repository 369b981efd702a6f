"""The apps of the gallery. `list_apps()` is the only registry: a folder here with a `demo.py` is an app."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.demo.catalog import AppInfo


def list_apps(root: Path | None = None) -> list[AppInfo]:
    """Every app of the package, by name, read from its files without importing it.

    Args:
        root: Folder of the apps; this package by default.
    """
    from shared.demo.catalog import read_app

    root = root or Path(__file__).parent
    return [read_app(path.parent) for path in sorted(root.glob("*/demo.py"))]
