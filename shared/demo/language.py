"""Which of the gallery's two languages a request is answered in. Plain Python: no gradio here."""

from __future__ import annotations

from typing import Any

LANGUAGES: tuple[str, ...] = ("en", "es")
COOKIE = "gallery_language"


def language_of(request: Any) -> str:
    """`en` or `es`: what the visitor chose with the switch, else what the browser asks for.

    Args:
        request: A `gr.Request`, a Starlette request, or None (an API call may have neither cookie nor header).
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


def both(en: str, es: str) -> str:
    """HTML holding both languages; the stylesheet shows the one the page is in."""
    return f'<span lang="en" class="l-en">{en}</span><span lang="es" class="l-es">{es}</span>'
