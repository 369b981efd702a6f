"""What the head of every page holds: colours and language, settled before anything is drawn.

Gradio reads the language from `navigator.language` and the scheme from `?__theme=`; the script answers both
with what the visitor chose, and the two switches in the bar change the choice.
"""

from __future__ import annotations

import json
from pathlib import Path

from shared.demo.language import COOKIE, LANGUAGES

_STATIC = Path(__file__).with_name("static")


def static(name: str) -> str:
    """Text of a file in `static/`."""
    return (_STATIC / name).read_text(encoding="utf-8")


def script(*, gallery: bool, gradio: bool) -> str:
    """The inline script of a page.

    Args:
        gallery: The page is one of several, so it shows the way back to the others.
        gradio: Gradio draws the page (it is then told of language and scheme in the ways it knows).
    """
    options = {"languages": LANGUAGES, "cookie": COOKIE, "gallery": gallery, "gradio": gradio}
    # "</" cannot occur in these values, so the JSON is safe inside a script element.
    return f"<script>({static('page.js')})({json.dumps(options)});</script>"


def gradio_head(*, gallery: bool) -> str:
    """For `Localized`. Gradio would prefix rules given as `css=`, which breaks those on `html`."""
    style = static("tokens.css") + static("app.css")
    icon = '<link rel="icon" href="data:image/svg+xml,' + ICON + '">'
    return f"{icon}<style>{style}</style>{script(gallery=gallery, gradio=True)}"


ICON = (
    "%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' rx='7' "
    "fill='%230f766e'/%3E%3Cpath d='M10 7v18M22 7 11 16l11 9' stroke='white' stroke-width='3.4' fill='none'/%3E"
    "%3C/svg%3E"
)
"""A data URL: no second request, and Gradio serves no icon at a sub-path."""
