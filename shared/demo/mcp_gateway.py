"""One MCP server for the whole gallery at `/mcp`: the tools of every app under one address.

Each app is an MCP server of its own (Gradio's, at `/<app>/gradio_api/mcp/`). The gateway lists their tools as
`<app>__<tool>` and hands calls on inside the process. https://modelcontextprotocol.io
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.demo.catalog import AppInfo
from shared.demo.lazy import LazyApp

SEPARATOR = "__"


class Gateway:
    """ASGI app that speaks MCP over streamable HTTP, without sessions.

    Args:
        apps: Every app.
        pages: Their pages by name; each is built when the tools are first listed.
        host: The gallery's server, which calls are handed on to.
    """

    def __init__(self, apps: Sequence[AppInfo], pages: Mapping[str, LazyApp], host: ASGIApp):
        from mcp import types
        from mcp.server.lowlevel import Server
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        self._apps = apps
        self._pages = pages
        self._host = host
        self._types = types
        server: Any = Server(
            "keras-gallery", instructions="Applications of machine learning on this machine."
        )
        server.list_tools()(self._list)
        # Each app's own server checks the arguments.
        server.call_tool(validate_input=False)(self._call)
        self._server = server
        self._manager = StreamableHTTPSessionManager(app=server, json_response=True, stateless=True)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold this open while the server lives."""
        async with self._manager.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._manager.handle_request(scope, receive, send)

    async def _list(self) -> list[Any]:
        tools = []
        for app in self._apps:
            if await self._pages[app.name].ready() is None:
                continue
            async with self._client() as client:
                schema = (await client.get(f"/{app.name}/gradio_api/mcp/schema")).json()
            for tool in schema:
                description = f"{app.title['en']}: {tool['description']}"
                tools.append(
                    self._types.Tool(
                        name=f"{app.name}{SEPARATOR}{tool['name']}",
                        description=description,
                        inputSchema=tool["inputSchema"],
                    )
                )
        return tools

    async def _call(self, name: str, arguments: dict[str, Any]) -> Any:
        app, separator, tool = name.partition(SEPARATOR)
        if not separator or app not in self._pages:
            known = ", ".join(f"{n}{SEPARATOR}..." for n in self._pages)
            raise ValueError(f"name must begin with an app ({known}), received {name!r}")
        message = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": "tools/call",
            "params": {"name": tool, "arguments": arguments},
        }
        headers = {"accept": "application/json, text/event-stream"}
        async with self._client() as client:
            response = await client.post(f"/{app}/gradio_api/mcp/", json=message, headers=headers)
        answer = _last_message(response.text)
        if "error" in answer:
            raise ValueError(answer["error"].get("message", "the app refused the call"))
        return self._types.CallToolResult.model_validate(answer["result"])

    def _client(self) -> httpx.AsyncClient:
        # The app asks itself under the address of the request, so it must be the one visitors use.
        request = self._server.request_context.request
        base = str(request.base_url).rstrip("/") if request is not None else "http://127.0.0.1"
        return httpx.AsyncClient(transport=httpx.ASGITransport(app=self._host), base_url=base, timeout=None)


def _last_message(text: str) -> dict[str, Any]:
    """The JSON-RPC answer in a body that is JSON or a stream of server-sent events."""
    if text.lstrip().startswith("{"):
        return json.loads(text)
    lines = [line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:")]
    if not lines:
        raise ValueError(f"the app gave no answer, received {text[:200]!r}")
    return json.loads(lines[-1])
