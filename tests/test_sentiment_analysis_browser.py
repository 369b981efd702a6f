"""Sentiment analysis as a visitor meets it, on a desktop and on a phone."""

from __future__ import annotations

import json

import pytest

from shared.files.tables import read_table
from shared.runtime.variants import list_variants

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not list_variants("sentiment_analysis"), reason="no variant is published"),
]

WAIT_MS = 30_000


def opened(page, gallery_url, query=""):
    page.goto(f"{gallery_url}/sentiment_analysis/{query}")
    page.locator("#sa-text textarea").wait_for(timeout=WAIT_MS)
    return page


def read(page, text):
    page.locator("#sa-text textarea").fill(text)
    page.locator("#sa-read").click()
    page.locator("#sa-answer .sa-card").wait_for(timeout=WAIT_MS)


def test_a_verdict_with_coloured_words_and_a_download(page, gallery_url):
    opened(page, gallery_url)
    read(page, "A warm, funny and moving film.")
    answer = page.locator("#sa-answer")
    assert answer.locator(".sa-verdict strong").inner_text() == "Positive"
    assert answer.locator("mark.sa-f").count() >= 1
    with page.expect_download() as download:
        page.get_by_role("button", name="Download JSON").click()
    with open(download.value.path(), encoding="utf-8") as stream:
        values = json.load(stream)
    assert values["classes"][0]["label"] == "positive"
    assert values["words"][0]["text"] == "A"


def test_markup_of_a_visitor_stays_text(page, gallery_url):
    opened(page, gallery_url)
    read(page, "<img src=x onerror=window.hit=1> a <b>great</b> film")
    assert page.evaluate("window.hit") is None
    assert "<b>great</b>" in page.locator("#sa-answer .sa-words").inner_text()


def test_empty_text_is_refused_with_advice(page, gallery_url):
    opened(page, gallery_url)
    page.locator("#sa-read").click()
    page.get_by_text("Write or paste a sentence").wait_for(timeout=WAIT_MS)


def test_a_long_text_has_a_timeline_and_spanish_a_warning(page, gallery_url):
    opened(page, gallery_url)
    page.get_by_role("button", name="Long review").click()
    page.wait_for_function("document.querySelector('#sa-text textarea').value.length > 500")
    page.locator("#sa-read").click()
    page.locator("#sa-answer .sa-line").wait_for(timeout=WAIT_MS)
    assert page.locator("#sa-answer .sa-line i").count() > 5
    page.get_by_role("button", name="Español", exact=True).click()
    page.wait_for_function("document.querySelector('#sa-text textarea').value.includes('película')")
    page.locator("#sa-read").click()
    page.get_by_text("This looks like Spanish").wait_for(timeout=WAIT_MS)


def test_a_table_comes_back_with_answers(page, gallery_url):
    opened(page, gallery_url)
    page.get_by_role("tab", name="A table of texts").click()
    rows = "id,review\n1,A gripping and beautiful film.\n2,\n3,A dull and lifeless film.\n"
    page.locator("input[type=file]").last.set_input_files(
        {"name": "mine.csv", "mimeType": "text/csv", "buffer": rows.encode()}
    )
    page.get_by_text("3 rows and 2 columns were read").wait_for(timeout=WAIT_MS)
    page.locator("#sa-classify").click()
    page.get_by_text("Rows without a text, left without an answer: 1").wait_for(timeout=WAIT_MS)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the whole table").click()
    table = read_table(download.value.path())
    assert table.column("sentiment") == ["positive", "", "negative"]


def test_a_phone_in_spanish(open_page, gallery_url):
    page = opened(open_page(width=390, height=844, locale="es-ES"), gallery_url)
    read(page, "A dull, lazy and lifeless film.")
    assert page.locator("#sa-answer .sa-verdict strong").inner_text() == "Negativo"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
