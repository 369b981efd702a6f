"""The page: one picture with sliders that answer at once, and several pictures to a table of counts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from apps.object_detection import answers
from apps.object_detection.answers import Detector
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
                _many_tab(models, detector, model)
        footer(models)
    return demo


def _controls(models: ModelStore, prefix: str) -> tuple[gr.Slider, gr.Slider, gr.CheckboxGroup]:
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
            score, iou, classes = _controls(models, "one")
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
        _check_thresholds(score, iou)
        image, found = detector.find(photo, name)
        wanted = None if name != model else _check_classes(classes, found.class_names)
        detections = found.select(score, iou, wanted)
        drawn = draw_boxes(image, detections)
        height, width = image.shape[:2]
        says = {"width": width, "height": height, "ms": found.network_ms, "count": len(detections)}
        key = "summary" if len(detections) else "nothing"
        text = T.say(key, request, classes=", ".join(found.class_names[:12]), **says)
        content = detections.to_json() | {"model": name}
        rows = count_rows(detections, language_of(request))
        stem = Path(photo).stem
        return (
            content,
            drawn,
            text,
            _table([T.say(k, request) for k in ("label", "name", "count", "mean_score")], rows),
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
        lambda name: _reset(models, name),
        model,
        [score, iou, classes],
        api_visibility="private",
        queue=False,
    ).then(**live, concurrency_limit=4)


def _many_tab(models: ModelStore, detector: Detector, model: gr.Radio) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(scale=2, min_width=300):
            files = gr.File(label=T("photos"), file_count="multiple", height=220, elem_id="files")
            button = gr.Button(T("find"), variant="primary")
            score, iou, classes = _controls(models, "many")
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
        _check_thresholds(score, iou)
        wanted = _check_classes(classes, detector.class_names(model))
        language = language_of(request)
        rows, results = answers.rows_of(detector, files, model, score, iou, wanted, language)
        total = sum(len(found) for _, found in results)
        known = detector.class_names(model)
        heads = [T.say("file", request), *known, T.say("total", request), T.say("remark", request)]
        return (
            {"pictures": rows, "model": model},
            T.say("summary_many", request, count=total, pictures=len(results)),
            _table(heads, [list(row.values()) for row in rows]),
            gr.DownloadButton(value=write_file("boxes.json", answers.coco_json(results)), visible=True),
            gr.DownloadButton(value=write_file("counts.csv", answers.counts_csv(rows)), visible=True),
        )

    outputs = [result, summary, table, coco, counts]
    inputs = [files, model, score, iou, classes]
    button.click(predict_many, inputs, outputs, api_name="predict_many", concurrency_limit=2)
    model.input(
        lambda name: _reset(models, name),
        model,
        [score, iou, classes],
        api_visibility="private",
        queue=False,
    )


def count_rows(found: Detections, language: str) -> list[list[Any]]:
    """Rows of the counts table: class, meaning, count and mean confidence."""
    rows = []
    for index, (name, count) in enumerate(found.counts().items()):
        if count or len(found.class_names) <= 12:
            scores = found.scores[found.class_ids == index]
            mean = round(float(scores.mean()), 2) if count else None
            rows.append([name, class_meaning(name, language), count, mean])
    return rows


def _downloads(
    results: list[tuple[str, Detections]], drawn: np.ndarray, stem: str
) -> tuple[gr.DownloadButton, ...]:
    return (
        gr.DownloadButton(value=write_file(f"{stem}.json", answers.coco_json(results)), visible=True),
        gr.DownloadButton(value=write_file(f"{stem}.csv", answers.boxes_csv(results)), visible=True),
        gr.DownloadButton(value=write_file(f"{stem}.png", encode_png(drawn)), visible=True),
    )


def _table(headers: list[str], rows: list[list[Any]]) -> gr.Dataframe:
    """Value of a table with headers in the visitor's language; Gradio translates labels, but no headers."""
    shown = [["" if cell is None else cell for cell in row] for row in rows]
    return gr.Dataframe(value={"headers": headers, "data": shown, "metadata": None}, visible=True)


def _reset(models: ModelStore, name: str) -> tuple[gr.Slider, gr.Slider, gr.CheckboxGroup]:
    """Another model: its own thresholds and classes."""
    settings = models.variants[name].settings
    names = list(settings["class_names"])
    return (
        gr.Slider(value=settings["score_threshold"]),
        gr.Slider(value=settings["iou_threshold"]),
        gr.CheckboxGroup(choices=names, value=names),
    )


def _model_name(model: str, preset: str | None) -> str:
    """A variant, or a Keras-Hub detector; a visitor may name published presets, not files of the server."""
    name = (preset or "").strip()
    if not name:
        return model
    if not re.fullmatch(r"[a-z0-9_]{3,80}", name) or Path(name).exists():
        raise refusal("preset_unknown", value=repr(name[:80]), known=", ".join(SUGGESTED))
    return PRESET_PREFIX + name


def _check_thresholds(score: float, iou: float) -> None:
    for key, value in (("score_range", score), ("iou_range", iou)):
        if not 0 <= value <= 1:
            raise refusal(key, value=value)


def _check_classes(classes: Sequence[str], known: Sequence[str]) -> list[str]:
    for name in classes:
        if name not in known:
            raise refusal("unknown_class", value=repr(name), known=", ".join(known))
    return list(classes)


def _examples(photo: gr.Image) -> None:
    rows = [[str(path)] for path in sorted(EXAMPLES.glob("*.jpg"))]
    if rows:
        gr.Examples(rows, [photo], label=T("examples"), cache_examples=False)
        gr.Markdown(T("credits"), elem_classes="g-subtitle")
