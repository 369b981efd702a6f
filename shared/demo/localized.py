"""Gradio's page, finished on the server: our head comes first, and every text is in the visitor's language.

Gradio adds `head=` with a script once the page runs, too late for colours and language; and it translates
markers only in some properties (not in table headers, for one). So both are done here, in the document.
"""

from __future__ import annotations

import json
import re

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.demo.i18n import translation
from shared.demo.language import LANGUAGES, language_of

# A marker inside a JSON string, where its own quotes are escaped.
_MARKER = re.compile(r'__i18n__\{\\"__type__\\": ?\\"translation_metadata\\", ?\\"key\\": ?\\"(\w+)\\"\}')
# Would ask for a file at the root of the server, which is not Gradio's here.
_MANIFEST = re.compile(r'<link rel="manifest"[^>]*>')


def asked_language(request: Request) -> str:
    """The language of a page: `?lang=`, else the visitor's choice, else the browser's."""
    asked = request.query_params.get("lang")
    return asked if asked in LANGUAGES else language_of(request)


def translate_json(text: str, language: str) -> str:
    """Replace markers inside the strings of a JSON text, which may lie in a script element."""

    def replaced(match: re.Match) -> str:
        plain = json.dumps(translation(match[1], language), ensure_ascii=False)[1:-1]
        return plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")

    return _MARKER.sub(replaced, text)


class Localized:
    """ASGI middleware for a mounted Gradio app.

    Args:
        app: What it wraps.
        head: HTML put at the start of the page's head.
    """

    def __init__(self, app: ASGIApp, head: str):
        self.app = app
        self.head = head

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        start: Message | None = None
        chunks: list[bytes] = []
        page = scope["path"].endswith("/config")

        async def collect(message: Message) -> None:
            nonlocal start, page
            if message["type"] == "http.response.start":
                kind = MutableHeaders(raw=message["headers"]).get("content-type", "")
                page = message["status"] == 200 and (
                    kind.startswith("text/html") or (page and kind.startswith("application/json"))
                )
                if page:
                    start = message
                    return
            elif page and message["type"] == "http.response.body":
                chunks.append(message.get("body", b""))
                if message.get("more_body"):
                    return
                body = self._finish(b"".join(chunks).decode("utf-8"), asked_language(request)).encode()
                headers = MutableHeaders(raw=start["headers"])
                headers["content-length"] = str(len(body))
                headers["vary"] = "Accept-Language, Cookie"
                headers["cache-control"] = "no-cache"
                await send(start)
                await send({"type": "http.response.body", "body": body})
                return
            await send(message)

        await self.app(scope, receive, collect)

    def _finish(self, text: str, language: str) -> str:
        text = translate_json(text, language)
        if not text.lstrip().lower().startswith("<!doctype"):
            return text
        text = _MANIFEST.sub("", text)
        text = text.replace('lang="en"', f'lang="{language}"', 1)
        return text.replace('<meta charset="utf-8" />', '<meta charset="utf-8" />' + self.head, 1)
