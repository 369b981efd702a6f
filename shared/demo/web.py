"""What every way of serving shares: options, folders, uvicorn. No gradio here, so a front page is there at once."""

from __future__ import annotations

import argparse
import atexit
import importlib.util
import os
import shutil
import socket
import tempfile
import threading
import time
import webbrowser
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import fastapi

MAX_UPLOAD_BYTES = 40_000_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options every way of serving has. On a Space the surroundings set host and port."""
    port = int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
    host = os.environ.get("GRADIO_SERVER_NAME") or ("0.0.0.0" if os.environ.get("SPACE_ID") else "127.0.0.1")
    parser.add_argument("--port", type=int, default=port, help=f"default {port}")
    parser.add_argument("--host", default=host, help=f"default {host}; 0.0.0.0 answers other machines too")
    parser.add_argument(
        "--runtime",
        choices=("onnx", "keras"),
        default="onnx",
        help="onnx serves the exported graphs; keras the .keras files themselves (imports TensorFlow)",
    )
    parser.add_argument("--mcp", action="store_true", help="serve the demos as MCP tools too")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")


def prepare() -> None:
    """Set what Gradio reads when it is imported: no analytics, and a folder of its own for uploads.

    The folder can be read by this user alone and goes when the server ends.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if "GRADIO_TEMP_DIR" not in os.environ:
        folder = tempfile.mkdtemp(prefix="gallery-")
        os.environ["GRADIO_TEMP_DIR"] = folder
        atexit.register(shutil.rmtree, folder, ignore_errors=True)


def serve(host: fastapi.FastAPI, options: argparse.Namespace) -> None:
    """Answer until interrupted.

    Raises:
        SystemExit: The port is taken, or MCP is asked for without its package.
    """
    import uvicorn

    if options.mcp and importlib.util.find_spec("mcp") is None:
        raise SystemExit("error: --mcp needs the mcp package: pip install 'gradio[mcp]==6.31.0'")
    with socket.socket(socket.AF_INET6 if ":" in options.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((options.host, options.port))
        except OSError as error:
            raise SystemExit(
                f"error: port {options.port} on {options.host} cannot be used ({error.strerror}); "
                f"choose another: --port {options.port + 1}"
            ) from error
    shown = "127.0.0.1" if options.host == "0.0.0.0" else options.host
    url = f"http://{shown}:{options.port}/"
    print(f"Open {url}   (Ctrl+C ends it)", flush=True)
    if options.open:
        threading.Thread(target=_open, args=(url, shown, options.port), daemon=True).start()
    uvicorn.run(
        host,
        host=options.host,
        port=options.port,
        log_level="warning",
        # Every open page holds a stream; ending must not wait for visitors to leave.
        timeout_graceful_shutdown=2,
    )


def _open(url: str, host: str, port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection((host, port), timeout=0.2).close()
        except OSError:
            time.sleep(0.1)
        else:
            webbrowser.open(url)
            return
