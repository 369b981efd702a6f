"""One description of every app's API: a page for people and an OpenAPI document for programs."""

from __future__ import annotations

import html
import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from starlette.requests import Request
from starlette.responses import Response

from shared.demo import site
from shared.demo.catalog import AppInfo
from shared.demo.front_texts import TEXTS
from shared.demo.lazy import LazyApp


async def _ask(page: LazyApp, path: str) -> Any:
    """GET a JSON document from an app inside this process."""
    transport = httpx.ASGITransport(app=await page.ready())
    async with httpx.AsyncClient(transport=transport, base_url="http://gallery") as client:
        answer = await client.get(path)
        answer.raise_for_status()
        return answer.json()


async def merged_openapi(apps: Sequence[AppInfo], pages: Mapping[str, LazyApp]) -> dict[str, Any]:
    """OpenAPI 3 of every app that can be opened, paths prefixed with the app's address.

    Args:
        apps: Every app.
        pages: Their pages by name; each is built if it was not yet.
    """
    document: dict[str, Any] = {
        "openapi": "3.0.2",
        "info": {
            "title": "Keras Gallery",
            "version": "1",
            "description": "Every app of the gallery. Send inputs to POST .../call/v2/NAME, then read the answer "
            "from GET .../call/NAME/{event_id}; or use gradio_client, which does both.",
        },
        "tags": [],
        "paths": {},
    }
    for app in apps:
        if await pages[app.name].ready() is None:
            continue
        document["tags"].append({"name": app.name, "description": app.summary["en"]})
        for path, methods in (await _ask(pages[app.name], "/gradio_api/openapi.json"))["paths"].items():
            for operation in methods.values():
                operation.pop("security", None)
                operation["operationId"] = f"{app.name}_{operation['operationId']}"
                operation["tags"] = [app.name]
            document["paths"][f"/{app.name}{path}"] = methods
    return document


async def docs_page(
    request: Request, apps: Sequence[AppInfo], pages: Mapping[str, LazyApp], *, mcp: bool
) -> Response:
    """The page for people: endpoints, parameters, answers and a line of Python for each app."""
    language = site.language(request)
    texts = {key: html.escape(text) for key, text in TEXTS[language].items()}
    base = str(request.base_url).rstrip("/")
    note = (
        f"{texts['docs_mcp_on']} <code>{base}/mcp</code>"
        if mcp
        else f"{texts['docs_mcp_off']} <code>python -m apps --mcp</code>"
    )
    parts = [
        f"<h1>{texts['docs_title']}</h1><p>{texts['docs_text']} "
        f'<a href="openapi.json"><code>{base}/openapi.json</code></a></p><p>{note}</p>'
    ]
    for app in apps:
        parts.append(f'<h2 id="{app.name}">{html.escape(app.title[language])}</h2>')
        page = await pages[app.name].ready()
        if page is None:
            parts.append(f"<pre><code>{html.escape(pages[app.name].error or '')}</code></pre>")
            continue
        if mcp:
            parts.append(f"<p>MCP: <code>{base}/{app.name}/gradio_api/mcp/</code></p>")
        info = await _ask(pages[app.name], "/gradio_api/info")
        for name, endpoint in info["named_endpoints"].items():
            parts.append(_endpoint(app, name, endpoint, texts, base))
    return site.render(
        request, "document.html", content="".join(parts), here="docs", title=texts["docs_title"], wide=True
    )


def _endpoint(app: AppInfo, name: str, endpoint: Mapping[str, Any], texts: dict[str, str], base: str) -> str:
    rows = []
    arguments = []
    for parameter in endpoint["parameters"]:
        default = (
            f"<code>{html.escape(_short(parameter['parameter_default']))}</code>"
            if parameter["parameter_has_default"]
            else texts["required"]
        )
        rows.append(
            f"<tr><td><code>{html.escape(parameter['parameter_name'])}</code></td>"
            f"<td><code>{html.escape(_kind(parameter))}</code></td><td>{default}</td>"
            f"<td>{html.escape(str(parameter['label']))}</td></tr>"
        )
        if not parameter["parameter_has_default"]:
            arguments.append(f"{parameter['parameter_name']}={_example(parameter)}")
    returned = "".join(
        f"<tr><td><code>{html.escape(_kind(r))}</code></td><td>{html.escape(str(r['label']))}</td></tr>"
        for r in endpoint["returns"]
    )
    call = ", ".join([*arguments, f'api_name="{name}"'])
    code = (
        "from gradio_client import Client, handle_file\n"
        f'client = Client("{base}/{app.name}/")\nclient.predict({call})'
    )
    heads = "".join(f'<th scope="col">{texts[k]}</th>' for k in ("parameter", "type", "default", "meaning"))
    parameters = (
        f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>" if rows else ""
    )
    description = inspect.cleandoc(str(endpoint.get("description") or ""))
    return (
        f"<details{' open' if name == '/predict' else ''}><summary><code>{html.escape(name)}</code></summary>"
        f"<p>{html.escape(description)}</p>{parameters}<h3>{texts['returns']}</h3>"
        f"<table><tbody>{returned}</tbody></table><pre><code>{html.escape(code)}</code></pre></details>"
    )


def _kind(described: Mapping[str, Any]) -> str:
    kind = described["python_type"]["type"]
    return kind if len(kind) <= 60 else kind[:57] + "..."


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _example(parameter: Mapping[str, Any]) -> str:
    example = parameter["example_input"]
    if isinstance(example, Mapping) and "path" in example:
        return 'handle_file("PATH")'
    return repr(example) if len(repr(example)) <= 80 else "..."
