"""The parts every app page has: header with language switch, choice of the model, footer with its facts."""

from __future__ import annotations

import gradio as gr
from gradio.i18n import I18nData

from shared.demo.facts import facts_html, variant_label
from shared.demo.i18n import Texts, both
from shared.runtime.predictor import ModelStore

T = Texts(
    en={"model": "Model", "model_info": "Each was trained for another task or trades size for accuracy."},
    es={
        "model": "Modelo",
        "model_info": "Cada uno se entrenó para otra tarea o cambia tamaño por precisión.",
    },
)

_NAV = f"""
<nav class="g-nav" aria-label="Gallery">
  <a class="g-home" href="../" >{both("← All apps", "← Todas las apps")}</a>
  <span class="g-switch" role="group" aria-label="Language / Idioma">
    <a href="?lang=en" hreflang="en" lang="en" class="g-lang g-lang-en">English</a>
    <a href="?lang=es" hreflang="es" lang="es" class="g-lang g-lang-es">Español</a>
  </span>
</nav>
"""


def header(title: I18nData | str, subtitle: I18nData | str) -> None:
    """Title, one sentence, the way back and the language switch.

    Args:
        title: `T("title")`.
        subtitle: `T("subtitle")`: what the visitor can do here.
    """
    gr.HTML(_NAV, elem_classes="g-header", padding=False)
    gr.Markdown("# " + title, elem_classes="g-title")
    gr.Markdown(subtitle, elem_classes="g-subtitle")


def model_choice(models: ModelStore, **options: object) -> gr.Radio:
    """The variants to choose from, each with its test figure and size; hidden when there is one only.

    Args:
        models: The app's variants.
        **options: More arguments of `gr.Radio` (e.g. `elem_id`).

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
    """What the visitor should know of the models: figures, licence, limits, and where to read more."""
    return gr.HTML(facts_html(models), elem_classes="g-footer", padding=False)
