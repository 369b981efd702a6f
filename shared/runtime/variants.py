"""Finished models on disk: `models/<app>/<variant>/`, their settings, hashes and metrics."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
CONFIG_FILE = "config.json"


class MissingWeights(FileNotFoundError):
    """A variant that was never trained or imported; the message names the command that makes it."""


class CorruptWeights(ValueError):
    """A model file that is not the one that was published."""


def default_models_dir() -> Path:
    """`models/` of the repository or Space, or the folder `GALLERY_MODELS_DIR` names."""
    return Path(os.environ.get("GALLERY_MODELS_DIR") or REPOSITORY / "models")


def sha256(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclasses.dataclass(frozen=True)
class Variant:
    """One published model.

    Attributes:
        app: App folder name.
        name: Variant folder name.
        folder: `models/<app>/<variant>`.
    """

    app: str
    name: str
    folder: Path

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        """The whole `config.json`: `settings`, `graphs`, `files` (sha256), `train` (the run's config)."""
        return json.loads((self.folder / CONFIG_FILE).read_text(encoding="utf-8"))

    @property
    def settings(self) -> dict[str, Any]:
        """What the app's Processor serves with."""
        return self.config["settings"]

    @functools.cached_property
    def metrics(self) -> dict[str, Any]:
        """`metrics.json`, or an empty dict."""
        path = self.folder / "metrics.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}

    @property
    def graph_names(self) -> list[str]:
        """Exported graphs, the reference model first."""
        return list(self.config["graphs"])

    def onnx_bytes(self) -> int:
        """Size of the served graphs in bytes, external weights included."""
        return sum(p.stat().st_size for p in self.folder.iterdir() if p.suffix in (".onnx", ".data"))

    def checked(self, name: str) -> Path:
        """Path of a file of the variant after comparing its hash with the published one.

        Raises:
            MissingWeights: There is no such file.
            CorruptWeights: It is not the file that was published.
        """
        path = self.folder / name
        if not path.is_file():
            raise MissingWeights(
                f"{self.app}/{self.name}: {name} is missing. Train it: "
                f"python -m apps.{self.app}.train --variant {self.name} --data PATH"
            )
        expected = self.config["files"].get(name)
        if expected is None:
            raise CorruptWeights(f"{self.app}/{self.name}: {name} is not listed in {CONFIG_FILE}")
        if sha256(path) != expected:
            raise CorruptWeights(
                f"{self.app}/{self.name}: {name} differs from the published file (sha256). Restore it, "
                f"or export again: python -m apps.{self.app}.export --variant {self.name}"
            )
        return path


def find_variant(app: str, name: str, models_dir: Path | None = None) -> Variant:
    """The variant of that name.

    Raises:
        MissingWeights: It is not in `models/`; the message names the train command.
    """
    folder = (models_dir or default_models_dir()) / app / name
    if not (folder / CONFIG_FILE).is_file():
        raise MissingWeights(
            f"No trained weights for {app}/{name}. Train them: "
            f"python -m apps.{app}.train --variant {name} --data PATH"
        )
    return Variant(app, name, folder)


def list_variants(app: str, order: Iterable[str] = (), models_dir: Path | None = None) -> list[Variant]:
    """All published variants of an app: those named in `order` first, then the others by name."""
    root = (models_dir or default_models_dir()) / app
    names = sorted(p.parent.name for p in root.glob(f"*/{CONFIG_FILE}") if not p.parent.name.startswith("."))
    first = [n for n in order if n in names]
    return [Variant(app, n, root / n) for n in first + [n for n in names if n not in first]]
