"""The rules of the house: who may import whom, and what the serving path must never load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
APPS = sorted(p.parent.name for p in (ROOT / "apps").glob("*/__init__.py"))
FILES = sorted(
    p for folder in ("apps", "shared") for p in (ROOT / folder).rglob("*.py") if "__pycache__" not in p.parts
)
TRAINING_ONLY = {"tensorflow", "keras", "keras_hub", "keras_rs", "tensorflow_datasets", "tf2onnx", "onnx"}
ANATOMY = [
    "__init__.py",
    "README.md",
    "requirements.txt",
    "config.py",
    "data.py",
    "preprocessing.py",
    "model.py",
    "task.py",
    "train.py",
    "evaluate.py",
    "export.py",
    "demo.py",
    "app.py",
    "examples/expected.json",
]


def imports(tree: ast.AST, *, top_level: bool) -> set[str]:
    """Dotted names a module imports: all of them, or only those run when it is imported."""
    found: set[str] = set()

    def visit(node: ast.AST) -> None:
        for child in ast.iter_child_nodes(node):
            if top_level and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
                continue
            if top_level and isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if isinstance(child, ast.Import):
                found.update(a.name for a in child.names)
            elif isinstance(child, ast.ImportFrom) and child.module and not child.level:
                found.add(child.module)
                found.update(f"{child.module}.{a.name}" for a in child.names)
            visit(child)

    visit(tree)
    return found


def parsed(path: Path) -> ast.AST:
    return ast.parse(path.read_text(encoding="utf-8"))


def roots(names: set[str]) -> set[str]:
    return {n.split(".")[0] for n in names}


def test_the_six_apps_are_there():
    assert {
        "image_classification",
        "object_detection",
        "segmentation",
        "sentiment_analysis",
        "speech_to_text",
        "recommendation",
    } <= set(APPS)


@pytest.mark.parametrize("app", APPS)
def test_every_app_has_the_same_anatomy(app):
    missing = [name for name in ANATOMY if not (ROOT / "apps" / app / name).is_file()]
    assert not missing


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_follow_the_rules(path):
    relative = path.relative_to(ROOT)
    names = imports(parsed(path), top_level=False)
    at_import = roots(imports(parsed(path), top_level=True))
    broken = []
    if relative.parts[0] == "shared" and "apps" in roots(names):
        broken.append("shared imports apps")
    if relative.parts[0] == "apps" and len(relative.parts) > 2:
        others = {n for n in names if n.startswith("apps.") and n.split(".")[1] != relative.parts[1]}
        if others:
            broken.append(f"an app imports another app: {sorted(others)}")
    if "tests" in roots(names):
        broken.append("product code imports tests")
    gradio_may = (
        relative.name in ("demo.py", "app.py", "__main__.py")
        or relative.parts[:2] == ("shared", "demo")
        or relative.name.startswith("demo_")
    )
    if "gradio" in roots(names) and not gradio_may:
        broken.append("gradio outside demo code")
    if "tensorflow_datasets" in at_import:
        broken.append("tensorflow_datasets imported at module level")
    if any(n == "tensorflow.keras" or n.startswith("tensorflow.keras.") for n in names):
        broken.append("tensorflow.keras instead of keras")
    assert not broken


@pytest.mark.parametrize("app", APPS)
def test_serving_path_loads_no_tensorflow(app):
    """Import what a demo imports, in a fresh process, and look at what came with it."""
    code = (
        "import importlib, sys\n"
        f"for name in ('app', 'demo', 'preprocessing', 'config'): importlib.import_module('apps.{app}.' + name)\n"
        f"loaded = set(sys.modules) & {TRAINING_ONLY!r}\n"
        "print(sorted(loaded)); sys.exit(bool(loaded))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


def test_no_lambda_layers_and_no_paths_of_a_machine():
    offenders = []
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        if "layers.Lambda(" in text:
            offenders.append(f"{path.relative_to(ROOT)}: Lambda layer")
        for word in ("/work/", "/root/", "/home/"):
            if word in text:
                offenders.append(f"{path.relative_to(ROOT)}: {word}")
    assert not offenders


def test_files_can_be_read_in_one_sitting():
    long = {str(p.relative_to(ROOT)): n for p in FILES if (n := len(p.read_text().splitlines())) > 420}
    assert not long


def test_serving_requirements_hold_no_tensorflow():
    for path in [ROOT / "requirements.txt", *(ROOT / "apps").glob("*/requirements.txt")]:
        lines = [line.split("#")[0].strip().lower() for line in path.read_text().splitlines()]
        names = {
            line.replace("=", " ").replace(">", " ").replace("<", " ").split()[0] for line in lines if line
        }
        assert not names & {"tensorflow", "tensorflow-cpu", "keras", "keras-hub", "tf2onnx"}, path
