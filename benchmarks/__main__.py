"""`python -m benchmarks [NAME ...]`: run benchmarks, then write RESULTS.md and the tables of README.md.

`--tables` only rewrites the tables from what is recorded in `benchmarks/results/`. Benchmarks that need a data
set read it below the folder given with `--data`.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.common import recorded, table
from shared.runtime.files import write_text
from shared.runtime.variants import list_variants

HERE = Path(__file__).parent
README = HERE.parent / "README.md"
NOT_BENCHMARKS = {"__init__", "__main__", "common"}


def names() -> list[str]:
    """Benchmark modules of this folder."""
    return sorted(
        p.stem for p in HERE.glob("*.py") if p.stem not in NOT_BENCHMARKS and "main(" in p.read_text()
    )


def section(name: str, result: dict[str, Any]) -> str:
    """One benchmark as Markdown: table, command, machine, versions, seed and date."""
    machine = result["machine"]
    seed = "" if result["seed"] is None else f", seed {result['seed']}"
    versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
    lines = [f"## {result['title']}", "", table(result["rows"]), ""]
    if result["notes"]:
        lines += [result["notes"], ""]
    lines += [
        f"`{result['command']}` on {result['date']}{seed}; {machine['processor']}, {machine['cores']} cores, "
        f"load average {result['load_average_at_end']} at the end; {versions}.",
        "",
    ]
    return "\n".join(lines)


def embed(text: str, results: dict[str, dict[str, Any]]) -> str:
    """Replace what stands between `<!-- benchmark: NAME -->` and `<!-- end -->` by the recorded table.

    Raises:
        ValueError: The text names a benchmark that was never recorded, or a marker is not closed.
    """
    parts = text.split("<!-- benchmark: ")
    done = [parts[0]]
    for part in parts[1:]:
        name, _, rest = part.partition(" -->")
        _, closed, after = rest.partition("<!-- end -->")
        if name not in results or not closed:
            raise ValueError(f"README names benchmark {name!r}: recorded are {sorted(results)}")
        result = results[name]
        body = f"\n{table(result['rows'])}\n\n`{result['command']}`, {result['date']}\n"
        done.append(f"<!-- benchmark: {name} -->{body}<!-- end -->{after}")
    return "".join(done)


def apps_table() -> str:
    """Every published variant with its test figure, from `metrics.json`."""
    rows = []
    for folder in sorted(p.parent for p in (HERE.parent / "apps").glob("*/task.py")):
        config = importlib.import_module(f"apps.{folder.name}.config")
        for variant in list_variants(folder.name, config.VARIANTS):
            metrics = variant.metrics
            headline = metrics["headline"]
            place = f"models/{variant.app}/{variant.name}"
            rows.append(
                {
                    "app": f"[{variant.app.replace('_', ' ')}](apps/{variant.app}/README.md)",
                    "variant": f"[{variant.name}]({place}/MODEL_CARD.md)",
                    "test figure": f"{headline['name'].replace('_', ' ')} {headline['value']:.3f}"
                    if headline["value"] is not None
                    else "see its card",
                    "trivial rule": _short(metrics["baseline"].get(headline["name"])),
                    "test examples": metrics["examples"]["test"] or "",
                    "graphs, MB": f"{variant.onnx_bytes() / 1e6:.1f}",
                }
            )
    return table(rows)


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def embed_apps(text: str) -> str:
    """Replace what stands between `<!-- apps -->` and `<!-- end apps -->` by the table of variants."""
    head, opened, rest = text.partition("<!-- apps -->")
    _, closed, tail = rest.partition("<!-- end apps -->")
    if not opened or not closed:
        raise ValueError("README must hold the markers <!-- apps --> and <!-- end apps -->")
    return f"{head}{opened}\n{apps_table()}\n{closed}{tail}"


def write_tables() -> None:
    """Write benchmarks/RESULTS.md and README.md's tables from the recorded results and metrics."""
    results = recorded()
    body = "\n".join(section(name, result) for name, result in results.items())
    write_text(HERE / "RESULTS.md", "# Benchmarks\n\nWritten by `python -m benchmarks --tables`.\n\n" + body)
    write_text(README, embed_apps(embed(README.read_text(encoding="utf-8"), results)))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(names())}; all when none is given")
    parser.add_argument("--tables", action="store_true", help="only write the tables")
    parser.add_argument("--data", default="", help="folder with the data sets, passed on to each benchmark")
    options = parser.parse_args()
    failed = []
    for name in [] if options.tables else options.names or names():
        words = [sys.executable, "-m", f"benchmarks.{name}"]
        words += ["--data", options.data] if options.data else []
        if subprocess.run(words, cwd=HERE.parent).returncode:
            failed.append(name)
    write_tables()
    if failed:
        raise SystemExit(f"these benchmarks failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
