"""`build --static`: a page that answers in the visitor's browser, for accounts without Gradio hardware.

The exported graph runs in onnxruntime-web (WebAssembly), which the build takes from npm and puts into the
bundle: nothing is loaded from elsewhere.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path

from shared.demo.facts import facts
from shared.demo.head import static
from shared.runtime.variants import REPOSITORY, Variant
from shared.space.bundle import Bundle, SpaceError, choose, fresh, front_matter, size_of, write_readme

RUNTIME = "onnxruntime-web"
RUNTIME_VERSION = "1.30.0"
_RUNTIME_FILES = ("ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm")
_PAGE = Path(__file__).with_name("page")
# What preprocess.js knows of an app's settings.
_NEEDED = ("class_names", "image_size_px", "crop", "crop_fraction")


def build_static(
    app: str,
    variants: Iterable[str] = (),
    out: Path | None = None,
    *,
    models_dir: Path | None = None,
    repository: Path = REPOSITORY,
    runtime: Path | None = None,
) -> Bundle:
    """Make a folder that any web server can serve.

    Args:
        app: An app that classifies images: the only preprocessing written for the browser.
        variants: Published variants to take; all by default.
        out: Where; `build/space/<app>-static` by default. Replaced.
        models_dir: Where variants are published.
        repository: The project's root.
        runtime: Folder with onnxruntime-web's `dist` files; taken from npm when None.

    Raises:
        SpaceError: The app is of another kind, or the runtime could not be had.
    """
    front, text = front_matter(app, sdk="static", repository=repository)
    chosen = choose(app, variants, models_dir)
    for variant in chosen:
        missing = [key for key in _NEEDED if key not in variant.settings]
        if missing or variant.graph_names != ["model"]:
            raise SpaceError(
                "--static works for apps that classify a photo with one graph (image_classification); "
                f"{app}/{variant.name} lacks {', '.join(missing) or 'a single graph'}"
            )
    runtime = runtime or runtime_files(repository / "build" / "npm")
    folder = fresh(out or repository / "build" / "space" / f"{app}-static")
    for path in sorted(_PAGE.iterdir()):
        if path.is_file():
            shutil.copy2(path, folder / path.name)
    (folder / "tokens.css").write_text(static("tokens.css"), encoding="utf-8")
    (folder / "ort").mkdir()
    for name in (*_RUNTIME_FILES, "LICENSE"):
        if (runtime / name).is_file():
            shutil.copy2(runtime / name, folder / "ort" / name)
    write_readme(folder, front, text)
    code = size_of(folder)
    entries = []
    for variant in chosen:
        target = folder / "models" / variant.name
        target.mkdir(parents=True)
        shutil.copy2(variant.checked("model.onnx"), target / "model.onnx")
        if (variant.folder / "MODEL_CARD.md").is_file():
            shutil.copy2(variant.folder / "MODEL_CARD.md", target)
        entries.append(_entry(variant))
    (folder / "models.json").write_text(json.dumps(entries, ensure_ascii=False), encoding="utf-8")
    names = tuple(v.name for v in chosen)
    return Bundle(folder, app, names, code, size_of(folder) - code)


def _entry(variant: Variant) -> dict:
    known = facts(variant)
    settings = {key: variant.settings[key] for key in _NEEDED}
    settings["temperature"] = variant.settings.get("temperature", 1.0)
    figure = {
        language: f"{known.figure} {name}" if known.figure else name
        for language, name in known.figure_name.items()
    }
    return {"name": variant.name, "bytes": variant.onnx_bytes(), "settings": settings, "figure": figure}


def runtime_files(cache: Path) -> Path:
    """onnxruntime-web's files, fetched with npm the first time (npm checks their hash).

    Args:
        cache: Where to keep them.

    Returns:
        A folder with the files the page needs.

    Raises:
        SpaceError: There is no npm, or it could not fetch the package.
    """
    folder = cache / f"{RUNTIME}-{RUNTIME_VERSION}"
    if all((folder / name).is_file() for name in _RUNTIME_FILES):
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    command = ["npm", "pack", f"{RUNTIME}@{RUNTIME_VERSION}", "--silent", "--pack-destination", str(cache)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    except FileNotFoundError as error:
        raise SpaceError(
            "--static takes onnxruntime-web from npm, which is not installed: install Node.js (nodejs.org)"
        ) from error
    archive = cache / f"{RUNTIME}-{RUNTIME_VERSION}.tgz"
    if done.returncode or not archive.is_file():
        raise SpaceError(f"{' '.join(command[:3])} failed: {done.stderr.strip()[-500:]}")
    folder.mkdir(exist_ok=True)
    with tarfile.open(archive) as package:
        for name in _RUNTIME_FILES:
            source = package.extractfile(f"package/dist/{name}")
            (folder / name).write_bytes(source.read())
    archive.unlink()
    return folder
