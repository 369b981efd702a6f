"""Segmentation as a visitor meets it, on a desktop and on a phone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from shared.runtime.variants import list_variants

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not list_variants("segmentation"), reason="no variant is published"),
]
EXAMPLES = Path(__file__).resolve().parents[1] / "apps" / "segmentation" / "examples"
WAIT_MS = 30_000


def opened(page, gallery_url, query=""):
    page.goto(f"{gallery_url}/segmentation/{query}")
    page.locator("#photo").wait_for(timeout=WAIT_MS)
    return page


def answered(page, file=EXAMPLES / "crossing.jpg"):
    page.locator("#photo input[type=file]").first.set_input_files(str(file))
    page.locator("#legend table").wait_for(timeout=WAIT_MS)
    page.locator("#picture img").wait_for(timeout=WAIT_MS)
    return page


def wait_for_new_picture(page, before):
    page.wait_for_function(
        "before => { const i = document.querySelector('#picture img'); return i && i.src !== before; }",
        arg=page.evaluate("() => document.querySelector('#picture img').src") if before is None else before,
        timeout=WAIT_MS,
    )


def test_legend_downloads_and_full_size(page, gallery_url):
    answered(opened(page, gallery_url))
    legend = page.locator("#legend table").inner_text()
    assert "road" in legend
    assert "building" in legend
    assert "480 × 360" in page.locator("#summary").inner_text()
    with page.expect_download() as download:
        page.locator("#mask").click()
    with Image.open(download.value.path()) as mask:
        assert mask.mode == "P"
        assert mask.size == (480, 360)
        assert np.asarray(mask).max() <= 10
    with page.expect_download() as download:
        page.locator("#rle").click()
    content = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert sum(s["area_px"] for s in content["segments"]) == 480 * 360


def test_slider_view_and_filter_change_the_picture_only(page, gallery_url):
    answered(opened(page, gallery_url))
    time_shown = page.locator("#summary").inner_text()
    first = page.evaluate("() => document.querySelector('#picture img').src")
    page.locator("#opacity input[type=number]").fill("0.9")
    page.locator("#opacity input[type=number]").press("Enter")
    wait_for_new_picture(page, first)
    second = page.evaluate("() => document.querySelector('#picture img').src")
    page.locator("#view").get_by_text("Confidence", exact=True).click()
    wait_for_new_picture(page, second)
    page.locator("#legend .seg-scale").wait_for(timeout=WAIT_MS)
    third = page.evaluate("() => document.querySelector('#picture img').src")
    page.locator("#view").get_by_text("Classes", exact=True).click()
    wait_for_new_picture(page, third)
    page.locator("#classes").get_by_label("road").uncheck()
    page.locator("#legend tr.seg-off").wait_for(timeout=WAIT_MS)
    # The same network time: it did not run again.
    assert page.locator("#summary").inner_text() == time_shown


def test_a_click_names_the_region(page, gallery_url):
    answered(opened(page, gallery_url))
    box = page.locator("#picture img").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.93)
    page.locator("#region").get_by_text("road").first.wait_for(timeout=WAIT_MS)


def test_no_picture_is_refused_with_advice(page, gallery_url):
    opened(page, gallery_url).get_by_role("button", name="Segment", exact=True).click()
    page.get_by_text("Choose a picture first").wait_for(timeout=WAIT_MS)


def test_spanish_on_a_phone_without_sideways_scrolling(open_page, gallery_url):
    page = open_page(width=390, height=844, locale="es-ES")
    answered(opened(page, gallery_url), EXAMPLES / "dusk.jpg")
    legend = page.locator("#legend table").inner_text()
    assert "calzada" in legend
    assert "Superficie" in legend
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_large_upright_picture_keeps_its_size(page, gallery_url, tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (1500, 900, 3)).astype(np.uint8)
    Image.fromarray(values).save(tmp_path / "upright.png")
    answered(opened(page, gallery_url), tmp_path / "upright.png")
    assert "900 × 1500" in page.locator("#summary").inner_text()
    with page.expect_download() as download:
        page.locator("#mask").click()
    with Image.open(download.value.path()) as mask:
        assert mask.size == (900, 1500)
