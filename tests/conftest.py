"""Fixtures for every test: a gallery of the real apps for the browser, and one of small made-up apps.

A browser test of an app is a function in `tests/test_<app>_browser.py` that takes `page` and `gallery_url`:

    pytestmark = pytest.mark.browser

    def test_answers(page, gallery_url):
        page.goto(f"{gallery_url}/sentiment_analysis/")
        page.get_by_label("Text").fill("What a lovely day")
        ...

`page` fails the test if anything but this machine was asked for, or a script raised an error.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
START_S = 60


def free_port() -> int:
    """A port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def running(command: list[str], log: Path, **environment: str) -> Iterator[str]:
    """A server started as a user starts it; gives its address and ends it afterwards.

    Args:
        command: Its command line; `--port N` is added.
        log: Where its output goes.
        **environment: More variables.
    """
    port = free_port()
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
        )
        try:
            deadline = time.monotonic() + START_S
            while True:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"{command} did not start:\n{log.read_text(encoding='utf-8')[-4000:]}")
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture(scope="session")
def gallery_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The gallery as `make gallery` serves it, with the models of the repository."""
    log = tmp_path_factory.mktemp("gallery") / "log.txt"
    with running([sys.executable, "-m", "apps"], log) as url:
        yield url


@pytest.fixture(scope="session")
def app_client(gallery_url):
    """`app_client(app)`: a gradio_client connected to that app's page of the running gallery."""
    from gradio_client import Client

    clients: dict[str, Client] = {}

    def connected(app: str) -> Client:
        if app not in clients:
            clients[app] = Client(f"{gallery_url}/{app}/", verbose=False, httpx_kwargs={"timeout": 120})
        return clients[app]

    return connected


def chromium_path() -> str | None:
    """Debian's Chromium, or whatever `CHROMIUM` names."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if name and (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator:
    """One headless Chromium for all tests; skips them, with the reason, where there is none."""
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (make test does it)"
    )
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium, or set CHROMIUM=/path/to/it")
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-default-apps",
        "--disable-sync",
        "--no-first-run",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
    ]
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser) -> Iterator:
    """A function that opens a fresh page: `open_page(width=1280, dark=False, locale="en-US")`.

    After the test every page is judged: no request to another host, no error of a script.
    """
    outside: list[str] = []
    errors: list[str] = []
    contexts = []

    def note(request) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:", "ws://127.0.0.1:")):
            outside.append(request.url)

    def opened(width: int = 1280, height: int = 900, dark: bool = False, locale: str = "en-US", **options):
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            locale=locale,
            accept_downloads=True,
            **options,
        )
        contexts.append(context)
        # The first opening of an app imports Gradio; a busy machine takes its time.
        context.set_default_navigation_timeout(120_000)
        context.on("request", note)
        fresh = context.new_page()
        fresh.on("pageerror", lambda error: errors.append(str(error)))
        return fresh

    yield opened
    for context in contexts:
        context.close()
    assert not outside, f"the page asked other hosts: {outside}"
    assert not errors, f"scripts failed: {errors}"


@pytest.fixture
def page(open_page):
    """A fresh desktop page in English; see `open_page` for others."""
    return open_page()
