"""Which of the project's files a demo needs: its imports, followed as syntax trees."""

from __future__ import annotations

import ast
import dataclasses
import importlib.metadata
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

OWN = ("apps", "shared")
# Import name -> distribution, where they differ.
_DISTRIBUTIONS = {
    "PIL": "pillow",
    "yaml": "pyyaml",
    "sklearn": "scikit-learn",
    "markdown_it": "markdown-it-py",
}


@dataclasses.dataclass(frozen=True)
class Closure:
    """What a set of modules needs.

    Attributes:
        modules: Module name -> file, of the project's own modules, packages' `__init__.py` included.
        assets: Other files those modules name in their text and that lie beside them.
        third_party: Import names of libraries that are imported when the modules are, not later in a function.
    """

    modules: dict[str, Path]
    assets: list[Path]
    third_party: set[str]


def follow(roots: Iterable[str], repository: Path) -> Closure:
    """Follow the imports of some modules through the project.

    Imports inside functions are followed too where they stay in the project: a demo may load a part of itself
    late. Those under `TYPE_CHECKING` are not.

    Args:
        roots: Module names.
        repository: Folder that holds `apps/` and `shared/`.

    Raises:
        FileNotFoundError: A root is no module of the project.
    """
    modules: dict[str, Path] = {}
    assets: dict[Path, None] = {}
    third_party: set[str] = set()
    # A module reached only through functions runs later, if ever: what it imports is not needed to start.
    queue = [(name, True) for name in roots]
    seen_early: set[str] = set()
    for name, _ in queue:
        if _find(name, repository) is None:
            raise FileNotFoundError(f"roots must be modules of the project, received {name!r}")
    while queue:
        name, early = queue.pop()
        path = _find(name, repository)
        if path is None or (name in modules and (not early or name in seen_early)):
            continue
        modules[name] = path
        if early:
            seen_early.add(name)
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for target, at_import in _imports(tree, name, path.name == "__init__.py"):
            top = target.partition(".")[0]
            if top in OWN:
                queue.append((target, early and at_import))
            elif early and at_import and top not in sys.stdlib_module_names:
                third_party.add(top)
        queue += [(parent, early) for parent in _parents(name)]
        for asset in _named_files(tree, path.parent):
            assets[asset] = None
    return Closure(dict(sorted(modules.items())), sorted(assets), third_party)


def _parents(name: str) -> Iterator[str]:
    parts = name.split(".")
    for count in range(1, len(parts)):
        yield ".".join(parts[:count])


def _find(name: str, repository: Path) -> Path | None:
    base = repository.joinpath(*name.split("."))
    for path in (base / "__init__.py", base.with_suffix(".py")):
        if path.is_file():
            return path
    return None


def _imports(tree: ast.Module, name: str, package: bool) -> Iterator[tuple[str, bool]]:
    """Dotted names a module imports, and whether importing the module imports them."""

    def visit(node: ast.AST, at_import: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                for other in child.orelse:
                    yield from visit(other, at_import)
                continue
            if isinstance(child, ast.Import):
                for alias in child.names:
                    yield alias.name, at_import
            elif isinstance(child, ast.ImportFrom):
                base = child.module or ""
                if child.level:
                    parts = name.split(".")
                    parts = parts[: len(parts) - child.level + (1 if package else 0)]
                    base = ".".join([*parts, *([child.module] if child.module else [])])
                yield base, at_import
                for alias in child.names:
                    # `from a.b import c`: c may be a module itself.
                    if base.partition(".")[0] in OWN:
                        yield f"{base}.{alias.name}", at_import
            inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from visit(child, at_import and not inside)

    yield from visit(tree, True)


def _named_files(tree: ast.Module, folder: Path) -> Iterator[Path]:
    """Files and folders beside a module that it names in a string (`"static"`, `"labels.txt"`)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
            if not re.fullmatch(r"[\w.\-]+(/[\w.\-]+)*", text) or text.endswith(".py") or ".." in text:
                continue
            path = folder / text
            if path.is_file():
                yield path
            elif path.is_dir() and not (path / "__init__.py").exists() and text != "__pycache__":
                yield from (p for p in sorted(path.rglob("*")) if p.is_file() and p.suffix != ".pyc")


def unmet(third_party: Iterable[str], requirements: Iterable[str]) -> set[str]:
    """Libraries that are imported but neither required nor brought along by one that is.

    Args:
        third_party: Import names.
        requirements: Lines of a requirements file; those libraries must be installed here.
    """
    provided: set[str] = set()
    queue = [_name(line) for line in requirements]
    while queue:
        distribution = queue.pop()
        if distribution in provided:
            continue
        provided.add(distribution)
        try:
            wanted = importlib.metadata.requires(distribution) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        queue += [_name(line) for line in wanted if "extra ==" not in line]
    return {n for n in third_party if _name(_DISTRIBUTIONS.get(n, n)) not in provided}


def _name(requirement: str) -> str:
    return re.split(r"[\s\[<>=!~;(]", requirement.strip(), maxsplit=1)[0].lower().replace("_", "-")
