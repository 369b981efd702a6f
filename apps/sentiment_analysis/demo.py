"""The page: a text with its verdict, words and timeline; two models side by side; a table in and out."""

from __future__ import annotations

import functools
import html
import json
from pathlib import Path
from typing import Any

import gradio as gr

from apps.sentiment_analysis import tables
from apps.sentiment_analysis.explain import Explanation, explain
from apps.sentiment_analysis.messages import T
from apps.sentiment_analysis.render import STYLE, answer_html, label_text
from shared.demo.downloads import write_file
from shared.demo.errors import friendly
from shared.demo.page import footer, header, model_choice
from shared.files.errors import InputError
from shared.files.tables import read_table, write_table
from shared.files.text import guess_language, read_text
from shared.results import Classification
from shared.runtime.predictor import ModelStore

EXAMPLES = Path(__file__).parent / "examples"
SHOWN_ROWS = 200


def analyse(models: ModelStore, name: str, text: str) -> tuple[Classification, Explanation]:
    """Classify a clean text and explain the answer."""
    predictor = models[name]
    result = predictor.predict(text)
    return result, explain(predictor, text, result)


def notes_for(
    text: str, result: Classification, settings: dict[str, Any], request: Any
) -> list[tuple[str, bool]]:
    """What the visitor should know of this text: message, and whether it is a warning."""
    say = functools.partial(_say, request)
    notes = []
    language = guess_language(text)
    if language not in ("", "en"):
        notes.append((say("not_english", language=say(f"language_{language}")), True))
    if not any(c.isalpha() for c in text):
        notes.append((say("no_letters"), True))
    windows = result.extras.get("windows", 1)
    if windows > 1:
        known = {"tokens": result.extras["tokens"], "length": settings["sequence_length"], "windows": windows}
        notes.append((say("long", **known), False))
    return notes


def to_json(
    name: str, result: Classification, explanation: Explanation, notes: list[tuple[str, bool]]
) -> dict[str, Any]:
    """Everything the page shows, as plain types."""
    values = result.to_json() | {
        "model": name,
        "windows": result.extras.get("windows", 1),
        "notes": [note for note, _ in notes],
    }
    return values | explanation.to_json()


def _say(request: Any, key: str, **values: Any) -> str:
    return T.say(key, request, **values)


def build_demo(models: ModelStore) -> gr.Blocks:
    """The Gradio page; see the module docstring.

    Args:
        models: The published variants.
    """

    def run(name: str, text: str, request: gr.Request) -> tuple[str, dict[str, Any]]:
        if name not in models.names:
            raise InputError(
                f"There is no model {name!r}. Choose one of {', '.join(models.names)}.",
                f"No hay ningún modelo {name!r}. Elige uno de estos: {', '.join(models.names)}.",
            )
        result, explanation = analyse(models, name, text)
        notes = notes_for(text, result, models[name].processor.settings, request)
        shown = answer_html(result, explanation, notes, text, functools.partial(_say, request))
        return shown, to_json(name, result, explanation, notes)

    @friendly
    def predict(text: str, model: str, request: gr.Request):
        """Is a text praise or criticism? Probabilities, the share of every word, and every sentence alone."""
        shown, values = run(model, read_text(text), request)
        content = json.dumps(values, ensure_ascii=False, indent=1)
        return shown, values, gr.DownloadButton(value=write_file("sentiment.json", content), interactive=True)

    @friendly
    def compare(text: str, first: str, second: str, request: gr.Request):
        """The same text, read by two models."""
        text = read_text(text)
        (left, left_json), (right, right_json) = (run(name, text, request) for name in (first, second))
        heads = [f'<p class="sa-model">{html.escape(name)}</p>' for name in (first, second)]
        agree = left_json["classes"][0]["label"] == right_json["classes"][0]["label"]
        key = "agree" if agree else "disagree"
        warn = "" if agree else " sa-warn"
        line = f'<div class="sa-root"><p class="sa-note{warn}">{html.escape(_say(request, key))}</p></div>'
        return line, heads[0] + left, heads[1] + right, {"models": [left_json, right_json], "agree": agree}

    @friendly
    def columns_of(file: str | None, request: gr.Request):
        if not file:
            return gr.Dropdown(choices=[], value=None, interactive=False), ""
        table = read_table(file)
        column = tables.text_column(table)
        facts = T.say(
            "table_read", request, rows=len(table.rows), columns=len(table.columns), encoding=table.encoding
        )
        return gr.Dropdown(choices=table.columns, value=column, interactive=True), facts

    @friendly
    def classify_table(
        file: str | None,
        column: str | None,
        model: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - how gradio injects it
    ):
        """Classify each row of a CSV or TSV: the column with the text, the model; gives the table back with scores."""
        if not file:
            raise InputError(
                "Choose a CSV or TSV file first: one text a row, column names in the first line.",
                "Elige primero un archivo CSV o TSV: un texto por fila y los nombres de columna en la primera línea.",
            )
        table = read_table(file)
        say = functools.partial(_say, request)
        outcome = tables.Outcome([], [], {})
        for done, outcome in tables.classify(models[model], table, column or tables.text_column(table)):  # noqa: B007
            progress((done, len(table.rows)), desc=say("reading"), unit=say("rows"))
        names, rows = outcome.columns, outcome.rows
        file_out = write_file("sentiment.csv", write_table(names, rows))
        counts = ", ".join(f"{label_text(k, say)}: {v:,}" for k, v in outcome.counts.items())
        summary = say("table_done", rows=len(rows), seconds=f"{max(0.1, outcome.seconds):.1f}", counts=counts)
        if outcome.skipped:
            summary += " " + say("table_skipped", count=outcome.skipped)
        if len(rows) > SHOWN_ROWS:
            summary += " " + say("table_cut", count=SHOWN_ROWS)
        chosen = [
            names.index(column or tables.text_column(table)),
            len(table.columns),
            len(table.columns) + 1,
        ]
        short = [[_short(row[i]) for i in chosen] for row in rows[:SHOWN_ROWS]]
        heads = [names[i] for i in chosen]
        return (
            summary,
            gr.Dataframe(value={"headers": heads, "data": short, "metadata": None}, visible=True),
            gr.DownloadButton(value=file_out, interactive=True, visible=True),
            outcome.to_json(),
        )

    texts = json.loads((EXAMPLES / "texts.json").read_text(encoding="utf-8"))
    second_default = models.names[1] if len(models.names) > 1 else models.default
    with gr.Blocks(title="Sentiment analysis") as demo:
        gr.HTML(f"<style>{STYLE}</style>", apply_default_css=False, padding=False, elem_classes="sa-style")
        header(T("title"), T("subtitle"))
        with gr.Tabs():
            with gr.Tab(T("tab_text")):
                with gr.Row(equal_height=False):
                    with gr.Column(scale=5, min_width=320):
                        text = gr.Textbox(
                            label=T("text"),
                            placeholder=T("placeholder"),
                            lines=5,
                            max_lines=16,
                            elem_id="sa-text",
                        )
                        model = model_choice(models)
                        button = gr.Button(T("read"), variant="primary", elem_id="sa-read")
                        gr.Examples(
                            [[t["text"]] for t in texts],
                            [text],
                            label=T("examples"),
                            example_labels=[t["name"] for t in texts],
                            elem_id="sa-examples",
                        )
                    with gr.Column(scale=6, min_width=320):
                        shown = gr.HTML(_empty(), elem_id="sa-answer", apply_default_css=False, padding=False)
                        with gr.Accordion(T("json"), open=False):
                            values = gr.JSON(label=T("json"), show_label=False, elem_id="sa-json")
                        download = gr.DownloadButton(T("download_json"), interactive=False, size="sm")
                outputs = [shown, values, download]
                gr.on(
                    [button.click, text.submit], predict, [text, model], outputs, api_name="predict",
                    concurrency_limit=2,
                )  # fmt: skip
            with gr.Tab(T("tab_compare")):
                both_text = gr.Textbox(label=T("text"), placeholder=T("placeholder"), lines=4, max_lines=12)
                with gr.Row():
                    first = gr.Dropdown(models.names, value=models.default, label=T("first"))
                    second = gr.Dropdown(models.names, value=second_default, label=T("second"))
                both_button = gr.Button(T("compare"), variant="primary")
                line = gr.HTML("", apply_default_css=False, padding=False)
                with gr.Row(equal_height=False):
                    with gr.Column(min_width=320):
                        left = gr.HTML(_empty(), apply_default_css=False, padding=False)
                    with gr.Column(min_width=320):
                        right = gr.HTML(_empty(), apply_default_css=False, padding=False)
                both_values = gr.JSON(visible=False)
                gr.on(
                    [both_button.click, both_text.submit],
                    compare,
                    [both_text, first, second],
                    [line, left, right, both_values],
                    api_name="compare",
                    concurrency_limit=2,
                )
            with gr.Tab(T("tab_table")):
                gr.Markdown(T("table_how"))
                with gr.Row(equal_height=False):
                    file = gr.File(label=T("file"), file_types=[".csv", ".tsv", ".txt"], height=140)
                    with gr.Column():
                        column = gr.Dropdown(
                            [],
                            label=T("column"),
                            info=T("column_info"),
                            interactive=False,
                            allow_custom_value=True,
                        )
                        table_model = model_choice(models)
                table_facts = gr.Markdown()
                table_button = gr.Button(T("classify"), variant="primary", elem_id="sa-classify")
                summary = gr.Markdown(elem_id="sa-summary")
                result = gr.Dataframe(
                    visible=False,
                    interactive=False,
                    wrap=True,
                    max_height=460,
                    label=T("result"),
                    column_widths=["60%", "130px", "110px"],
                )
                table_download = gr.DownloadButton(T("download_csv"), visible=False, variant="primary")
                table_values = gr.JSON(visible=False)
                gr.Examples([[str(EXAMPLES / "reviews.csv")]], [file], label=T("table_example"))
                file.change(columns_of, [file], [column, table_facts], api_visibility="private")
                table_button.click(
                    classify_table,
                    [file, column, table_model],
                    [summary, result, table_download, table_values],
                    api_name="classify_table",
                    concurrency_limit=1,
                    concurrency_id="sentiment_table",
                )
        footer(models)
    return demo


def _empty() -> str:
    from shared.demo.i18n import both

    hint = both("The answer appears here.", "La respuesta aparece aquí.")
    return f'<div class="sa-root"><p class="sa-empty">{hint}</p></div>'


def _short(cell: str, most: int = 300) -> str:
    return cell if len(cell) <= most else cell[: most - 1] + "…"
