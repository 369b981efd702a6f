"""`python -m apps.<app>.app`: one app alone, as on a Space."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import fastapi
import gradio as gr

from shared.demo.mounting import load_models, mount
from shared.demo.web import add_arguments, serve
from shared.runtime.predictor import ModelStore


def launch(
    app: str, build_demo: Callable[[ModelStore], gr.Blocks], argv: Sequence[str] | None = None
) -> None:
    """Load the app's variants, build its page and serve it until interrupted.

    Args:
        app: Folder name under `apps/`.
        build_demo: The app's `demo.build_demo`.
        argv: Command line without the program name; `sys.argv[1:]` when None.

    Raises:
        SystemExit: No variant is published (the message names the train command), or the port is taken.
    """
    parser = argparse.ArgumentParser(description=f"The {app} demo on its own.")
    add_arguments(parser)
    options = parser.parse_args(argv)
    try:
        models = load_models(app, options.runtime)
    except FileNotFoundError as error:
        raise SystemExit(f"error: {error}") from error
    host = fastapi.FastAPI(title=app, docs_url=None, redoc_url=None, openapi_url=None)
    mount(host, build_demo(models), "/", mcp=options.mcp)
    serve(host, options)
