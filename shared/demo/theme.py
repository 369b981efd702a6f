"""The one look of the gallery: colours, type and spacing, light and dark, from phone to desktop."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

SANS = ["ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "Liberation Mono", "monospace"]
CSS_PATH = Path(__file__).with_name("style.css")


def theme() -> gr.themes.Base:
    """Gradio's base theme in the gallery's colours, with the fonts every system has (no request outside)."""
    base = gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        secondary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.slate,
        radius_size=gr.themes.sizes.radius_md,
        spacing_size=gr.themes.sizes.spacing_md,
        text_size=gr.themes.sizes.text_md,
        font=SANS,
        font_mono=MONO,
    )
    return base.set(
        body_background_fill="#f7f8f9",
        body_background_fill_dark="#0e1316",
        body_text_color="#1b2529",
        body_text_color_dark="#e6ecee",
        body_text_color_subdued="#55646b",
        body_text_color_subdued_dark="#9fb0b7",
        background_fill_primary="#ffffff",
        background_fill_primary_dark="#151c20",
        background_fill_secondary="#f2f4f5",
        background_fill_secondary_dark="#1b2428",
        border_color_primary="#dde3e5",
        border_color_primary_dark="#2a363b",
        block_background_fill="#ffffff",
        block_background_fill_dark="#151c20",
        block_border_width="1px",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0px",
        block_label_text_color="#3c4a50",
        block_label_text_color_dark="#bccbd1",
        block_label_text_weight="600",
        block_title_text_color="#3c4a50",
        block_title_text_color_dark="#bccbd1",
        block_title_text_weight="600",
        block_shadow="none",
        button_primary_background_fill="#0f766e",
        button_primary_background_fill_hover="#115e59",
        button_primary_background_fill_dark="#14b8a6",
        button_primary_background_fill_hover_dark="#2dd4bf",
        button_primary_text_color="#ffffff",
        button_primary_text_color_dark="#06211f",
        button_secondary_background_fill="#eaeeef",
        button_secondary_background_fill_hover="#dde4e6",
        button_secondary_background_fill_dark="#243035",
        button_secondary_background_fill_hover_dark="#2e3c42",
        input_background_fill="#ffffff",
        input_background_fill_dark="#111719",
        input_border_color="#c3cdd1",
        input_border_color_dark="#3a4a51",
        link_text_color="#0f766e",
        link_text_color_dark="#2dd4bf",
        slider_color="#0f766e",
        slider_color_dark="#2dd4bf",
    )
