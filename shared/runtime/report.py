"""The training report: one HTML file with curves, tables, figures, worst mistakes and a diagnosis. No network."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

from shared.config import TrainConfig
from shared.runtime.environment import public_options
from shared.task import DataCheck, Evaluation, Task

STYLE = """
:root{color-scheme:light dark;--fg:#1c1f26;--bg:#fff;--soft:#f4f5f8;--line:#dfe2e8;--accent:#3b5bdb}
@media(prefers-color-scheme:dark){:root{--fg:#e7e9ee;--bg:#15171c;--soft:#1e2128;--line:#343944;--accent:#91a7ff}}
body{font:16px/1.55 system-ui,sans-serif;
color:var(--fg);background:var(--bg);max-width:1040px;margin:0 auto;padding:24px}
h1{font-size:1.7rem;margin:0 0 4px}h2{font-size:1.2rem;margin:36px 0 10px;border-bottom:1px solid var(--line)}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:8px 0}
th,td{padding:4px 12px;border-bottom:1px solid var(--line);text-align:left}td.n{text-align:right}
.scroll{overflow-x:auto}.note{background:var(--soft);padding:12px 16px;border-left:4px solid var(--accent)}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(170px,1fr));gap:12px}
figure{margin:0;background:var(--soft);padding:8px}figcaption{font-size:.85rem;overflow-wrap:anywhere}
img{max-width:100%;height:auto;background:#fff}code{background:var(--soft);padding:2px 5px;overflow-wrap:anywhere}
"""


def html_report(
    task: Task,
    config: TrainConfig,
    history: Sequence[Sequence[dict[str, float]]],
    check: DataCheck,
    evaluation: Evaluation | None,
    metrics: dict[str, Any],
) -> str:
    """The whole report as one self-contained page.

    Args:
        task: The app's task.
        config: The run's options.
        history: Logged epochs, one list a phase.
        check: What the look at the data found.
        evaluation: Scores on test, with tables and figures.
        metrics: Content of `metrics.json`.
    """
    title = f"{task.app.replace('_', ' ').capitalize()}: {config.variant}"
    parts = [f"<h1>{html.escape(title)}</h1><p><code>{html.escape(metrics['train']['command'])}</code></p>"]
    parts.append("<h2>Results</h2>" + _results(metrics))
    diagnosis = metrics["diagnosis"]
    advice = "".join(f"<li>{html.escape(line)}</li>" for line in diagnosis["advice"])
    parts.append(
        f"<h2>Diagnosis</h2><div class=note><strong>{html.escape(diagnosis['verdict'].capitalize())}.</strong> "
        f"{html.escape(diagnosis['reason'])}.<ul>{advice}</ul></div>"
    )
    rows = [row for phase in history for row in phase]
    if rows:
        parts.append("<h2>Curves</h2>" + _image(curves(history), "Training and validation curves by epoch"))
    if evaluation:
        for name, png in evaluation.figures.items():
            parts.append(f"<h2>{html.escape(name)}</h2>" + _image(png, name))
        for name, table in evaluation.tables.items():
            parts.append(f"<h2>{html.escape(name)}</h2>" + _table(table))
        if evaluation.mistakes:
            parts.append("<h2>Worst mistakes</h2><div class=grid>")
            for mistake in evaluation.mistakes:
                image = _image(mistake["image"], mistake["caption"]) if mistake.get("image") else ""
                parts.append(
                    f"<figure>{image}<figcaption>{html.escape(mistake['caption'])}</figcaption></figure>"
                )
            parts.append("</div>")
    parts.append("<h2>Data</h2>" + _table(check.counts))
    if check.problems:
        parts.append("<ul>" + "".join(f"<li>{html.escape(p)}</li>" for p in check.problems) + "</ul>")
    if check.contact_sheet:
        parts.append(_image(check.contact_sheet, "A sample of the training data"))
    options = [{"option": k, "value": v} for k, v in public_options(config).items()]
    parts.append("<h2>Options and machine</h2>" + _table(options))
    machine = metrics["train"]["machine"]
    parts.append(
        f"<p>{html.escape(str(machine['processor']))}, {machine['cores']} cores, Python {machine['python']}, "
        + ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
        + f". {metrics['train']['duration_s']:.0f} s of training.</p>"
    )
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{html.escape(title)}</title><style>{STYLE}</style><body><main>{''.join(parts)}</main></body></html>\n"
    )


def curves(history: Sequence[Sequence[dict[str, float]]]) -> bytes:
    """PNG of every logged value that has a validation counterpart, phases side by side along the epochs."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [row for phase in history for row in phase]
    names = sorted({k for row in rows for k in row if k != "epoch"})
    pairs = [n for n in names if not n.startswith("val_") and f"val_{n}" in names]
    alone = [n for n in names if n.startswith("val_") and n[4:] not in names]
    shown = (["loss"] if "loss" in pairs else []) + [n for n in pairs if n != "loss"] + alone
    shown = shown[:4] or ["loss"]
    figure, axes = pyplot.subplots(1, len(shown), figsize=(4.8 * len(shown), 3.4), squeeze=False)
    borders = [sum(len(p) for p in history[: i + 1]) for i in range(len(history) - 1)]
    for axis, name in zip(axes[0], shown, strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            points = [(i + 1, row[key]) for i, row in enumerate(rows) if key in row]
            if points:
                label = "validation" if key.startswith("val_") else label
                axis.plot(*zip(*points, strict=True), label=label, marker="." if len(points) < 40 else None)
        for border in borders:
            axis.axvline(border + 0.5, color="gray", linewidth=0.8, linestyle=":")
        axis.set(xlabel="epoch", title=name.removeprefix("val_"))
        axis.grid(alpha=0.3)
        axis.legend()
    figure.tight_layout()
    return figure_png(figure)


def figure_png(figure: Any) -> bytes:
    """A matplotlib figure as PNG bytes; closes it."""
    from matplotlib import pyplot

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=90)
    pyplot.close(figure)
    return buffer.getvalue()


def _results(metrics: dict[str, Any]) -> str:
    rows = [
        {
            "metric": name,
            "test": value,
            "validation": metrics["validation"].get(name, ""),
            "trivial baseline": metrics["baseline"].get(name, ""),
        }
        for name, value in metrics["test"].items()
    ]
    return _table(rows) if rows else "<p>Not measured on a test split.</p>"


def _table(rows: Sequence[dict[str, Any]]) -> str:
    if not rows:
        return "<p>None.</p>"
    keys = list(dict.fromkeys(k for row in rows for k in row))
    head = "".join(f"<th scope=col>{html.escape(str(k))}</th>" for k in keys)
    body = "".join("<tr>" + "".join(_cell(row.get(k, "")) for k in keys) + "</tr>" for row in rows)
    return f"<div class=scroll><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"<td class=n>{value:.4f}</td>"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"<td class=n>{value}</td>"
    return f"<td>{html.escape(str(value))}</td>"


def _image(png: bytes, description: str) -> str:
    data = base64.b64encode(png).decode()
    return f"<img alt='{html.escape(description, quote=True)}' src='data:image/png;base64,{data}'>"
