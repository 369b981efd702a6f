"""A page that is built when it is first opened, so that a gallery of many apps starts as fast as one."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import traceback
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.runtime.variants import MissingWeights

RETRY_AFTER_S = 5.0
_log = logging.getLogger(__name__)
# Gradio keeps the page under construction in a global: one is built at a time.
_building = threading.Lock()


class LazyApp:
    """ASGI app that stands for another one until somebody asks for it.

    Args:
        name: For the log.
        build: Makes the app; runs in a worker thread, once, or again some seconds after it failed.
        failed: Makes the page that tells a visitor what went wrong.
    """

    def __init__(
        self,
        name: str,
        build: Callable[[], ASGIApp],
        failed: Callable[[Request, str], Awaitable[Response] | Response],
    ):
        self.name = name
        self.error: str | None = None
        """What went wrong at the last try, as one line."""
        self.build_s: float | None = None
        self._build = build
        self._failed = failed
        self._app: ASGIApp | None = None
        self._retry_at = 0.0
        self._lock = asyncio.Lock()
        self._task: asyncio.Task | None = None
        self._stop: asyncio.Event | None = None

    @property
    def app(self) -> ASGIApp | None:
        """The app, once it is built."""
        return self._app

    async def ready(self) -> ASGIApp | None:
        """The app, built if need be; None if that fails (`error` says why)."""
        if self._app is not None:
            return self._app
        async with self._lock:
            if self._app is None and time.monotonic() >= self._retry_at:
                await self._start()
        return self._app

    async def _start(self) -> None:
        begun = time.monotonic()
        try:
            app = await asyncio.to_thread(self._build_alone)
            # The queue's workers and the MCP sessions live in the app's lifespan, which mounting after the
            # start of the server would skip. Its task groups must be left in the task that entered them.
            started = asyncio.get_running_loop().create_future()
            self._stop = asyncio.Event()
            self._task = asyncio.create_task(self._live(app, started, self._stop))
            await started
        except (Exception, SystemExit) as error:
            self._retry_at = time.monotonic() + RETRY_AFTER_S
            if isinstance(error, MissingWeights):
                self.error = str(error)
                _log.warning("%s cannot be opened: %s", self.name, error)
            else:
                self.error = f"{type(error).__name__}: {error}"
                _log.error("%s cannot be opened\n%s", self.name, traceback.format_exc())
        else:
            self._app, self.error = app, None
            self.build_s = time.monotonic() - begun

    def _build_alone(self) -> ASGIApp:
        with _building:
            return self._build()

    @staticmethod
    async def _live(app: ASGIApp, started: asyncio.Future, stop: asyncio.Event) -> None:
        try:
            async with app.router.lifespan_context(app):
                started.set_result(None)
                await stop.wait()
        except Exception as error:
            if started.done():
                raise
            started.set_exception(error)

    async def close(self) -> None:
        """End the app's lifespan."""
        if self._stop is not None and self._task is not None:
            self._stop.set()
            await asyncio.gather(self._task, return_exceptions=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = await self.ready()
        if app is None:
            answer = self._failed(Request(scope), self.error or "")
            app = await answer if isinstance(answer, Awaitable) else answer
        await app(scope, receive, send)
