"""The page: one photo with its explanation, several photos to a table, and a model of your own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import gradio as gr

from apps.image_classification import answers
from apps.image_classification.demo_teach import teach_tab
from apps.image_classification.demo_texts import T, class_name, refusal
from shared.data.images import encode_jpeg
from shared.demo.downloads import write_file
from shared.demo.errors import friendly
from shared.demo.i18n import language_of
from shared.demo.page import footer, header, model_choice
from shared.demo.photo import photo_input
from shared.runtime.predictor import ModelStore

EXAMPLES = Path(__file__).parent / "examples"
EXAMPLE_VARIANTS = {"china.jpg": "imagenet", "flower.jpg": "imagenet"}


def build_demo(models: ModelStore) -> gr.Blocks:
    """The whole page for the published variants."""
    with gr.Blocks(title="Image classification", analytics_enabled=False) as demo:
        header(T("title"), T("subtitle"))
        model = model_choice(models)
        with gr.Tabs():
            with gr.Tab(T("one")):
                _one_tab(models, model)
            with gr.Tab(T("many")):
                _many_tab(models, model)
            teach_tab(models)
        footer(models)
    return demo


def _one_tab(models: ModelStore, model: gr.Radio) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=300):
            photo = photo_input(label=T("photo"), height=340, elem_id="photo")
            with gr.Accordion(T("options"), open=False):
                top_k = gr.Slider(1, 10, 5, step=1, label=T("top_k"))
                threshold = gr.Slider(0, 1, 0.0, step=0.01, label=T("threshold"))
            button = gr.Button(T("classify"), variant="primary")
            examples, samples = _examples(models)
        with gr.Column(scale=1, min_width=300):
            label = gr.Label(label=T("answer"), num_top_classes=10, elem_id="answer")
            remark = gr.Markdown(elem_id="remark")
            choice = gr.Radio(label=T("where"), info=T("where_info"), visible=False, elem_id="class")
            heat = gr.Image(
                label=T("where"),
                show_label=False,
                interactive=False,
                visible=False,
                height=340,
                buttons=["download", "fullscreen"],
                elem_id="heat",
            )
            with gr.Accordion(T("json"), open=False):
                result = gr.JSON(show_label=False)
                download = gr.DownloadButton(T("download_json"), visible=False)

    @friendly
    def predict(
        photo: str | None, model: str, top_k: float, threshold: float, request: gr.Request
    ) -> tuple[Any, ...]:
        """Classify one photo.

        Args:
            photo: The picture file.
            model: Name of the variant.
            top_k: At most so many classes.
            threshold: Leave out classes below this probability.
        """
        if not photo:
            raise refusal("none")
        loaded = answers.predictor(models, model)
        answered = answers.answer(loaded, photo, top_k=int(top_k), threshold=threshold)
        found, language = answered.result, language_of(request)
        names = [class_name(name, language) for name in found.labels]
        content = found.to_json() | {"model": model}
        indices = [int(i) for i in found.extras["indices"]]
        shown = dict(zip(names, map(float, found.probabilities), strict=True))
        return (
            content,
            shown,
            _remarks(answered, loaded, model, threshold, request),
            gr.Radio(
                choices=list(zip(names, found.labels, strict=True)), value=found.labels[0], visible=True
            ),
            gr.Image(_heat_file(loaded, answered, indices[0]), visible=True),
            gr.DownloadButton(
                value=write_file("classes.json", json.dumps(content, ensure_ascii=False, indent=2)),
                visible=True,
            ),
        )

    @friendly
    def explain(photo: str | None, model: str, class_label: str, request: gr.Request) -> str:
        """Show where in the photo the model saw a class.

        Args:
            photo: The picture file.
            model: Name of the variant.
            class_label: One of the model's class names, in English.
        """
        if not photo:
            raise refusal("none")
        loaded = answers.predictor(models, model)
        names = loaded.processor.settings["class_names"]
        if class_label not in names:
            raise refusal("unknown_class", label=class_label)
        answered = answers.answer(loaded, photo)
        return _heat_file(loaded, answered, names.index(class_label))

    outputs = [result, label, remark, choice, heat, download]
    inputs = [photo, model, top_k, threshold]
    private = {"api_visibility": "private", "concurrency_limit": 16}
    gr.on([button.click, photo.input], predict, inputs, outputs, api_name="predict", concurrency_limit=16)
    # Another model answers at once, too, if there is a photo.
    model.input(predict_if_any(predict), inputs, outputs, **private)
    # A client may ask for any class; the radio would take only those that were shown in its session.
    wanted = gr.Textbox(label="Class label", visible=False)
    wanted.submit(explain, [photo, model, wanted], heat, api_name="explain", concurrency_limit=16)
    choice.input(explain, [photo, model, choice], heat, **private)
    if examples is not None:
        chosen = examples.click(
            lambda index: samples[index], examples, [photo, model], api_visibility="private", queue=False
        )
        chosen.then(predict, inputs, outputs, **private)


def _heat_file(loaded: Any, answered: answers.Answer, index: int) -> str:
    """The explanation as a file of its own.

    Gradio would name it by its content, and rewrite it for each visitor who sends the same photo while
    another still downloads it.
    """
    return write_file("where.jpg", encode_jpeg(answers.explanation(loaded, answered, index)))


def predict_if_any(predict: Any) -> Any:
    """The same handler for events where there may be no photo yet: then nothing changes."""

    def handler(
        photo: str | None, model: str, top_k: float, threshold: float, request: gr.Request
    ) -> tuple[Any, ...]:
        return predict(photo, model, top_k, threshold, request) if photo else (gr.skip(),) * 6

    return handler


def _remarks(answered: answers.Answer, loaded: Any, model: str, threshold: float, request: gr.Request) -> str:
    """Markdown: whether it is unsure, what it confuses this with, and how long it took."""
    settings, language = loaded.processor.settings, language_of(request)
    found = answered.result
    name = class_name(found.top, language)
    probability, index = float(found.probabilities[0]), int(found.extras["indices"][0])
    lines = []
    if probability < threshold:
        lines.append(T.say("unsure", request, threshold=threshold, label=name, probability=probability))
    if settings.get("confusion"):
        right, total, others = answers.taken_for(settings, index)
        if total:
            lines.append(T.say("right", request, label=name, right=right, total=total))
            listed = ", ".join(
                T.say("other", request, label=class_name(other, language), times=times)
                for other, times in others
            )
            lines[-1] += " " + T.say("confused", request, others=listed) if listed else ""
        else:
            lines.append(T.say("never", request, label=name))
    elif settings.get("neighbours"):
        near = ", ".join(
            class_name(settings["class_names"][i], language) for i in settings["neighbours"][index]
        )
        lines.append(T.say("similar", request, label=name, others=near))
    lines.append(
        T.say(
            "time",
            request,
            read=answered.read_ms,
            network=answered.network_ms,
            size=settings["image_size_px"],
        )
    )
    if settings.get("authors_result"):
        lines[-1] += " " + T.say("authors", request, top1=settings["authors_result"]["top1"])
    return "\n\n".join(lines)


def _many_tab(models: ModelStore, model: gr.Radio) -> None:
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=280):
            files = gr.File(label=T("photos"), file_count="multiple", height=260, elem_id="files")
            threshold = gr.Slider(0, 1, 0.5, step=0.01, label=T("threshold"))
            button = gr.Button(T("classify"), variant="primary")
        with gr.Column(scale=2, min_width=300):
            table = gr.Dataframe(
                headers=[T("file"), T("label"), T("probability"), T("remark")],
                datatype=["str", "str", "number", "str"],
                label=T("table"),
                interactive=False,
                wrap=True,
                column_widths=["28%", "23%", "17%", "32%"],
                elem_id="table",
            )
            download = gr.DownloadButton(T("download_csv"), visible=False)
            with gr.Accordion(T("json"), open=False):
                result = gr.JSON(show_label=False)

    @friendly
    def predict_many(
        files: list[str] | None, model: str, threshold: float, request: gr.Request
    ) -> tuple[Any, ...]:
        """Classify several photos; the table says which could not be read, and why.

        Args:
            files: The picture files.
            model: Name of the variant.
            threshold: Answers below this probability are marked.
        """
        if not files:
            raise refusal("none_many")
        if len(files) > answers.MAX_PHOTOS:
            raise refusal("too_many", limit=answers.MAX_PHOTOS, count=len(files))
        loaded, language = answers.predictor(models, model), language_of(request)
        rows = answers.rows_of(loaded, files, threshold=threshold, language=language)
        shown = {
            "headers": [T.say(key, request) for key in ("file", "label", "probability", "remark")],
            "data": [
                [row["file"], class_name(row["label"], language), _short(row["probability"]), row["remark"]]
                for row in rows
            ],
        }
        csv = write_file("classes.csv", answers.to_csv(rows))
        return {"photos": rows, "model": model}, shown, gr.DownloadButton(value=csv, visible=True)

    button.click(
        predict_many,
        [files, model, threshold],
        [result, table, download],
        api_name="predict_many",
        concurrency_limit=4,
    )


def _short(probability: float | None) -> float | None:
    return None if probability is None else round(probability, 3)


def _examples(models: ModelStore) -> tuple[gr.Dataset | None, list[tuple[str, str]]]:
    """Thumbnails to choose from, and what each stands for: photo and the model it was made for."""
    known = {p.name: EXAMPLE_VARIANTS.get(p.name, "clothing") for p in sorted(EXAMPLES.glob("*.jpg"))}
    samples = [(str(EXAMPLES / name), variant) for name, variant in known.items() if variant in models.names]
    samples.sort(key=lambda sample: models.names.index(sample[1]))
    if not samples:
        return None, []
    dataset = gr.Dataset(
        components=[gr.Image(render=False)],
        samples=[[path] for path, _ in samples],
        label=T("examples"),
        type="index",
        samples_per_page=12,
        elem_id="examples",
    )
    gr.Markdown(T("credits"), elem_classes="g-credits")
    return dataset, samples
