"""What the gallery knows of an app without importing it: title, summary, picture, published variants."""

from __future__ import annotations

import ast
import dataclasses
import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from shared.runtime.variants import Variant, list_variants

PICTURES = ("card.webp", "card.png", "card.jpg")


@dataclasses.dataclass(frozen=True)
class AppInfo:
    """One app, read from its files.

    Attributes:
        name: Folder name under `apps/`, its address in the gallery.
        folder: The folder.
        title: By language.
        summary: What a visitor can do there, by language.
        front: The front matter of its README.
    """

    name: str
    folder: Path
    title: Mapping[str, str]
    summary: Mapping[str, str]
    front: Mapping[str, Any]

    @property
    def emoji(self) -> str:
        """The Space's emoji."""
        return str(self.front.get("emoji", "◆"))

    @property
    def picture(self) -> Path | None:
        """A real result of the app, `examples/card.*`, if it ships one."""
        return next((p for p in (self.folder / "examples" / n for n in PICTURES) if p.is_file()), None)

    @property
    def picture_text(self) -> Mapping[str, str] | None:
        """What the picture shows, by language, from `examples/card.yaml` (keys `en`, `es`)."""
        path = self.folder / "examples" / "card.yaml"
        return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None

    def variants(self) -> list[Variant]:
        """Published variants, in the order of `config.VARIANTS`; by name if that cannot be read."""
        try:
            order = list(importlib.import_module(f"apps.{self.name}.config").VARIANTS)
        except Exception:
            order = []
        return list_variants(self.name, order)


def read_app(folder: Path) -> AppInfo:
    """Read an app's texts: from the `Texts` of its demo, else README front matter, else its name."""
    front = front_matter(folder / "README.md")
    plain = str(front.get("title") or folder.name.replace("_", " ").capitalize())
    summary = str(front.get("short_description") or _docstring(folder / "__init__.py"))
    found = _texts(folder)
    return AppInfo(
        name=folder.name,
        folder=folder,
        title={lang: found.get(lang, {}).get("title", plain) for lang in ("en", "es")},
        summary={lang: found.get(lang, {}).get("subtitle", summary) for lang in ("en", "es")},
        front=front,
    )


def front_matter(path: Path) -> dict[str, Any]:
    """YAML between the first two `---` lines of a Markdown file; empty if there is none or it is broken."""
    if not path.is_file():
        return {}
    parts = path.read_text(encoding="utf-8").split("---\n", 2)
    if len(parts) < 3 or parts[0].strip():
        return {}
    try:
        values = yaml.safe_load(parts[1])
    except yaml.YAMLError:
        return {}
    return values if isinstance(values, dict) else {}


def _docstring(path: Path) -> str:
    try:
        return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]
    except (OSError, SyntaxError):
        return ""


def _texts(folder: Path) -> dict[str, dict[str, str]]:
    """`title` and `subtitle` by language, from the first `Texts(en=..., es=...)` that has a title.

    Read as a syntax tree: importing six demos would cost the front page seconds.
    """
    for path in sorted(folder.glob("*.py"), key=lambda p: (p.name != "demo.py", p.name)):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (OSError, SyntaxError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Texts":
                given = dict(zip(("en", "es"), node.args, strict=False))
                given |= {k.arg: k.value for k in node.keywords if k.arg}
                found = {lang: _literals(value, ("title", "subtitle")) for lang, value in given.items()}
                if "title" in found.get("en", {}):
                    return found
    return {}


def _literals(node: ast.expr, wanted: tuple[str, ...]) -> dict[str, str]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        # `{...} | more`: the side that is written out has them.
        return _literals(node.left, wanted) | _literals(node.right, wanted)
    pairs: list[tuple[Any, ast.expr]] = []
    if isinstance(node, ast.Dict):
        pairs = [(getattr(k, "value", None), v) for k, v in zip(node.keys, node.values, strict=True)]
    elif isinstance(node, ast.Call) and getattr(node.func, "id", "") == "dict":
        pairs = [(k.arg, k.value) for k in node.keywords]
    result = {}
    for key, value in pairs:
        if key in wanted and isinstance(value, ast.Constant) and isinstance(value.value, str):
            result[key] = value.value
    return result
