"""What every benchmark shares: timing, memory, and one result file a benchmark that README's tables come from.

A benchmark module has `run(options) -> list[dict]` (rows with equal keys) and `main()`, which calls
`record(NAME, TITLE, rows, argv)`. `python -m benchmarks --tables` writes RESULTS.md and the README tables from
the recorded files without running anything.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from shared.runtime.environment import machine, public_command
from shared.runtime.files import write_json

RESULTS = Path(__file__).parent / "results"


def median_ms(call: Callable[[], Any], *, repeats: int = 30, warm_up: int = 3) -> float:
    """Median wall time of a call in milliseconds, after warm-up calls that are not counted."""
    for _ in range(warm_up):
        call()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        times.append(time.perf_counter() - begun)
    return 1000 * statistics.median(times)


def resident_mb() -> float:
    """Resident memory of this process in MB."""
    with open("/proc/self/statm", encoding="utf-8") as stream:
        pages = int(stream.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def record(
    name: str,
    title: str,
    rows: Sequence[dict[str, Any]],
    argv: Sequence[str] = (),
    *,
    seed: int | None = None,
    packages: Sequence[str] = (),
    notes: str = "",
) -> Path:
    """Write `benchmarks/results/<name>.json`: rows with the command, machine, versions, seed and date.

    Args:
        name: File name and module name, e.g. `sentiment`.
        title: Heading of its table.
        rows: One dict a line of the table.
        argv: Command line arguments of the run.
        seed: Seed, where one was used.
        packages: Peers whose versions belong beside the figures.
        notes: What a reader must know to read the table right.
    """
    facts = machine()
    facts["versions"] |= {p: importlib.metadata.version(p) for p in packages}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    command = public_command("x", "x", list(argv)).replace(
        "python -m apps.x.x", f"python -m benchmarks.{name}"
    )
    load = os.getloadavg()[0]
    write_json(
        path,
        {
            "title": title,
            "command": command,
            "date": datetime.date.today().isoformat(),
            "machine": facts,
            "load_average_at_end": round(load, 2),
            "seed": seed,
            "notes": notes,
            "rows": list(rows),
        },
    )
    print(table(rows))
    return path


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as a Markdown table; floats with four significant digits."""
    if not rows:
        return "(no rows)"
    keys = list(dict.fromkeys(k for row in rows for k in row))
    lines = ["| " + " | ".join(keys) + " |", "|" + "---|" * len(keys)]
    for row in rows:
        lines.append("| " + " | ".join(_cell(row.get(k)) for k in keys) + " |")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value).replace("|", "\\|")


def recorded() -> dict[str, dict[str, Any]]:
    """All recorded benchmarks by name."""
    return {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in sorted(RESULTS.glob("*.json"))}
