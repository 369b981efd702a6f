"""`python tests/serve_made_up.py FOLDER --port N`: the gallery with the made-up apps of a folder."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import apps
from shared.demo.gallery import gallery
from shared.demo.web import add_arguments, serve

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    add_arguments(parser)
    options = parser.parse_args()
    os.environ["GALLERY_MODELS_DIR"] = str(options.folder / "models")
    apps.__path__.insert(0, str(options.folder / "apps"))
    serve(gallery(apps.list_apps(options.folder / "apps"), options), options)
