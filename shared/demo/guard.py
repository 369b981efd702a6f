"""What Gradio itself refuses before a handler runs, told as plainly as an app's own refusals.

A file that is no image, a path that was not uploaded, a choice that is not on the list: Gradio answers with
its internals (paths of the server included) and logs what was sent. Here the visitor reads what would work.
"""

from __future__ import annotations

import functools

import gradio as gr
from gradio.context import LocalContext

from shared.demo.i18n import Texts

T = Texts(
    en={
        "title": "This cannot be used",
        "text": "The input could not be read ({component}): the file may be damaged, empty or of another kind, or "
        "a value is not one of those offered. Use a file that opens on your own computer, and the values shown.",
    },
    es={
        "title": "Esto no se puede usar",
        "text": "No se pudo leer la entrada ({component}): el archivo puede estar dañado, vacío o ser de otro tipo, "
        "o un valor no es uno de los ofrecidos. Usa un archivo que se abra en tu propio ordenador y los valores "
        "mostrados.",
    },
)


def guard_inputs(blocks: gr.Blocks) -> None:
    """Make an app's refusals of malformed input friendly, and keep its internals and the input out of the log."""
    original = blocks.preprocess_data

    @functools.wraps(original)
    async def preprocess_data(block_fn, inputs, *args, **kwargs):
        try:
            return await original(block_fn, inputs, *args, **kwargs)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            request = LocalContext.request.get(None)
            kinds = ", ".join(dict.fromkeys(type(block).__name__ for block in block_fn.inputs))
            raise gr.Error(
                T.say("text", request, component=kinds),
                title=T.say("title", request),
                duration=12,
                print_exception=False,
            ) from error

    blocks.preprocess_data = preprocess_data
