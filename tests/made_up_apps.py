"""Small apps written to a folder, to test the gallery without the real ones and their weights."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image

_CONFIG = """
from shared.config import TrainConfig

VARIANTS = {"small": TrainConfig(variant="small"), "large": TrainConfig(variant="large")}
"""

_DEMO = '''
import gradio as gr

from shared.demo.downloads import write_file
from shared.demo.errors import friendly
from shared.demo.i18n import Texts
from shared.demo.page import footer, header, model_choice
from shared.files.errors import InputError

T = Texts(
    en={"title": "Greeter", "subtitle": "Greets you.", "name": "Your name", "go": "Greet", "hi": "Hello {name}",
        "column": "Greeting"},
    es={"title": "Saludador", "subtitle": "Te saluda.", "name": "Tu nombre", "go": "Saludar", "hi": "Hola {name}",
        "column": "Saludo"},
)


@friendly
def predict(name: str, variant: str, request: gr.Request):
    """Greet somebody.

    Args:
        name: Who.
        variant: Which model.
    """
    if not name:
        raise InputError("The name is empty: type one.", "El nombre está vacío: escribe uno.")
    if name == "crash":
        raise ZeroDivisionError("secret of the visitor")
    text = T.say("hi", request, name=name)
    return text, [[text]], {"text": text}, write_file("greeting.txt", text)


def build_demo(models) -> gr.Blocks:
    with gr.Blocks(title="Greeter") as demo:
        header(T("title"), T("subtitle"))
        with gr.Row():
            with gr.Column():
                name = gr.Textbox(label=T("name"))
                picture = gr.Image(type="filepath", label="Picture")
                variant = model_choice(models)
                go = gr.Button(T("go"), variant="primary")
            with gr.Column():
                answer = gr.Textbox(label="Answer")
                table = gr.Dataframe(headers=[str(T("column"))], label="Table")
                data = gr.JSON(label="JSON")
                file = gr.DownloadButton("Download")
        footer(models)
        go.click(predict, [name, variant], [answer, table, data, file], api_name="predict")
        go.click(lambda path: str(path), [picture], [answer], api_name="look", api_description="Where a picture is.")
    return demo
'''

_README = """---
title: Greeter
emoji: 👋
short_description: Greets you by name
---
# Greeter
It greets. <script>alert(1)</script>
"""


def write_apps(root: Path) -> tuple[Path, Path]:
    """Write `greeter` (works), `broken` (raises when built) and `untrained` (has no weights).

    Returns:
        The folder of the apps and the folder of the models.
    """
    apps, models = root / "apps", root / "models"
    for name in ("greeter", "broken", "untrained"):
        folder = apps / name
        (folder / "examples").mkdir(parents=True)
        (folder / "__init__.py").write_text('"""A made-up app."""\n', encoding="utf-8")
        (folder / "config.py").write_text(_CONFIG, encoding="utf-8")
        (folder / "demo.py").write_text(_DEMO, encoding="utf-8")
        (folder / "README.md").write_text(_README.replace("Greeter", name.capitalize()), encoding="utf-8")
        if name != "untrained":
            for variant in ("small", "large"):
                write_variant(models / name / variant)
    (apps / "broken" / "demo.py").write_text(
        'raise ImportError("a library is <missing>")\n', encoding="utf-8"
    )
    Image.new("RGB", (640, 400), (200, 120, 40)).save(apps / "greeter" / "examples" / "card.png")
    return apps, models


def write_variant(folder: Path) -> None:
    """Files of a published variant, as far as the gallery reads them."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(
        json.dumps({"settings": {}, "graphs": {"model": ["logits"]}, "files": {}}), encoding="utf-8"
    )
    metrics = {"headline": {"name": "accuracy", "value": 0.9123}, "latency_ms": {"median": 8.26}}
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    (folder / "model.onnx").write_bytes(b"0" * 4_900_000)
    (folder / "MODEL_CARD.md").write_text(
        "---\nlicense: mit\n---\n# Greeter: small\n\n| metric | test |\n|---|---|\n| accuracy | 0.9123 |\n\n"
        "<img src=x onerror=alert(1)>\n",
        encoding="utf-8",
    )
    (folder / "report.html").write_text(
        "<!doctype html><title>Report</title><h1>Report</h1>", encoding="utf-8"
    )
