"""Event handlers whose refusals a visitor understands, in the visitor's language."""

from __future__ import annotations

import functools
import html
import inspect
import logging
from collections.abc import Callable
from typing import Any

import gradio as gr

from shared.demo.i18n import Texts, language_of
from shared.files.errors import InputError
from shared.runtime.variants import CorruptWeights, MissingWeights

T = Texts(
    en={
        "refused": "This cannot be used",
        "model": "The model is not ready",
        "broken": "Something went wrong on this side",
        "broken_text": "Not your input's fault: the server met an unexpected error ({kind}). "
        "Try again, or try another input.",
    },
    es={
        "refused": "Esto no se puede usar",
        "model": "El modelo no está listo",
        "broken": "Algo ha fallado en este lado",
        "broken_text": "No es culpa de tu entrada: el servidor encontró un error inesperado ({kind}). "
        "Vuelve a intentarlo o prueba con otra entrada.",
    },
)
_log = logging.getLogger(__name__)


def friendly(handler: Callable) -> Callable:
    """Turn what a handler raises into a `gr.Error` with a title and a text in the visitor's language.

    `InputError` says what was wrong and what would work; missing or damaged weights name the command that
    makes them; anything else is logged by its kind alone (never the visitor's content) and told plainly.
    Functions, generators and their async kinds are wrapped as what they are.

    Args:
        handler: An event handler with a parameter `request: gr.Request`.

    Raises:
        TypeError: The handler takes no `request`, so its language could not be known.
    """
    signature = inspect.signature(handler)
    if "request" not in signature.parameters:
        raise TypeError(
            f"handler must take `request: gr.Request`, received {handler.__qualname__}{signature}"
        )

    def request_of(args: tuple, kwargs: dict) -> Any:
        return signature.bind_partial(*args, **kwargs).arguments.get("request")

    if inspect.isasyncgenfunction(handler):

        @functools.wraps(handler)
        async def wrapped(*args, **kwargs):
            try:
                async for value in handler(*args, **kwargs):
                    yield value
            except Exception as error:
                raise translated(error, request_of(args, kwargs)) from error

    elif inspect.iscoroutinefunction(handler):

        @functools.wraps(handler)
        async def wrapped(*args, **kwargs):
            try:
                return await handler(*args, **kwargs)
            except Exception as error:
                raise translated(error, request_of(args, kwargs)) from error

    elif inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def wrapped(*args, **kwargs):
            try:
                yield from handler(*args, **kwargs)
            except Exception as error:
                raise translated(error, request_of(args, kwargs)) from error

    else:

        @functools.wraps(handler)
        def wrapped(*args, **kwargs):
            try:
                return handler(*args, **kwargs)
            except Exception as error:
                raise translated(error, request_of(args, kwargs)) from error

    return wrapped


def translated(error: Exception, request: Any) -> gr.Error:
    """The `gr.Error` a visitor sees for an exception; a `gr.Error` is passed through."""
    if isinstance(error, gr.Error):
        return error
    if isinstance(error, InputError):
        title, text = "refused", error.message(language_of(request))
    elif isinstance(error, MissingWeights | CorruptWeights):
        title, text = "model", str(error)
    else:
        # Where it happened, and no message: that may hold what the visitor sent.
        trace = error.__traceback__
        while trace and trace.tb_next:
            trace = trace.tb_next
        where = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "unknown place"
        _log.error("%s in an event handler at %s", type(error).__name__, where)
        title, text = "broken", T.say("broken_text", request, kind=type(error).__name__)
    # Gradio shows the message as HTML: a file name or a word of the visitor must stay text.
    return gr.Error(
        html.escape(text, quote=False), title=T.say(title, request), duration=12, print_exception=False
    )
