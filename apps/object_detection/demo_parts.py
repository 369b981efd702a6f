"""What both tabs of the page share: the three controls, their checks and tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

from apps.object_detection.demo_texts import T, refusal
from shared.runtime.predictor import ModelStore


def controls(models: ModelStore, prefix: str) -> tuple[gr.Slider, gr.Slider, gr.CheckboxGroup]:
    """Confidence, overlap and class filter, starting where the default variant was calibrated."""
    settings = models.variants[models.default].settings
    with gr.Row():
        score = gr.Slider(
            0.02,
            0.98,
            settings["score_threshold"],
            step=0.01,
            label=T("score"),
            info=T("score_info"),
            elem_id=f"{prefix}-score",
            min_width=220,
        )
        iou = gr.Slider(
            0.05,
            0.95,
            settings["iou_threshold"],
            step=0.05,
            label=T("iou"),
            info=T("iou_info"),
            elem_id=f"{prefix}-iou",
            min_width=220,
        )
    names = list(settings["class_names"])
    classes = gr.CheckboxGroup(names, value=names, label=T("classes"), elem_id=f"{prefix}-classes")
    return score, iou, classes


def reset_controls(models: ModelStore, name: str) -> tuple[gr.Slider, gr.Slider, gr.CheckboxGroup]:
    """Another model: its own thresholds and classes."""
    settings = models.variants[name].settings
    names = list(settings["class_names"])
    return (
        gr.Slider(value=settings["score_threshold"]),
        gr.Slider(value=settings["iou_threshold"]),
        gr.CheckboxGroup(choices=names, value=names),
    )


def table_of(headers: list[str], rows: list[list[Any]]) -> gr.Dataframe:
    """Value of a table with headers in the visitor's language; Gradio translates labels, but no headers."""
    shown = [["" if cell is None else cell for cell in row] for row in rows]
    return gr.Dataframe(value={"headers": headers, "data": shown, "metadata": None}, visible=True)


def check_thresholds(score: float, iou: float) -> None:
    for key, value in (("score_range", score), ("iou_range", iou)):
        if not 0 <= value <= 1:
            raise refusal(key, value=value)


def check_classes(classes: Sequence[str], known: Sequence[str]) -> list[str]:
    for name in classes:
        if name not in known:
            raise refusal("unknown_class", value=repr(name), known=", ".join(known))
    return list(classes)
