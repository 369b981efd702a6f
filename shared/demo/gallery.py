"""The gallery as one server: its own pages at once, each app's page when it is first opened."""

from __future__ import annotations

import argparse
import contextlib
import threading
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import fastapi
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.demo import site
from shared.demo.catalog import AppInfo
from shared.demo.lazy import LazyApp

if TYPE_CHECKING:
    from shared.demo.mcp_gateway import Gateway


def gallery(apps: Sequence[AppInfo], options: argparse.Namespace) -> fastapi.FastAPI:
    """Build the server.

    Args:
        apps: Every app, in the order of the cards.
        options: `runtime` and `mcp`, as `shared.demo.web.add_arguments` defines them.
    """
    by_name = {app.name: app for app in apps}
    pages = {app.name: _lazy(app, options) for app in apps}

    @contextlib.asynccontextmanager
    async def lifespan(host: fastapi.FastAPI) -> AsyncIterator[None]:
        # The front page needs no Gradio; the first app page needs it soon.
        threading.Thread(target=_warm, daemon=True).start()
        async with contextlib.AsyncExitStack() as stack:
            if gateway is not None:
                await stack.enter_async_context(gateway.running())
            yield
        for page in pages.values():
            await page.close()

    host = fastapi.FastAPI(
        title="Keras Gallery", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan
    )
    host.state.pages = pages

    @host.get("/")
    def front(request: Request) -> Response:
        errors = {name: page.error for name, page in pages.items() if page.error}
        return site.front_page(request, apps, errors)

    def of_app(name: str) -> AppInfo:
        if name not in by_name:
            raise fastapi.HTTPException(404)
        return by_name[name]

    @host.get("/pictures/{name}")
    def picture(request: Request, name: str) -> Response:
        return site.picture(request, of_app(name))

    @host.get("/models/{name}/{variant}/card")
    def card(request: Request, name: str, variant: str) -> Response:
        return site.card_page(request, of_app(name), variant)

    @host.get("/models/{name}/{variant}/report")
    def report(request: Request, name: str, variant: str) -> Response:
        return site.report_page(request, of_app(name), variant)

    @host.get("/code/{name}/")
    def code(request: Request, name: str) -> Response:
        return site.code_page(request, of_app(name))

    @host.get("/code/{name}/{file}")
    def code_file(request: Request, name: str, file: str) -> Response:
        return site.code_page(request, of_app(name), file)

    @host.get("/openapi.json")
    async def openapi(request: Request) -> dict:
        from shared.demo.api_docs import merged_openapi

        return await merged_openapi(apps, pages)

    @host.get("/docs")
    async def docs(request: Request) -> Response:
        from shared.demo.api_docs import docs_page

        return await docs_page(request, apps, pages, mcp=options.mcp)

    @host.exception_handler(404)
    def missing(request: Request, error: Exception) -> Response:
        return site.missing_page(request)

    if gateway := _gateway(apps, pages, host, options):
        host.router.routes.append(Route("/mcp", endpoint=gateway, include_in_schema=False))
    for app in apps:
        host.mount(f"/{app.name}", pages[app.name])
    return host


def _gateway(
    apps: Sequence[AppInfo], pages: dict[str, LazyApp], host: fastapi.FastAPI, options: argparse.Namespace
) -> Gateway | None:
    if not options.mcp:
        return None
    from shared.demo.mcp_gateway import Gateway

    return Gateway(apps, pages, host)


def _warm() -> None:
    import gradio  # noqa: F401

    import shared.demo.mounting  # noqa: F401


def _lazy(app: AppInfo, options: argparse.Namespace) -> LazyApp:
    def build() -> fastapi.FastAPI:
        from shared.demo.mounting import build, mount

        host = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
        page = build(app.name, options.runtime)
        mount(host, page, "/", mcp=options.mcp, gallery=True, address=f"/{app.name}")
        return host

    return LazyApp(app.name, build, lambda request, error: site.failed_page(request, app, error))
