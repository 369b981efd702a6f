"""The parts every app page has: header with the two switches, choice of the model, footer with its facts."""

from __future__ import annotations

import gradio as gr
from gradio.i18n import I18nData

from shared.demo.facts import facts_html, variant_label
from shared.demo.i18n import Texts, both
from shared.demo.switches import switches_html
from shared.runtime.predictor import ModelStore

T = Texts(
    en={"model": "Model"},
    es={"model": "Modelo"},
)


def header(title: I18nData | str, subtitle: I18nData | str) -> None:
    """The bar with the way back, language and colour scheme; then title and one sentence.

    Args:
        title: `T("title")`.
        subtitle: `T("subtitle")`: what the visitor can do here.
    """
    home = f'<a class="g-home" href="../">← {both("All apps", "Todas las apps")}</a>'
    bar = (
        f'<a class="g-skip" href="#content">{both("Skip to content", "Saltar al contenido")}</a>'
        f'<nav class="g-bar" aria-label="Gallery · Galería">{home}<span class="g-push"></span>'
        f"{switches_html()}</nav>"
    )
    gr.HTML(bar, elem_classes="g-header", apply_default_css=False)
    gr.Markdown("# " + title, elem_classes="g-title", elem_id="content")
    gr.Markdown(subtitle, elem_classes="g-subtitle")


def model_choice(models: ModelStore, **options: object) -> gr.Radio:
    """The variants to choose from, each with its test figure and size; hidden when there is one only.

    Args:
        models: The app's variants.
        **options: More arguments of `gr.Radio` (e.g. `info`, `elem_id`).

    Returns:
        A component whose value is the variant's name.
    """
    choices = [(variant_label(v), v.name) for v in models.variants.values()]
    arguments = {
        "choices": choices,
        "value": models.default,
        "label": T("model"),
        "visible": len(choices) > 1,
        "elem_classes": "g-model",
    }
    return gr.Radio(**(arguments | options))


def footer(models: ModelStore) -> gr.HTML:
    """What the visitor should know of the models and of what happens to an upload."""
    privacy = both(
        "What you send is used for your answer alone. It is kept in a private temporary folder and deleted "
        "within about an hour; nothing of it is logged.",
        "Lo que envías solo se usa para tu respuesta. Se guarda en una carpeta temporal privada y se borra en "
        "una hora aproximadamente; nada de ello se registra.",
    )
    content = f'<div class="g-facts">{facts_html(models.variants.values())}<p>{privacy}</p></div>'
    return gr.HTML(content, elem_classes="g-footer", apply_default_css=False)
