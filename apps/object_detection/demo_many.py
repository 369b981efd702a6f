"""The second tab: several pictures to a table of counts."""

from __future__ import annotations

from typing import Any

import gradio as gr

from apps.object_detection import answers
from apps.object_detection.answers import Detector
from apps.object_detection.demo_parts import (
    check_classes,
    check_thresholds,
    controls,
    reset_controls,
    table_of,
)
from apps.object_detection.demo_texts import T, refusal
from shared.demo.downloads import write_file
from shared.demo.errors import friendly
from shared.demo.i18n import language_of
from shared.runtime.predictor import ModelStore


def many_tab(models: ModelStore, detector: Detector, model: gr.Radio) -> None:
    """Build the tab; `detector` is shared with the first, so a picture seen there is known here."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            files = gr.File(label=T("photos"), file_count="multiple", height=220, elem_id="files")
            button = gr.Button(T("find"), variant="primary")
            score, iou, classes = controls(models, "many")
        with gr.Column(scale=3, min_width=300):
            summary = gr.Markdown(elem_id="many-summary")
            table = gr.Dataframe(
                label=T("table"), interactive=False, wrap=True, visible=False, elem_id="table"
            )
            with gr.Row():
                coco = gr.DownloadButton(T("download_coco"), visible=False, min_width=110)
                counts = gr.DownloadButton(T("download_csv"), visible=False, min_width=110)
            with gr.Accordion(T("json"), open=False):
                result = gr.JSON(show_label=False)

    @friendly
    def predict_many(
        files: list[str] | None,
        model: str,
        score: float,
        iou: float,
        classes: list[str],
        request: gr.Request,
    ) -> tuple[Any, ...]:
        """Count objects in several pictures; the table says which could not be read, and why.

        Args:
            files: The picture files.
            model: Name of the variant.
            score: Lowest confidence counted, 0 to 1.
            iou: Overlap above which two boxes of a class count as one object, 0 to 1.
            classes: Names of the classes wanted.
        """
        if not files:
            raise refusal("none_many")
        if len(files) > answers.MAX_PHOTOS:
            raise refusal("too_many", limit=answers.MAX_PHOTOS, count=len(files))
        check_thresholds(score, iou)
        wanted = check_classes(classes, detector.class_names(model))
        language = language_of(request)
        rows, results = answers.rows_of(detector, files, model, score, iou, wanted, language)
        total = sum(len(found) for _, found in results)
        known = detector.class_names(model)
        heads = [T.say("file", request), *known, T.say("total", request), T.say("remark", request)]
        return (
            {"pictures": rows, "model": model},
            T.say("summary_many", request, count=total, pictures=len(results)),
            table_of(heads, [list(row.values()) for row in rows]),
            gr.DownloadButton(value=write_file("boxes.json", answers.coco_json(results)), visible=True),
            gr.DownloadButton(value=write_file("counts.csv", answers.counts_csv(rows)), visible=True),
        )

    outputs = [result, summary, table, coco, counts]
    inputs = [files, model, score, iou, classes]
    button.click(predict_many, inputs, outputs, api_name="predict_many", concurrency_limit=2)
    model.input(
        lambda name: reset_controls(models, name),
        model,
        [score, iou, classes],
        api_visibility="private",
        queue=False,
    )
