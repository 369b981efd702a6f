"""Facts of a published model in a few words: what it scored, how large it is, how fast it answers."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Iterable, Mapping
from typing import Any

from shared.demo.language import both
from shared.runtime.variants import Variant

# Metric -> (English, Spanish, a share shown in percent?). Others are shown under their own name.
_METRICS: Mapping[str, tuple[str, str, bool]] = {
    "accuracy": ("test accuracy", "exactitud en test", True),
    "top1_accuracy": ("test accuracy", "exactitud en test", True),
    "top5_accuracy": ("test accuracy, best of 5", "exactitud en test, mejor de 5", True),
    "balanced_accuracy": ("balanced test accuracy", "exactitud equilibrada en test", True),
    "macro_f1": ("macro F1 on test", "F1 macro en test", True),
    "f1": ("F1 on test", "F1 en test", True),
    "map": ("mAP on test", "mAP en test", True),
    "map_50": ("mAP@50 on test", "mAP@50 en test", True),
    "mean_iou": ("mean IoU on test", "IoU media en test", True),
    "dice": ("Dice on test", "Dice en test", True),
    "wer": ("word errors on test", "palabras erróneas en test", True),
    "cer": ("letter errors on test", "letras erróneas en test", True),
    "recall@10": ("recall@10 on test", "recall@10 en test", True),
    "hit_rate@10": ("hit rate@10 on test", "acierto@10 en test", True),
    "ndcg@10": ("NDCG@10 on test", "NDCG@10 en test", False),
    "rmse": ("RMSE on test", "RMSE en test", False),
    "mae": ("MAE on test", "MAE en test", False),
}
_ALIASES = {"mAP": "map", "mAP@50": "map_50", "map50": "map_50", "miou": "mean_iou", "iou": "mean_iou"}


@dataclasses.dataclass(frozen=True)
class Facts:
    """What is known of one variant.

    Attributes:
        name: Variant name.
        figure: The headline as shown, e.g. `91.2 %`; None when it was not measured.
        figure_name: What the figure is, by language.
        size: Size of the served graphs, e.g. `4.9 MB`.
        latency: Median time of one answer on the machine that measured it, e.g. `12 ms`, or None.
    """

    name: str
    figure: str | None
    figure_name: Mapping[str, str]
    size: str
    latency: str | None


def facts(variant: Variant) -> Facts:
    """Read a variant's `metrics.json` and files."""
    metrics = variant.metrics
    headline = metrics.get("headline") or {}
    figure, names = None, {"en": "not measured here", "es": "sin medir aquí"}
    if isinstance(headline.get("value"), int | float):
        figure, names = shown(str(headline.get("name", "score")), float(headline["value"]))
    elif reported := _authors_result(variant):
        figure = reported
        names = {"en": "accuracy, its authors' figure", "es": "exactitud, según sus autores"}
    milliseconds = metrics.get("latency_ms")
    if isinstance(milliseconds, Mapping):
        milliseconds = milliseconds.get("median")
    latency = duration(float(milliseconds)) if isinstance(milliseconds, int | float) else None
    return Facts(variant.name, figure, names, megabytes(variant.onnx_bytes()), latency)


def _authors_result(variant: Variant) -> str | None:
    """The accuracy a model's authors report, for one that cannot be measured here; marked as theirs."""
    reported = variant.settings.get("authors_result")
    value = reported.get("top1") if isinstance(reported, Mapping) else None
    return shown("accuracy", float(value))[0] if isinstance(value, int | float) else None


def shown(name: str, value: float) -> tuple[str, dict[str, str]]:
    """A metric as people read it: `accuracy`, 0.912 -> `91.2 %`, `test accuracy`."""
    english, spanish, share = _METRICS.get(
        _ALIASES.get(name, name), (f"{name} on test", f"{name} en test", False)
    )
    if share and 0 <= value <= 1.5:
        figure = f"{100 * value:.1f}\N{NO-BREAK SPACE}%"
    else:
        figure = f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
    return figure, {"en": english, "es": spanish}


def megabytes(size: int) -> str:
    """Bytes as `4.9 MB`."""
    return (
        f"{size / 1e6:.1f}\N{NO-BREAK SPACE}MB" if size < 99.5e6 else f"{size / 1e6:.0f}\N{NO-BREAK SPACE}MB"
    )


def duration(milliseconds: float) -> str:
    """Milliseconds as `8.3 ms`, `120 ms` or `1.4 s`."""
    if milliseconds < 10:
        return f"{milliseconds:.1f}\N{NO-BREAK SPACE}ms"
    if milliseconds < 1000:
        return f"{milliseconds:.0f}\N{NO-BREAK SPACE}ms"
    return f"{milliseconds / 1000:.1f}\N{NO-BREAK SPACE}s"


def variant_label(variant: Variant) -> str:
    """Name, figure and size of a variant in one line, the same in both languages."""
    known = facts(variant)
    return " · ".join(part for part in (known.name, known.figure, known.size) if part)


def facts_html(variants: Iterable[Variant], *, gallery: bool = True) -> str:
    """A table with a line a variant, in both languages, with links to card and report where they are served."""
    rows = []
    for variant in variants:
        known = facts(variant)
        quality = (
            f"{known.figure} {both(known.figure_name['en'], known.figure_name['es'])}"
            if known.figure
            else both("not measured here", "sin medir aquí")
        )
        links = [
            f'<a href="../models/{variant.app}/{variant.name}/{page}" target="_blank">{text}</a>'
            for page, file, text in (
                ("card", "MODEL_CARD.md", both("Model card", "Ficha del modelo")),
                ("report", "report.html", both("Training report", "Informe de entrenamiento")),
            )
            if (variant.folder / file).is_file()
        ]
        cells = [html.escape(known.name), quality, known.size, known.latency or "–"]
        row = "".join(f"<td>{cell}</td>" for cell in cells)
        rows.append(f'<tr>{row}<td class="g-home">{" · ".join(links)}</td></tr>')
    heads = (
        both("Model", "Modelo"),
        both("Quality", "Calidad"),
        both("Size", "Tamaño"),
        both("One answer", "Una respuesta"),
    )
    head = "".join(f'<th scope="col">{text}</th>' for text in heads)
    more = f'<th scope="col" class="g-home">{both("Read more", "Leer más")}</th>'
    return (
        f"<h2>{both('The models behind this page', 'Los modelos de esta página')}</h2>"
        f'<div class="g-scroll" tabindex="0"><table><thead><tr>{head}{more}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def one_line(metrics: Mapping[str, Any]) -> str:
    """The headline of a `metrics.json` as plain English, or an empty string."""
    headline = metrics.get("headline") or {}
    if not isinstance(headline.get("value"), int | float):
        return ""
    figure, names = shown(str(headline["name"]), float(headline["value"]))
    return f"{figure} {names['en']}"
