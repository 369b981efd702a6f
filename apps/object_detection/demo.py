"""The page: one picture with sliders that answer at once, and several pictures to a table of counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from apps.object_detection import answers
from apps.object_detection.answers import Detector
from apps.object_detection.demo_many import many_tab
from apps.object_detection.demo_parts import (
    check_classes,
    check_thresholds,
    controls,
    reset_controls,
    table_of,
)
from apps.object_detection.demo_texts import T, class_meaning, refusal
from apps.object_detection.drawing import draw_boxes
from apps.object_detection.presets import PRESET_PREFIX, SUGGESTED
from shared.data.images import encode_png
from shared.demo.downloads import write_file
from shared.demo.errors import friendly
from shared.demo.i18n import language_of
from shared.demo.page import footer, header, model_choice
from shared.demo.photo import photo_input
from shared.results import Detections
from shared.runtime.predictor import ModelStore

EXAMPLES = Path(__file__).parent / "examples"


def build_demo(models: ModelStore) -> gr.Blocks:
    """The whole page for the published variants."""
    detector = Detector(models)
    with gr.Blocks(title="Object detection", analytics_enabled=False) as demo:
        header(T("title"), T("subtitle"))
        model = model_choice(models)
        with gr.Tabs():
            with gr.Tab(T("one")):
                _one_tab(models, detector, model)
            with gr.Tab(T("many")):
                many_tab(models, detector, model)
        footer(models)
    return demo


def _one_tab(models: ModelStore, detector: Detector, model: gr.Radio) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            photo = photo_input(label=T("photo"), height=320, elem_id="photo")
            button = gr.Button(T("find"), variant="primary")
            _examples(photo)
            with gr.Accordion(T("preset"), open=False):
                preset = gr.Textbox(
                    label=T("preset_name"), info=T("preset_info"), max_lines=1, elem_id="preset"
                )
        with gr.Column(scale=3, min_width=300):
            # Without the label, which Gradio lays over the top left corner, where boxes have names too.
            picture = gr.Image(
                label=T("answer"),
                show_label=False,
                interactive=False,
                format="png",
                elem_id="picture",
                buttons=["fullscreen"],
            )
            summary = gr.Markdown(elem_id="summary")
            # Beside the result, so that a phone shows both at once.
            score, iou, classes = controls(models, "one")
            table = gr.Dataframe(
                label=T("counts"),
                interactive=False,
                wrap=True,
                visible=False,
                column_widths=["26%", "36%", "15%", "23%"],
                elem_id="counts",
            )
            with gr.Row():
                coco = gr.DownloadButton(T("download_coco"), visible=False, elem_id="coco", min_width=110)
                table_file = gr.DownloadButton(T("download_csv"), visible=False, elem_id="csv", min_width=110)
                png = gr.DownloadButton(T("download_png"), visible=False, elem_id="png", min_width=110)
            with gr.Accordion(T("json"), open=False):
                result = gr.JSON(show_label=False)

    def answer(
        photo: str,
        model: str,
        score: float,
        iou: float,
        classes: Sequence[str],
        preset: str,
        request: gr.Request,
    ) -> tuple[Any, ...]:
        name = _model_name(model, preset)
        check_thresholds(score, iou)
        image, found = detector.find(photo, name)
        wanted = None if name != model else check_classes(classes, found.class_names)
        detections = found.select(score, iou, wanted)
        stem = Path(photo).stem
        # A file of its own: Gradio would write the picture anew under one name while others download it.
        drawn = write_file(f"{stem}.png", encode_png(draw_boxes(image, detections)))
        height, width = image.shape[:2]
        says = {"width": width, "height": height, "ms": found.network_ms, "count": len(detections)}
        key = "summary" if len(detections) else "nothing"
        text = T.say(key, request, classes=", ".join(found.class_names[:12]), **says)
        content = detections.to_json() | {"model": name}
        rows = count_rows(detections, language_of(request))
        return (
            content,
            drawn,
            text,
            table_of([T.say(k, request) for k in ("label", "name", "count", "mean_score")], rows),
            *_downloads([(Path(photo).name, detections)], drawn, stem),
        )

    @friendly
    def predict(
        photo: str | None,
        model: str,
        score: float,
        iou: float,
        classes: list[str],
        preset: str,
        request: gr.Request,
    ) -> tuple[Any, ...]:
        """Find, name and count the objects of one picture.

        Args:
            photo: The picture file.
            model: Name of the variant.
            score: Lowest confidence shown, 0 to 1.
            iou: Overlap above which two boxes of a class count as one object, 0 to 1.
            classes: Names of the classes wanted.
            preset: Name of a Keras-Hub detector to use instead, or empty.
        """
        if not photo:
            raise refusal("none")
        return answer(photo, model, score, iou, classes, preset, request)

    @friendly
    def adjust(
        photo: str | None,
        model: str,
        score: float,
        iou: float,
        classes: list[str],
        preset: str,
        request: gr.Request,
    ) -> tuple[Any, ...]:
        if not photo:
            return (gr.skip(),) * len(outputs)
        return answer(photo, model, score, iou, classes, preset, request)

    outputs = [result, picture, summary, table, coco, table_file, png]
    inputs = [photo, model, score, iou, classes, preset]
    gr.on(
        [button.click, preset.submit],
        predict,
        inputs,
        outputs,
        api_name="predict",
        concurrency_limit=4,
    )
    live = {"fn": adjust, "inputs": inputs, "outputs": outputs, "api_visibility": "private"}
    # An upload, an example and a picture of the camera are answered at once, too.
    photo.change(**live, concurrency_limit=4)
    # Only the last position of a dragged slider is answered, without the veil of a running job.
    for control in (score, iou, classes):
        control.input(**live, trigger_mode="always_last", show_progress="hidden", concurrency_limit=4)
    model.input(
        lambda name: reset_controls(models, name),
        model,
        [score, iou, classes],
        api_visibility="private",
        queue=False,
    ).then(**live, concurrency_limit=4)


def count_rows(found: Detections, language: str) -> list[list[Any]]:
    """Rows of the counts table: class, meaning, count and mean confidence."""
    rows = []
    for index, (name, count) in enumerate(found.counts().items()):
        if count or len(found.class_names) <= 12:
            scores = found.scores[found.class_ids == index]
            mean = round(float(scores.mean()), 2) if count else None
            rows.append([name, class_meaning(name, language), count, mean])
    return rows


def _downloads(results: list[tuple[str, Detections]], drawn: str, stem: str) -> tuple[gr.DownloadButton, ...]:
    return (
        gr.DownloadButton(value=write_file(f"{stem}.json", answers.coco_json(results)), visible=True),
        gr.DownloadButton(value=write_file(f"{stem}.csv", answers.boxes_csv(results)), visible=True),
        gr.DownloadButton(value=drawn, visible=True),
    )


def _model_name(model: str, preset: str | None) -> str:
    """A variant, or a Keras-Hub detector; a visitor may name published presets, not files of the server."""
    name = (preset or "").strip()
    if not name:
        return model
    if not re.fullmatch(r"[a-z0-9_]{3,80}", name) or Path(name).exists():
        raise refusal("preset_unknown", value=repr(name[:80]), known=", ".join(SUGGESTED))
    return PRESET_PREFIX + name


def _examples(photo: gr.Image) -> None:
    rows = [[str(path)] for path in sorted(EXAMPLES.glob("*.jpg"))]
    if rows:
        gr.Examples(rows, [photo], label=T("examples"), cache_examples=False)
        gr.Markdown(T("credits"), elem_classes="g-subtitle")
