"""A photo input that hands over the file as it was sent; `shared.files.images` alone decides what it is."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import gradio as gr

from shared.demo.downloads import write_file
from shared.files.errors import InputError


def photo_input(**options: Any) -> gr.Image:
    """`gr.Image` for upload, webcam and clipboard whose handlers receive a path, or None.

    Gradio would open the file itself and answer a damaged one with an error in English that helps nobody.

    Args:
        **options: Arguments of `gr.Image`.
    """
    arguments = {"sources": ["upload", "webcam", "clipboard"], "type": "filepath", "image_mode": None}
    component = gr.Image(**(arguments | options))

    def preprocess(payload: Any) -> str | None:
        if payload is None:
            return None
        if payload.path:
            return payload.path
        return _write_data_url(payload.url or "")

    component.preprocess = preprocess
    return component


def _write_data_url(url: str) -> str:
    _, comma, encoded = url.partition(",")
    try:
        if not url.startswith("data:") or not comma:
            raise ValueError(url[:20])
        return write_file("photo", base64.b64decode(encoded, validate=True))
    except (ValueError, binascii.Error) as error:
        raise InputError(
            "Send a picture as a file or as a base64 data address.",
            "Envía una imagen como archivo o como dirección de datos en base64.",
        ) from error
