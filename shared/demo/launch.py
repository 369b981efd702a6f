"""`python -m apps.<app>.app`: one app alone, as on a Space."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import gradio as gr

from shared.demo.server import add_arguments, serve, single_app
from shared.runtime.predictor import ModelStore


def launch(
    app: str, build_demo: Callable[[ModelStore], gr.Blocks], argv: Sequence[str] | None = None
) -> None:
    """Load the app's variants, build its page and serve it until interrupted.

    Args:
        app: Folder name under `apps/`.
        build_demo: The app's `demo.build_demo`.
        argv: Command line without the program name; `sys.argv[1:]` when None.
    """
    parser = argparse.ArgumentParser(description=f"The {app} demo on its own.")
    add_arguments(parser)
    options = parser.parse_args(argv)
    serve(single_app(app, build_demo, options), options)
