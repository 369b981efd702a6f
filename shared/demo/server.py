"""One server for a demo alone and for the whole gallery: FastAPI in front, Gradio's pages mounted in it."""

from __future__ import annotations

import argparse
import importlib
import os
import tempfile
from collections.abc import Callable

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import fastapi
import gradio as gr
import uvicorn

from shared.demo.downloads import CHECK_EVERY_S, KEEP_S
from shared.demo.head import HEAD
from shared.demo.i18n import gradio_i18n
from shared.demo.theme import CSS_PATH, theme
from shared.runtime.predictor import ModelStore

MAX_UPLOAD = "40mb"
MAX_WAITING = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options every way of serving has."""
    spaces = os.environ.get("SPACE_ID")
    parser.add_argument("--port", type=int, default=int(os.environ.get("GRADIO_SERVER_PORT", 7860)))
    host = os.environ.get("GRADIO_SERVER_NAME", "0.0.0.0" if spaces else "127.0.0.1")
    parser.add_argument("--host", default=host, help="0.0.0.0 answers other machines too")
    parser.add_argument(
        "--runtime", choices=("onnx", "keras"), default="onnx", help="keras imports TensorFlow"
    )
    parser.add_argument("--mcp", action="store_true", help="serve the demos as MCP tools too")
    parser.add_argument("--open", action="store_true", help="open a browser")


def load_models(app: str, runtime: str = "onnx") -> ModelStore:
    """The app's variants, in the order its `config.VARIANTS` names them."""
    variants = importlib.import_module(f"apps.{app}.config").VARIANTS
    return ModelStore(app, variants, runtime)


def mount(host: fastapi.FastAPI, blocks: gr.Blocks, path: str, *, mcp: bool = False) -> None:
    """Mount an app's page with the gallery's look, languages and limits."""
    blocks.delete_cache = (CHECK_EVERY_S, KEEP_S)
    blocks.queue(max_size=MAX_WAITING)
    gr.mount_gradio_app(
        host,
        blocks,
        path=path,
        theme=theme(),
        css=CSS_PATH.read_text(encoding="utf-8"),
        head=HEAD,
        i18n=gradio_i18n(),
        max_file_size=MAX_UPLOAD,
        ssr_mode=False,
        enable_monitoring=False,
        run_history=False,
        show_error=True,
        footer_links=["api"],
        mcp_server=mcp,
    )


def single_app(
    app: str, build_demo: Callable[[ModelStore], gr.Blocks], options: argparse.Namespace
) -> fastapi.FastAPI:
    """A server whose only page is one app's."""
    private_folder()
    host = fastapi.FastAPI(title=app, docs_url=None, redoc_url=None)
    mount(host, build_demo(load_models(app, options.runtime)), "/", mcp=options.mcp)
    return host


def private_folder() -> None:
    """Give uploads and downloads a folder that no other user of the machine can read."""
    os.environ.setdefault("GRADIO_TEMP_DIR", tempfile.mkdtemp(prefix="gallery-"))


def serve(host: fastapi.FastAPI, options: argparse.Namespace) -> None:
    """Answer until interrupted."""
    print(f"Open http://{options.host}:{options.port}", flush=True)
    uvicorn.run(host, host=options.host, port=options.port, log_level="warning")
