"""Start-up, memory and the time of one answer of every app, as a visitor gets it.

`python -m benchmarks.latency`: starts `python -m apps` in a process of its own, waits for the front page, asks each app
its first example through gradio_client, and reads the server's resident memory on the way. The median of an app's
answers is written to `latency_ms` of its default variant's `metrics.json`, which the gallery shows.
"""

from __future__ import annotations

import argparse
import importlib
import json
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from benchmarks.common import record
from shared.runtime.files import write_json
from shared.runtime.variants import list_variants

NAME = "latency"
ROOT = Path(__file__).resolve().parents[1]


def server_memory_mb(pid: int) -> float:
    """Resident memory of a process in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"process {pid} has no VmRSS")


def start(port: int) -> tuple[subprocess.Popen, float]:
    """Start the gallery; returns the process and the seconds until its front page answered."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "apps", "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while time.perf_counter() - begun < 120:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
            return process, time.perf_counter() - begun
        except OSError:
            time.sleep(0.05)
    process.kill()
    raise TimeoutError("the gallery did not answer within 120 s")


def argument(value: Any, base: Path) -> Any:
    """An argument of expected.json as gradio_client takes it."""
    from gradio_client import handle_file

    if isinstance(value, dict) and set(value) == {"file"}:
        return handle_file(str(base / value["file"]))
    if isinstance(value, dict) and set(value) == {"files"}:
        return [handle_file(str(base / name)) for name in value["files"]]
    return value


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.latency", description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--data", help="not needed here")
    options = parser.parse_args()
    from gradio_client import Client

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    begun = time.perf_counter()
    process, front_s = start(port)
    rows = [
        {
            "what": "front page",
            "first answer after start, s": round(front_s, 2),
            "server memory, MB": round(server_memory_mb(process.pid)),
        }
    ]
    try:
        for folder in sorted(p.parent for p in (ROOT / "apps").glob("*/task.py")):
            app = folder.name
            case = json.loads((folder / "examples" / "expected.json").read_text(encoding="utf-8"))[0]
            client = Client(f"http://127.0.0.1:{port}/{app}/", verbose=False)
            arguments = [argument(a, folder / "examples") for a in case["args"]]
            client.predict(*arguments, api_name=case["api_name"])
            first_s = time.perf_counter() - begun
            times = []
            for _ in range(options.repeats):
                asked = time.perf_counter()
                client.predict(*arguments, api_name=case["api_name"])
                times.append(1000 * (time.perf_counter() - asked))
            median = statistics.median(times)
            rows.append(
                {
                    "what": f"{app}, {case['name']}",
                    "first answer after start, s": round(first_s, 2) if len(rows) == 1 else None,
                    "one answer, ms": round(median, 1),
                    "server memory, MB": round(server_memory_mb(process.pid)),
                }
            )
            order = importlib.import_module(f"apps.{app}.config").VARIANTS
            variant = list_variants(app, order)[0]
            metrics = variant.metrics
            metrics["latency_ms"] = {"median": round(median, 1), "command": "python -m benchmarks.latency"}
            write_json(variant.folder / "metrics.json", metrics)
    finally:
        process.terminate()
        process.wait(20)
    record(
        NAME,
        "Start-up, memory and one answer through the gallery's API",
        rows,
        sys.argv[1:],
        packages=["gradio"],
        notes="Upload, preprocessing, model, postprocessing and all of the page's outputs are in the time of an "
        "answer. Memory is the server's after the app answered, all apps above it being loaded as well.",
    )


if __name__ == "__main__":
    main()
