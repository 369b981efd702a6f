"""The gallery's own pages as plain HTML: front page, model cards, reports, code, errors."""

from __future__ import annotations

import html
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from markdown_it import MarkdownIt
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response

from shared.demo.catalog import AppInfo
from shared.demo.facts import facts
from shared.demo.front_texts import TEXTS
from shared.demo.head import ICON, script, static
from shared.demo.language import COOKIE, LANGUAGES, language_of
from shared.demo.switches import switches_html

_ENVIRONMENT = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
)
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
_CODE_KINDS = (".py", ".md", ".txt", ".json", ".yaml")


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page in the visitor's language; `?lang=` chooses it and is remembered."""
    asked = request.query_params.get("lang")
    language = asked if asked in LANGUAGES else language_of(request)
    texts = TEXTS[language]
    content = _ENVIRONMENT.get_template(template).render(
        {"title": texts["brand"], **values},
        language=language,
        t=texts,
        root=request.scope.get("app_root_path", request.scope.get("root_path", "")),
        style=static("tokens.css") + static("site.css"),
        script=script(gallery=True, gradio=False),
        switches=switches_html(),
        icon=ICON,
        versions=_versions(),
    )
    response = HTMLResponse(content, status, headers={"vary": "Accept-Language, Cookie"})
    if asked in LANGUAGES:
        response.set_cookie(COOKIE, asked, max_age=31_536_000, samesite="lax")
    return response


def language(request: Request) -> str:
    """The language `render` would choose."""
    asked = request.query_params.get("lang")
    return asked if asked in LANGUAGES else language_of(request)


def _versions() -> str:
    names = (("ONNX Runtime", "onnxruntime"), ("Gradio", "gradio"))
    return ", ".join(f"{shown} {importlib.metadata.version(package)}" for shown, package in names)


def front_page(request: Request, apps: Sequence[AppInfo], errors: dict[str, str]) -> Response:
    """A card an app.

    Args:
        request: The visitor's request.
        apps: Every app.
        errors: App name -> what went wrong when it was last opened.
    """
    texts, chosen = TEXTS[language(request)], language(request)
    cards = [_card(app, errors.get(app.name), texts, chosen) for app in apps]
    if not any(card["facts"] for card in cards) and not errors:
        # Nothing to open: how to make the first one matters more than six empty cards.
        first = next((card["train"] for card in cards), "python -m apps.image_classification.train --help")
        command = f".venv/bin/pip install -r requirements-train.txt\n.venv/bin/{first}"
        return render(request, "front.html", front=True, cards=[], train_command=command)
    return render(request, "front.html", front=True, cards=cards)


def _card(app: AppInfo, error: str | None, texts: dict[str, str], chosen: str) -> dict[str, Any]:
    variants = app.variants()
    first = variants[0] if variants else None
    links = []
    if first:
        base = f"/models/{app.name}/{first.name}"
        pages = (("card", "MODEL_CARD.md"), ("report", "report.html"))
        links = [
            {"href": f"{base}/{page}", "text": texts[page]}
            for page, file in pages
            if (first.folder / file).is_file()
        ]
    known = [facts(v) for v in variants]
    # The default's figure, or that of the first variant measured here (weights of others are not).
    best = next((f for f in known if f.figure), known[0] if known else None)
    if not variants:
        error = None
    links.append({"href": f"/code/{app.name}/", "text": texts["code"]})
    if first and not error:
        links.append({"href": f"/docs#{app.name}", "text": texts["api"]})
    return {
        "name": app.name,
        "title": app.title[chosen],
        "summary": app.summary[chosen],
        "emoji": app.emoji,
        "picture": app.picture is not None,
        "picture_text": (app.picture_text or {}).get(chosen) or f"{texts['picture']}: {app.title[chosen]}",
        "error": error,
        "facts": best,
        "of_variant": best.name if best and len(variants) > 1 else "",
        "models": len(variants),
        "links": links,
        "train": f"python -m apps.{app.name}.train --data PATH",
    }


def failed_page(request: Request, app: AppInfo, error: str) -> Response:
    """What a visitor sees of an app that cannot be built."""
    texts = TEXTS[language(request)]
    content = (
        f"<h1>{html.escape(app.title[language(request)])}: {html.escape(texts['error_title'])}</h1>"
        f"<p>{html.escape(texts['error_text'])}</p><pre><code>{html.escape(error)}</code></pre>"
        f"<p>{html.escape(texts['error_more'])}</p><pre><code>python -m apps.{app.name}.app</code></pre>"
    )
    return render(request, "document.html", 503, content=content, title=texts["error_title"])


def missing_page(request: Request) -> Response:
    """404."""
    texts = TEXTS[language(request)]
    content = f"<h1>{html.escape(texts['missing_title'])}</h1><p>{html.escape(texts['missing_text'])}</p>"
    return render(request, "document.html", 404, content=content, title=texts["missing_title"])


def card_page(request: Request, app: AppInfo, variant: str) -> Response:
    """A variant's model card."""
    folder = _variant_folder(app, variant)
    path = folder / "MODEL_CARD.md" if folder else None
    if path is None or not path.is_file():
        return missing_page(request)
    text = path.read_text(encoding="utf-8")
    body = text.split("---\n", 2)[2] if text.startswith("---\n") and text.count("---\n") > 1 else text
    crumb = {"href": f"/{app.name}/", "text": app.title[language(request)]}
    return render(
        request,
        "document.html",
        content=_MARKDOWN.render(body),
        crumb=crumb,
        title=f"{app.title[language(request)]}: {variant}",
    )


def report_page(request: Request, app: AppInfo, variant: str) -> Response:
    """A variant's training report, as the training run wrote it; it may show nothing from outside."""
    folder = _variant_folder(app, variant)
    path = folder / "report.html" if folder else None
    if path is None or not path.is_file():
        return missing_page(request)
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
    return FileResponse(path, media_type="text/html", headers={"content-security-policy": policy})


def _variant_folder(app: AppInfo, variant: str) -> Path | None:
    return next((v.folder for v in app.variants() if v.name == variant), None)


def code_page(request: Request, app: AppInfo, name: str = "") -> Response:
    """The README and the list of an app's files, or one of them as text."""
    files = {p.name: p for p in sorted(app.folder.iterdir()) if p.is_file() and p.suffix in _CODE_KINDS}
    if name:
        if name not in files:
            return missing_page(request)
        return PlainTextResponse(files[name].read_text(encoding="utf-8"))
    texts = TEXTS[language(request)]
    rows = "".join(
        f'<li><a href="{html.escape(n)}"><code>apps/{app.name}/{html.escape(n)}</code></a></li>'
        for n in files
    )
    content = f"<h2>{html.escape(texts['files'])}</h2><ul>{rows}</ul>"
    if "README.md" in files:
        text = files["README.md"].read_text(encoding="utf-8")
        body = text.split("---\n", 2)[2] if text.startswith("---\n") and text.count("---\n") > 1 else text
        content = _MARKDOWN.render(body) + content
    else:
        content = f"<h1>{html.escape(app.title[language(request)])}</h1>" + content
    crumb = {"href": f"/{app.name}/", "text": app.title[language(request)]}
    return render(request, "document.html", content=content, crumb=crumb, title=texts["code"])


def picture(request: Request, app: AppInfo) -> Response:
    """A real result of the app."""
    if app.picture is None:
        return missing_page(request)
    return FileResponse(app.picture, headers={"cache-control": "max-age=3600"})
