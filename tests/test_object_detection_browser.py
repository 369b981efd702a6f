"""The page in a real browser: upload, boxes, sliders that do not run the network again, filter, downloads."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.browser
EXAMPLES = Path(__file__).resolve().parents[1] / "apps" / "object_detection" / "examples"
SMEAR = EXAMPLES / "BloodImage_00226.jpg"
WAIT_MS = 120_000
COUNT = re.compile(r": (\d+), ")
"""What the summary says of the count; while an answer is awaited, a clock with digits stands there."""


def opened(page, gallery_url):
    page.set_default_timeout(WAIT_MS)
    page.goto(f"{gallery_url}/object_detection/")
    page.wait_for_selector("#photo input[type=file]", state="attached")
    return page


def upload(page, *files):
    page.locator("#photo input[type=file]").first.set_input_files([str(f) for f in files])
    return shown(page, COUNT.search)


def shown(page, wanted):
    """The summary once it says what is wanted."""
    for _ in range(int(WAIT_MS / 250)):
        text = page.locator("#summary").inner_text()
        if wanted(text):
            return text
        page.wait_for_timeout(250)
    pytest.fail(f"the summary still says {text!r}")


def found(text):
    return int(COUNT.search(text)[1])


def set_slider(page, name, value):
    box = page.locator(f"#{name} input[type=number]")
    box.fill(str(value))
    box.press("Enter")


def downloaded(page, button):
    with page.expect_download() as waiting:
        page.locator(button).click()
    return Path(waiting.value.path()).read_bytes()


def test_sliders_and_filter_act_without_running_the_network_again(page, gallery_url):
    opened(page, gallery_url)
    before = upload(page, SMEAR)
    count = found(before)
    assert 12 <= count <= 20
    network = re.search(r"(\d+) ms", before)[1]
    set_slider(page, "one-score", 0.85)
    strict = shown(page, lambda text: COUNT.search(text) and found(text) < count)
    assert 1 <= found(strict) < 8
    # The time of the one run of the network is still what is told.
    assert re.search(r"(\d+) ms", strict)[1] == network
    set_slider(page, "one-score", 0.5)
    shown(page, lambda text: COUNT.search(text) and found(text) == count)
    page.locator("#one-classes").get_by_label("RBC").uncheck()
    filtered = shown(page, lambda text: COUNT.search(text) and found(text) < count)
    assert found(filtered) == 2
    assert "RBC" in page.locator("#counts").inner_text()


def test_downloads_agree_with_what_is_shown(page, gallery_url):
    opened(page, gallery_url)
    count = found(upload(page, SMEAR))
    page.wait_for_selector("#coco")
    coco = json.loads(downloaded(page, "#coco"))
    assert len(coco["annotations"]) == count
    assert coco["images"][0]["width"] == 640
    assert {c["name"] for c in coco["categories"]} == {"RBC", "WBC", "Platelets"}
    rows = list(csv.DictReader(io.StringIO(downloaded(page, "#csv").decode())))
    assert len(rows) == count
    assert all(0 <= float(r["x_min"]) < float(r["x_max"]) <= 640 for r in rows)
    picture = Image.open(io.BytesIO(downloaded(page, "#png")))
    assert picture.size == (640, 480)
    assert picture.format == "PNG"


def test_a_file_that_is_no_picture_is_refused_in_words(page, gallery_url, tmp_path):
    opened(page, gallery_url)
    (tmp_path / "notes.png").write_text("no picture at all")
    page.locator("#photo input[type=file]").first.set_input_files(str(tmp_path / "notes.png"))
    page.get_by_text("not a picture that can be read").first.wait_for()


def test_several_pictures_to_a_table_that_names_the_unreadable(page, gallery_url, tmp_path):
    opened(page, gallery_url)
    (tmp_path / "broken.jpg").write_bytes(SMEAR.read_bytes()[:4000])
    page.get_by_role("tab", name="Several pictures").click()
    page.locator("#files input[type=file]").set_input_files([str(SMEAR), str(tmp_path / "broken.jpg")])
    page.locator("#files").get_by_text("broken").first.wait_for()
    page.get_by_role("button", name="Find objects").last.click()
    table = page.locator("#table")
    # Gradio measures its columns with a hidden copy of the first rows.
    table.get_by_text("BloodImage_00226.jpg").locator("visible=true").first.wait_for()
    assert "damaged" in table.inner_text()


def test_spanish_on_a_phone(open_page, gallery_url):
    page = opened(open_page(width=390, height=844, locale="es-ES"), gallery_url)
    text = upload(page, SMEAR)
    assert text.startswith("Objetos encontrados")
    assert "glóbulos rojos" in page.locator("#counts").inner_text()
    assert "significado" in page.locator("#counts").inner_text().lower()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_preset_is_refused_plainly_without_a_network(page, gallery_url):
    opened(page, gallery_url)
    upload(page, SMEAR)
    page.get_by_text("Another detector").click()
    page.locator("#preset input, #preset textarea").first.fill("../../etc")
    page.locator("#preset input, #preset textarea").first.press("Enter")
    page.get_by_text("no Keras-Hub detector named").first.wait_for()
