"""`build`: a folder with one app, the code it needs, the chosen models and a Space's README."""

from __future__ import annotations

import dataclasses
import importlib
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from shared.runtime.variants import REPOSITORY, Variant, list_variants
from shared.space.closure import follow, unmet

MAX_CODE_BYTES = 2_000_000
"""Everything but the weights."""
MAX_DESCRIPTION = 60
SDK_VERSION = "6.31.0"
PYTHON_VERSION = "3.12"
_REQUIRED = ("title", "emoji", "colorFrom", "colorTo", "license", "short_description")
# The Keras files are for training on; reports are read in the gallery.
_NOT_SERVED = (".keras", ".html")
_ENTRY = '''"""The Space's entry point: the demo of apps/{app}, served alone."""

import runpy

runpy.run_module("apps.{app}.app", run_name="__main__")
'''


class SpaceError(ValueError):
    """An app that cannot be published as it is; the message says what to change."""


@dataclasses.dataclass(frozen=True)
class Bundle:
    """A built folder.

    Attributes:
        folder: Where it is.
        app: The app.
        variants: Names of the models in it.
        code_bytes: Size of everything but the weights.
        weight_bytes: Size of the weights.
    """

    folder: Path
    app: str
    variants: tuple[str, ...]
    code_bytes: int
    weight_bytes: int


def front_matter(
    app: str, *, sdk: str = "gradio", models: Sequence[str] = (), repository: Path = REPOSITORY
) -> tuple[dict[str, Any], str]:
    """The Space's settings and the text of an app's README.

    Args:
        app: App folder name.
        sdk: `gradio` or `static`.
        models: Model repositories (`USER/NAME`) the Space shows as its own.
        repository: The project's root.

    Raises:
        SpaceError: A setting is missing or too long.
    """
    path = repository / "apps" / app / "README.md"
    parts = path.read_text(encoding="utf-8").split("---\n", 2) if path.is_file() else []
    if len(parts) < 3 or parts[0].strip():
        raise SpaceError(f"apps/{app}/README.md must begin with front matter between two lines of ---")
    front = yaml.safe_load(parts[1])
    missing = [key for key in _REQUIRED if not front.get(key)]
    if missing:
        raise SpaceError(f"front matter of apps/{app}/README.md must set {', '.join(missing)}")
    description = str(front["short_description"])
    if len(description) > MAX_DESCRIPTION:
        raise SpaceError(
            f"short_description must have at most {MAX_DESCRIPTION} characters, "
            f"received {len(description)}: {description!r}"
        )
    front["sdk"] = sdk
    if sdk == "gradio":
        front |= {"sdk_version": SDK_VERSION, "python_version": PYTHON_VERSION, "app_file": "app.py"}
    else:
        front = {k: v for k, v in front.items() if k not in ("sdk_version", "python_version")}
        front["app_file"] = "index.html"
    named = [*front.get("models", []), *models]
    if named:
        front["models"] = list(dict.fromkeys(named))
    return front, parts[2].lstrip()


def write_readme(folder: Path, front: dict[str, Any], text: str) -> None:
    """A README whose first lines are the Space's settings."""
    settings = yaml.safe_dump(front, sort_keys=False, allow_unicode=True)
    (folder / "README.md").write_text(f"---\n{settings}---\n\n{text}", encoding="utf-8")


def choose(app: str, names: Iterable[str] = (), models_dir: Path | None = None) -> list[Variant]:
    """The published variants of those names, or all.

    Raises:
        SpaceError: A name is not published, or nothing is.
    """
    try:
        # The demo's default comes first here too.
        order = list(importlib.import_module(f"apps.{app}.config").VARIANTS)
    except ModuleNotFoundError:
        order = []
    published = {v.name: v for v in list_variants(app, order, models_dir)}
    if not published:
        raise SpaceError(f"{app} has no published model. Train one: python -m apps.{app}.train --data PATH")
    names = list(names) or list(published)
    unknown = [n for n in names if n not in published]
    if unknown:
        raise SpaceError(f"variant must be one of {', '.join(published)}, received {', '.join(unknown)}")
    return [published[n] for n in names]


def fresh(folder: Path) -> Path:
    """An empty folder; one that this command made before is replaced, anything else is left alone.

    Raises:
        SpaceError: The folder holds something else.
    """
    marker = folder / ".space"
    if folder.exists() and any(folder.iterdir()) and not marker.exists():
        raise SpaceError(f"out must be a new or empty folder, or an earlier bundle, received {folder}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    marker.write_text("Made by python -m shared.space build; built anew each time.\n", encoding="utf-8")
    return folder


def build(
    app: str,
    variants: Iterable[str] = (),
    out: Path | None = None,
    *,
    models: Sequence[str] = (),
    models_dir: Path | None = None,
    repository: Path = REPOSITORY,
) -> Bundle:
    """Make a folder that runs alone: `pip install -r requirements.txt && python app.py`.

    Args:
        app: App folder name.
        variants: Published variants to take; all by default.
        out: Where; `build/space/<app>` by default. Replaced.
        models: Model repositories for the front matter.
        models_dir: Where variants are published.
        repository: The project's root.

    Raises:
        SpaceError: The README, the requirements or the size would not do.
    """
    front, text = front_matter(app, models=models, repository=repository)
    chosen = choose(app, variants, models_dir)
    source = repository / "apps" / app
    requirements = (source / "requirements.txt").read_text(encoding="utf-8")
    roots = [f"apps.{app}.{name}" for name in ("app", "demo", "preprocessing", "config")]
    needed = follow(roots, repository)
    lines = [line.split("#")[0].strip() for line in requirements.splitlines()]
    absent = unmet(needed.third_party, [line for line in lines if line])
    if absent:
        raise SpaceError(
            f"apps/{app}/requirements.txt must name what the demo imports: {', '.join(sorted(absent))}"
        )
    folder = fresh(out or repository / "build" / "space" / app)
    for path in [*needed.modules.values(), *needed.assets, *sorted((source / "examples").rglob("*"))]:
        if path.is_file() and "__pycache__" not in path.parts:
            target = folder / path.relative_to(repository)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, target)
    (folder / "app.py").write_text(_ENTRY.format(app=app), encoding="utf-8")
    (folder / "requirements.txt").write_text(requirements, encoding="utf-8")
    if (repository / "LICENSE").is_file():
        shutil.copy2(repository / "LICENSE", folder / "LICENSE")
    write_readme(folder, front, text)
    code = size_of(folder)
    if code > MAX_CODE_BYTES:
        largest = sorted((p for p in folder.rglob("*") if p.is_file()), key=lambda p: -p.stat().st_size)[:3]
        names = ", ".join(f"{p.relative_to(folder)} ({p.stat().st_size / 1e6:.1f} MB)" for p in largest)
        raise SpaceError(
            f"a bundle without weights must stay under {MAX_CODE_BYTES / 1e6:.0f} MB, "
            f"received {code / 1e6:.1f} MB; largest: {names}"
        )
    for variant in chosen:
        copy_variant(variant, folder / "models" / app / variant.name)
    weights = size_of(folder) - code
    return Bundle(folder, app, tuple(v.name for v in chosen), code, weights)


def copy_variant(variant: Variant, target: Path) -> None:
    """The files of a variant that serving reads."""
    for path in sorted(variant.folder.rglob("*")):
        if path.is_file() and path.suffix not in _NOT_SERVED:
            copy = target / path.relative_to(variant.folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)


def size_of(folder: Path) -> int:
    """Bytes of all files."""
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
