"""English and Spanish: labels translated in the browser, answers in the language of the request.

Gradio translates a component's `label`, `info`, `placeholder`, `description`, `title` and `value` when
they hold a `gr.I18n` marker; `Texts` makes those markers. What a handler answers is translated on the
server, by the cookie the language switch sets or else by the browser's Accept-Language.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.i18n import I18nData

LANGUAGES: tuple[str, ...] = ("en", "es")
COOKIE = "gallery_language"

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


def language_of(request: Any) -> str:
    """`en` or `es`: what the visitor chose with the switch, else what the browser asks for.

    Args:
        request: A `gr.Request`, a Starlette request, or None (an API call has neither cookie nor header).
    """
    if request is None:
        return "en"
    chosen = (getattr(request, "cookies", None) or {}).get(COOKIE)
    if chosen in LANGUAGES:
        return chosen
    headers = getattr(request, "headers", None) or {}
    return preferred(headers.get("accept-language") or "")


def preferred(accept_language: str) -> str:
    """The best of our languages for an Accept-Language header, by its q-values.

    Args:
        accept_language: E.g. `ca,es;q=0.8,en;q=0.5`.
    """
    best, best_quality = "en", 0.0
    for part in accept_language.split(","):
        tag, _, options = part.strip().partition(";")
        language = tag.split("-")[0].strip().lower()
        try:
            quality = float(options.partition("q=")[2]) if "q=" in options else 1.0
        except ValueError:
            continue
        if language in LANGUAGES and quality > best_quality:
            best, best_quality = language, quality
    return best


def gradio_i18n() -> gr.I18n:
    """Every text registered so far, for `mount_gradio_app(i18n=...)`."""
    return gr.I18n(**_translations)


def both(en: str, es: str) -> str:
    """HTML holding both languages; the stylesheet shows the one the page is in."""
    return f'<span lang="en" class="l-en">{en}</span><span lang="es" class="l-es">{es}</span>'
