"""Facts of a published model in a few words: what it scored, how large it is, how fast it answers."""

from __future__ import annotations

import html

from shared.demo.i18n import both
from shared.runtime.predictor import ModelStore
from shared.runtime.variants import Variant


def megabytes(size: int) -> str:
    """Bytes as `4.9 MB`."""
    return f"{size / 1e6:.1f} MB" if size < 99.5e6 else f"{size / 1e6:.0f} MB"


def variant_label(variant: Variant) -> str:
    """Name and size of a variant, for a choice."""
    return f"{variant.name} · {megabytes(variant.onnx_bytes())}"


def facts_html(models: ModelStore) -> str:
    """A line a variant."""
    rows = "".join(f"<li>{html.escape(variant_label(v))}</li>" for v in models.variants.values())
    return f"<footer><h2>{both('The models', 'Los modelos')}</h2><ul>{rows}</ul></footer>"
