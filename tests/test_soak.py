"""Sixteen clients against every app at once, good and bad input mixed: nothing fails, memory stays flat.

Runs for `SOAK_S` seconds (120 unless set; `SOAK_S=600 make test-slow` is the ten-minute run).
"""

from __future__ import annotations

import importlib
import json
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.test_contract import APPS, ROOT, looked_up, sent

CLIENTS = 16
WARM_UP_SHARE = 0.3
GROWTH_MB = 150


def server_pid(url: str) -> int:
    """The process that listens on the gallery's port."""
    port = int(url.rsplit(":", 1)[1])
    wanted = f":{port:04X}"
    inodes = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[1].endswith(wanted) and line.split()[3] == "0A"
    }
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            for link in (folder / "fd").iterdir():
                if any(os.readlink(link) == f"socket:[{inode}]" for inode in inodes):
                    return int(folder.name)
        except OSError:
            continue
    raise LookupError(f"nobody listens on {url}")


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise LookupError(f"process {pid} has ended")


def requests_of(app: str, folder: Path) -> tuple[list[tuple], list[tuple]]:
    """Good requests with what they promise, and bad ones with their message."""
    base = ROOT / "apps" / app / "examples"
    cases = json.loads((base / "expected.json").read_text(encoding="utf-8"))
    good = [(case, [sent(a, base) for a in case["args"]]) for case in cases]
    folder.mkdir()
    bad = [
        (label, api_name, [sent(a, folder) for a in arguments])
        for label, api_name, arguments, _ in importlib.import_module(f"apps.{app}.contract_cases").bad_inputs(
            folder
        )
    ]
    return good, bad


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_every_app_under_sixteen_clients(gallery_url, tmp_path):
    from gradio_client import Client
    from gradio_client.exceptions import AppError

    seconds = float(os.environ.get("SOAK_S", "120"))
    work = {app: requests_of(app, tmp_path / app) for app in APPS}
    pid = server_pid(gallery_url)
    failures: list[str] = []
    answered = dict.fromkeys(APPS, 0)
    memory: list[tuple[float, float]] = []
    lock = threading.Lock()
    end = time.monotonic() + seconds

    def ask(client: Any, app: str, choose: random.Random) -> None:
        good, bad = work[app]
        if choose.random() < 0.3:
            label, api_name, arguments = choose.choice(bad)
            try:
                client.predict(*arguments, api_name=api_name)
                failures.append(f"{app}: {label} was accepted")
            except (AppError, ValueError) as error:
                if "500" in str(error) or "Internal" in str(error):
                    failures.append(f"{app}: {label}: {error}")
            return
        case, arguments = choose.choice(good)
        outputs = client.predict(*arguments, api_name=case["api_name"])
        outputs = outputs if isinstance(outputs, tuple | list) else (outputs,)
        path = next(iter(case["expect"]))
        looked_up(outputs[case.get("result", 0)], path)
        with lock:
            answered[app] += 1

    def visitor(number: int) -> None:
        choose = random.Random(number)
        app = APPS[number % len(APPS)]
        client = Client(f"{gallery_url}/{app}/", verbose=False, httpx_kwargs={"timeout": 120})
        while time.monotonic() < end:
            try:
                ask(client, app, choose)
            except Exception as error:  # any failed good request is the finding
                failures.append(f"{app}: {type(error).__name__}: {error}")

    visitors = [threading.Thread(target=visitor, args=(n,), daemon=True) for n in range(CLIENTS)]
    begun = time.monotonic()
    for thread in visitors:
        thread.start()
    while time.monotonic() < end:
        time.sleep(1)
        memory.append((time.monotonic() - begun, resident_mb(pid)))
    for thread in visitors:
        thread.join(60)
    assert not failures, "\n".join(failures[:20])
    assert all(answered.values()), answered
    settled = [mb for at, mb in memory if at > WARM_UP_SHARE * seconds]
    growth = max(settled[-5:]) - max(settled[:5])
    print(f"{answered} answers in {seconds:.0f} s; {settled[0]:.0f} MB, grew by {growth:.0f} MB")
    assert growth < GROWTH_MB, f"memory grew by {growth:.0f} MB after warm-up"
