"""Gradio's pages in a FastAPI server, all with the same look, languages and limits."""

from __future__ import annotations

import functools
import importlib

import fastapi
import gradio as gr
from starlette.middleware import Middleware

from shared.demo.downloads import CHECK_EVERY_S, KEEP_S
from shared.demo.guard import guard_inputs
from shared.demo.head import gradio_head
from shared.demo.i18n import english, gradio_i18n
from shared.demo.localized import Localized
from shared.demo.theme import theme
from shared.demo.web import MAX_UPLOAD_BYTES
from shared.runtime.predictor import ModelStore, Runtime

MAX_WAITING = 64
"""Requests in line; the next one is told to come back."""


def load_models(app: str, runtime: Runtime = "onnx") -> ModelStore:
    """The app's variants, in the order its `config.VARIANTS` names them.

    Raises:
        MissingWeights: None is published.
    """
    variants = importlib.import_module(f"apps.{app}.config").VARIANTS
    return ModelStore(app, variants, runtime)


def build(app: str, runtime: Runtime = "onnx") -> gr.Blocks:
    """The page of an app, with its models at hand.

    Raises:
        MissingWeights: The app has no published variant.
    """
    models = load_models(app, runtime)
    return importlib.import_module(f"apps.{app}.demo").build_demo(models)


def mount(
    host: fastapi.FastAPI,
    blocks: gr.Blocks,
    path: str,
    *,
    mcp: bool = False,
    gallery: bool = False,
    address: str | None = None,
) -> None:
    """Mount an app's page in a server.

    Args:
        host: The server.
        blocks: What `build_demo` made.
        path: Where; `/` for a server with one page.
        mcp: Serve its named events as MCP tools too.
        gallery: The page is one of several, so it shows the way back.
        address: Path of the page as visitors see it, where `host` itself is mounted below another server. Answers
            given without the queue would otherwise name files at the root of that server.
    """
    blocks.delete_cache = (CHECK_EVERY_S, KEEP_S)
    if blocks._queue.max_size is None:
        blocks._queue.max_size = MAX_WAITING
    guard_inputs(blocks)
    describe = blocks.get_api_info
    # Markers are for browsers: clients and MCP tools read English.
    blocks.get_api_info = functools.wraps(describe)(lambda *a, **k: english(describe(*a, **k)))
    gr.mount_gradio_app(
        host,
        blocks,
        path=path,
        theme=theme(),
        i18n=gradio_i18n(),
        # A page may need larger files than photos and tables are, e.g. half an hour of sound.
        max_file_size=getattr(blocks, "max_upload_bytes", MAX_UPLOAD_BYTES),
        ssr_mode=False,
        enable_monitoring=False,
        run_history=False,
        show_error=True,
        footer_links=["api"],
        mcp_server=mcp,
        root_path=address,
    )
    page: fastapi.FastAPI = host.routes[-1].app
    # The last one is the innermost: Gradio's own middleware compresses what this one has finished.
    page.user_middleware.append(Middleware(Localized, head=gradio_head(gallery=gallery)))
    # Gradio checks where a file of a request lies only after this; `launch()` sets it, mounting does not.
    blocks.has_launched = True
