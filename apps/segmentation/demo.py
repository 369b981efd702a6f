"""The page: one picture under the colours of its classes, with a legend, a filter and clickable regions."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from apps.segmentation import answers
from apps.segmentation.answers import Answer, Segmenter
from apps.segmentation.demo_texts import T, class_choices, class_label, refusal
from shared.data.images import encode_png
from shared.demo.downloads import write_file
from shared.demo.errors import friendly
from shared.demo.i18n import language_of
from shared.demo.page import footer, header, model_choice
from shared.demo.photo import photo_input
from shared.runtime.predictor import ModelStore

EXAMPLES = Path(__file__).parent / "examples"
VIEWS = ("classes", "confidence")
UNSURE_BELOW = 0.75
"""Mean confidence under which the page warns; CamVid's test frames lie well above it."""
CSS = """
<style>
.seg-legend { width: 100%; border-collapse: collapse; font-size: 15px; }
.seg-legend th { text-align: left; font-weight: 600; color: var(--g-muted); padding: 4px 8px 4px 0; font-size: 13px; }
.seg-legend td { padding: 5px 8px 5px 0; border-top: 1px solid var(--g-line); vertical-align: middle; }
.seg-legend .num { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; padding-right: 0; }
.seg-legend .area { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.seg-legend .area i { display: inline-block; width: 150px; margin-right: 12px; vertical-align: 1px; }
.seg-legend .area b { display: block; height: 8px; border-radius: 4px; min-width: 2px; }
.seg-swatch { display: inline-block; width: 14px; height: 14px; border-radius: 4px; margin-right: 8px;
  border: 1px solid var(--g-line-strong); vertical-align: -2px; }
.seg-off td { opacity: 0.55; }
@media (max-width: 640px) { .seg-legend .area i { display: none; } }
.seg-scale { display: inline-block; width: 120px; height: 10px; border-radius: 5px; margin: 0 6px; vertical-align: -1px;
  background: linear-gradient(90deg, #440154, #3b518b, #21908d, #5cc863, #fde725); }
</style>
"""


def build_demo(models: ModelStore) -> gr.Blocks:
    """The whole page for the published variants."""
    segmenter = Segmenter(models)
    with gr.Blocks(title="Segmentation", analytics_enabled=False) as demo:
        header(T("title"), T("subtitle"))
        model = model_choice(models)
        names = list(models.variants[models.default].settings["class_names"])
        with gr.Row(equal_height=False):
            with gr.Column(scale=2, min_width=300):
                gr.Markdown("**" + T("photo") + "**")
                photo = photo_input(label=T("photo"), show_label=False, height=300, elem_id="photo")
                button = gr.Button(T("find"), variant="primary")
                _examples(photo)
            with gr.Column(scale=3, min_width=300):
                gr.Markdown("**" + T("answer") + "**")
                picture = gr.Image(
                    label=T("answer"),
                    show_label=False,
                    interactive=False,
                    format="png",
                    elem_id="picture",
                    buttons=["fullscreen"],
                )
                region = gr.Markdown(elem_id="region")
                with gr.Row():
                    opacity = gr.Slider(
                        0,
                        1,
                        0.55,
                        step=0.05,
                        label=T("opacity"),
                        info=T("opacity_info"),
                        elem_id="opacity",
                        scale=2,
                    )
                    choices = [(T("view_classes"), "classes"), (T("view_confidence"), "confidence")]
                    view = gr.Radio(choices, value="classes", label=T("view"), elem_id="view", scale=1)
                summary = gr.Markdown(elem_id="summary")
                legend = gr.HTML(elem_id="legend", apply_default_css=False)
                classes = gr.CheckboxGroup(
                    class_choices(names), value=names, label=T("classes"), elem_id="classes"
                )
                with gr.Row():
                    mask = gr.DownloadButton(T("download_mask"), visible=False, elem_id="mask", min_width=120)
                    rle = gr.DownloadButton(T("download_rle"), visible=False, elem_id="rle", min_width=120)
                    shown = gr.DownloadButton(
                        T("download_picture"), visible=False, elem_id="shown", min_width=120
                    )
                with gr.Accordion(T("json"), open=False):
                    result = gr.JSON(show_label=False)
        footer(models)
        outputs = [result, picture, summary, legend, mask, rle, shown, region]
        inputs = [photo, model, opacity, view, classes]
        _wire(segmenter, models, button, photo, picture, region, inputs, outputs)
    return demo


def _wire(
    segmenter: Segmenter,
    models: ModelStore,
    button: gr.Button,
    photo: gr.Image,
    picture: gr.Image,
    region: gr.Markdown,
    inputs: list[Any],
    outputs: list[Any],
) -> None:
    @friendly
    def predict(
        photo: str | None,
        model: str,
        opacity: float | None,
        view: str | None,
        classes: list[str] | None,
        request: gr.Request,
    ) -> tuple[Any, ...]:
        """Give every pixel of a picture a class.

        Args:
            photo: The picture file.
            model: Name of the variant.
            opacity: Share of the colours in the painted picture, 0 to 1; 0.55 when null.
            view: `classes` or `confidence`; `classes` when null.
            classes: Only these classes are coloured and downloaded; all when null.
        """
        if not photo:
            raise refusal("none")
        return respond(segmenter.segment(photo, model), photo, model, opacity, view, classes, request)

    @friendly
    def adjust(
        photo: str | None,
        model: str,
        opacity: float,
        view: str,
        classes: list[str],
        request: gr.Request,
    ) -> tuple[Any, ...]:
        if not photo:
            return (gr.skip(),) * len(outputs)
        return respond(segmenter.segment(photo, model), photo, model, opacity, view, classes, request)

    @friendly
    def point(
        photo: str | None,
        model: str,
        opacity: float,
        view: str,
        classes: list[str],
        event: gr.SelectData,
        request: gr.Request,
    ) -> tuple[Any, Any]:
        if not photo:
            return gr.skip(), gr.skip()
        answer = segmenter.segment(photo, model)
        found = answers.region_at(answer, int(event.index[0]), int(event.index[1]))
        label = class_label(found.label, language_of(request))
        total = answer.result.areas().get(found.label, found.share)
        text = T.say(
            "region", request, label=label, confidence=found.confidence, share=found.share, total=total
        )
        outlined = answers.outline(painted(answer, opacity, view, classes), found.inside)
        return write_file("region.png", encode_png(outlined)), text

    gr.on([button.click, photo.upload], predict, inputs, outputs, api_name="predict", concurrency_limit=4)
    live = {"fn": adjust, "inputs": inputs, "outputs": outputs, "api_visibility": "private"}
    model, controls = inputs[1], inputs[2:]
    # Only the last position of a dragged slider is answered, without the veil of a running job.
    for control in controls:
        control.input(**live, trigger_mode="always_last", show_progress="hidden", concurrency_limit=4)
    picture.select(
        point,
        inputs,
        [picture, region],
        api_visibility="private",
        show_progress="hidden",
        concurrency_limit=4,
    )
    model.input(
        lambda name: _all_classes(models, name), model, inputs[4], api_visibility="private", queue=False
    ).then(**live, concurrency_limit=4)


def respond(
    answer: Answer,
    photo: str,
    model: str,
    opacity: float | None,
    view: str | None,
    classes: Sequence[str] | None,
    request: gr.Request | None,
) -> tuple[Any, ...]:
    """Everything the page shows of an answer, in the order of its outputs."""
    image = painted(answer, opacity, view, classes)
    height, width = answer.result.mask.shape
    confidence = float(answer.result.confidence.mean())
    text = T.say(
        "summary",
        request,
        classes=len(answer.result.areas()),
        width=width,
        height=height,
        confidence=confidence,
        ms=answer.network_ms,
    )
    language = language_of(request)
    if confidence < UNSURE_BELOW:
        known = ", ".join(class_label(name, language) for name in answer.class_names[:12])
        text += "\n\n" + T.say("unsure", request, known=known)
    stem = Path(photo).stem
    files = (
        write_file(f"{stem}_mask.png", answers.mask_png(answer, classes)),
        write_file(f"{stem}_mask.json", answers.rle_json(answer, classes, model, Path(photo).name)),
        write_file(f"{stem}_{view or 'classes'}.png", encode_png(image)),
    )
    return (
        answer.result.to_json() | {"model": model},
        # A file of its own: Gradio would write the picture anew under one name while others download it.
        files[2],
        text,
        legend_html(answer, classes, view, request),
        *(gr.DownloadButton(value=path, visible=True) for path in files),
        "",
    )


def painted(
    answer: Answer, opacity: float | None, view: str | None, classes: Sequence[str] | None
) -> np.ndarray:
    """The picture of a view, after its options were checked."""
    opacity = 0.55 if opacity is None else opacity
    if not 0 <= opacity <= 1:
        raise refusal("opacity_range", value=opacity)
    if view not in (None, *VIEWS):
        raise refusal("unknown_view", value=repr(view))
    for name in classes or ():
        if name not in answer.class_names:
            raise refusal("unknown_class", value=repr(name), known=", ".join(answer.class_names))
    if view == "confidence":
        return answers.paint_confidence(answer, opacity)
    return answers.paint_classes(answer, opacity, classes)


def legend_html(
    answer: Answer, classes: Sequence[str] | None, view: str | None, request: gr.Request | None
) -> str:
    """Table of the classes in the picture: colour, name, area with a bar, mean confidence."""
    language = language_of(request)
    rows = answers.legend_rows(answer)
    largest = max((row["share"] for row in rows), default=1.0)
    lines = []
    for row in rows:
        off = classes is not None and row["label"] not in classes
        name = html.escape(class_label(row["label"], language))
        note = f" ({T.say('filtered_out', request)})" if off else ""
        bar = f'<i><b style="width:{100 * row["share"] / largest:.1f}%;background:{row["colour"]}"></b></i>'
        lines.append(
            f'<tr class="{"seg-off" if off else ""}"><td><span class="seg-swatch" style="background:'
            f'{row["colour"]}"></span>{name}{note}</td><td class="area">{bar}{100 * row["share"]:.1f} %</td>'
            f'<td class="num">{100 * row["confidence"]:.0f} %</td></tr>'
        )
    head = "".join(
        f"<th{extra}>{html.escape(T.say(key, request))}</th>"
        for key, extra in (
            ("col_class", ""),
            ("col_area", ' class="area"'),
            ("col_confidence", ' class="num"'),
        )
    )
    scale = ""
    if view == "confidence":
        scale = "<p>" + T.say("scale", request, bar='<span class="seg-scale"></span>') + "</p>"
    body = "".join(lines)
    return (
        f'{CSS}{scale}<table class="seg-legend"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    )


def _all_classes(models: ModelStore, name: str) -> gr.CheckboxGroup:
    names = list(models.variants[name].settings["class_names"])
    return gr.CheckboxGroup(choices=class_choices(names), value=names)


def _examples(photo: gr.Image) -> None:
    rows = [[str(path)] for path in sorted(EXAMPLES.glob("*.jpg"))]
    if rows:
        gr.Examples(rows, [photo], label=T("examples"), cache_examples=False)
        gr.Markdown(T("credits"), elem_classes="g-subtitle")
