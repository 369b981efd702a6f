"""The image classification page as a visitor uses it: photo, explanation, several photos, a class of one's own."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

EXAMPLES = Path(__file__).resolve().parents[1] / "apps" / "image_classification" / "examples"
WAIT_MS = 120_000


@pytest.fixture
def visit(open_page, gallery_url):
    def opened(**options):
        page = open_page(**options)
        page.set_default_timeout(WAIT_MS)
        page.goto(f"{gallery_url}/image_classification/", wait_until="domcontentloaded")
        page.locator("#photo input[type=file]").first.wait_for(state="attached")
        return page

    return opened


def test_an_upload_is_answered_and_explained(visit):
    page = visit()
    page.locator("#photo input[type=file]").first.set_input_files(str(EXAMPLES / "china.jpg"))
    page.locator("#answer h2").wait_for()
    classes = page.locator("#class label")
    classes.nth(4).wait_for()
    assert classes.count() == 5
    heat = page.locator("#heat img")
    heat.wait_for()
    first = heat.get_attribute("src")
    classes.nth(1).click()
    page.wait_for_function(
        "before => document.querySelector('#heat img').getAttribute('src') !== before", arg=first
    )
    assert "Reading the photo" in page.locator("#remark").inner_text()


def test_an_example_chooses_its_model_and_the_json_can_be_taken(visit):
    page = visit()
    page.locator("#examples button").nth(2).click()
    page.locator("#heat img").wait_for()
    assert page.locator("#answer h2").inner_text().strip()
    assert "on validation" in page.locator("#remark").inner_text()
    page.get_by_text("Result as JSON").first.click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    assert '"model": "clothing"' in Path(download.value.path()).read_text()


def test_a_broken_file_is_refused_in_spanish(visit, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"this is no picture")
    page = visit(locale="es-ES")
    page.locator("#photo input[type=file]").first.set_input_files(str(broken))
    page.get_by_text("no es una imagen que se pueda leer").first.wait_for()


def test_several_photos_become_a_table_and_csv(visit, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"this is no picture")
    page = visit()
    page.get_by_role("tab", name="Several").click()
    files = [str(EXAMPLES / name) for name in ("dress.jpg", "shoes.jpg")]
    page.locator("#files input[type=file]").set_input_files([*files, str(broken)])
    page.locator("#files").get_by_text("broken").first.wait_for()
    page.get_by_role("button", name="Classify").locator("visible=true").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == 4
    assert "not a picture" in lines[3]
    page.locator("#table").get_by_text("shoes.jpg").first.wait_for()


def test_it_can_be_taught_on_a_phone_and_taken_home(visit):
    page = visit(width=390, height=840)
    tab = page.get_by_role("tab", name="Teach it yours")
    if not tab.first.is_visible():
        page.get_by_label("More tabs").click()
        tab = page.locator(".overflow-dropdown button", has_text="Teach it yours")
    tab.first.click()
    classes = {1: ["shoes.jpg"] * 3, 2: ["dress.jpg", "shirt.jpg", "t-shirt.jpg"]}
    for number, names in classes.items():
        box = page.locator(f"#teach-name-{number}").locator("input, textarea").first
        box.fill(f"kind {number}")
        upload = page.locator(f"#teach-photos-{number} input[type=file]").first
        upload.set_input_files([str(EXAMPLES / name) for name in names])
        page.locator(f"#teach-photos-{number} img").nth(2).wait_for()
    page.locator("#teach-learn").click()
    page.locator("#teach-verdict").get_by_text("of 6 photos were right").wait_for()
    page.locator("#teach-try input[type=file]").first.set_input_files(str(EXAMPLES / "shoes.jpg"))
    page.locator("#teach-answer h2").get_by_text("kind 1").wait_for()
    with page.expect_download() as download:
        page.get_by_role("button", name="Whole classifier (ONNX)").click()
    assert Path(download.value.path()).stat().st_size > 1e6
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
