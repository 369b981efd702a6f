"""English and Spanish: labels translated in the browser, answers in the language of the request.

Gradio translates a component's `label`, `info`, `placeholder`, `description`, `title` and `value` when
they hold a `gr.I18n` marker; `Texts` makes those markers. What a handler answers is translated on the
server, by the cookie the language switch sets or else by the browser's Accept-Language.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.i18n import I18nData

from shared.demo.language import LANGUAGES, both, language_of

__all__ = ["LANGUAGES", "Texts", "both", "english", "gradio_i18n", "language_of"]

_MARKER = re.compile(r'__i18n__\{"__type__": "translation_metadata", "key": "(\w+)"\}')
_translations: dict[str, dict[str, str]] = {language: {} for language in LANGUAGES}
_namespaces = itertools.count()


class Texts:
    """The texts of one module, in every language of the gallery.

    Args:
        en: Key -> English text. `{name}` is a placeholder of `say`; double other braces there.
        es: The same keys in Spanish.

    Raises:
        ValueError: A key is missing in one language.
    """

    def __init__(self, en: Mapping[str, str], es: Mapping[str, str]):
        if set(en) != set(es):
            raise ValueError(f"en and es must have the same keys, received a difference: {set(en) ^ set(es)}")
        self._texts = {"en": dict(en), "es": dict(es)}
        # svelte-i18n reads a dot as a path, so the namespace is joined with an underscore.
        self._namespace = f"t{next(_namespaces)}"
        for language, texts in self._texts.items():
            _translations[language].update({f"{self._namespace}_{k}": text for k, text in texts.items()})

    def __call__(self, key: str) -> I18nData:
        """A marker for a component's label, info, placeholder or value, translated in the browser.

        Raises:
            KeyError: There is no such text.
        """
        if key not in self._texts["en"]:
            raise KeyError(key)
        return I18nData(f"{self._namespace}_{key}")

    def say(self, key: str, request: gr.Request | None, /, **values: Any) -> str:
        """The text in the visitor's language, with `{name}` placeholders filled in.

        Args:
            key: Which text.
            request: The visitor's request; English when None.
            **values: Values of the placeholders.
        """
        text = self._texts[language_of(request)][key]
        return text.format(**values) if values else text


def translation(key: str, language: str) -> str:
    """The text behind a marker's key, or the key where there is none."""
    return _translations[language].get(key, key)


def gradio_i18n() -> gr.I18n:
    """Every text registered so far, for `mount_gradio_app(i18n=...)`."""
    return gr.I18n(**_translations)


def english(value: Any) -> Any:
    """A copy of plain data with every marker replaced by its English text.

    Gradio's API description and MCP tools would otherwise name parameters by markers.

    Args:
        value: Dicts, lists, strings and markers, nested.
    """
    if isinstance(value, I18nData):
        return translation(value.key, "en")
    if isinstance(value, str):
        return _MARKER.sub(lambda m: translation(m[1], "en"), value)
    if isinstance(value, dict):
        return {k: english(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(english(v) for v in value)
    return value
