"""Recommendation as a visitor meets it, on a desktop and on a phone."""

from __future__ import annotations

import json
import re

import pytest

from shared.runtime.variants import list_variants

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not list_variants("recommendation"), reason="no variant is published"),
]

WAIT_MS = 60_000


def opened(page, gallery_url, query=""):
    page.goto(f"{gallery_url}/recommendation/{query}")
    page.locator("#rc-answer .rc-card").first.wait_for(timeout=WAIT_MS)
    return page


def titles(page):
    return page.locator("#rc-answer .rc-name").all_inner_texts()


def rate(page, words, stars):
    page.locator("#rc-search input, #rc-search textarea").first.fill(words)
    control = page.locator("#rc-found .rc-stars").first
    control.wait_for(timeout=WAIT_MS)
    box = control.locator("button").nth(stars - 1).bounding_box()
    page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)


def test_stars_change_the_list_and_give_reasons(page, gallery_url):
    opened(page, gallery_url)
    before = titles(page)
    assert len(before) == 10
    rate(page, "matrix 1999", 5)
    page.locator("#rc-mine li").first.wait_for(timeout=WAIT_MS)
    page.get_by_text("because you liked The Matrix").first.wait_for(timeout=WAIT_MS)
    assert titles(page) != before
    assert "The Matrix" not in titles(page)
    predicted = float(page.locator("#rc-answer .rc-predicted b").first.inner_text())
    assert 0.5 <= predicted <= 5


def test_half_stars_and_removal(page, gallery_url):
    opened(page, gallery_url)
    rate(page, "matrix 1999", 5)
    row = page.locator("#rc-mine li").first
    row.wait_for(timeout=WAIT_MS)
    box = row.locator(".rc-stars button").nth(2).bounding_box()
    page.mouse.click(box["x"] + 0.2 * box["width"], box["y"] + box["height"] / 2)
    third = row.locator(".rc-stars button").nth(2).locator(".rc-on")
    page.wait_for_function(
        "e => e.style.clipPath.includes('50%')", arg=third.element_handle(), timeout=WAIT_MS
    )
    row.get_by_role("button", name="Remove").click()
    page.get_by_text("Nothing rated yet").wait_for(timeout=WAIT_MS)


def test_profile_lists_dismissal_similar_and_download(page, gallery_url):
    opened(page, gallery_url)
    page.get_by_label("Gangsters and noir").click()
    page.get_by_text(re.compile("From 7 ratings")).wait_for(timeout=WAIT_MS)
    first = titles(page)[0]
    page.get_by_role("button", name=f"Not interested: {first}").click()
    page.wait_for_function(
        "t => !document.querySelector('#rc-answer').innerText.includes(t)", arg=first, timeout=WAIT_MS
    )
    page.get_by_label("Before 1980").click()
    page.get_by_role("heading", name="Before 1980").wait_for(timeout=WAIT_MS)
    years = [int(y) for y in page.locator("#rc-answer .rc-year").all_inner_texts()]
    assert years
    assert max(years) <= 1979
    with page.expect_download() as download:
        page.get_by_role("button", name="List as JSON").click()
    with open(download.value.path(), encoding="utf-8") as stream:
        values = json.load(stream)
    assert values["list"] == "classics"
    assert [row["year"] for row in values["items"]] == years
    page.locator("#rc-answer").get_by_role("button", name="Similar").first.click()
    page.get_by_role("heading", name=re.compile("Films like")).wait_for(timeout=WAIT_MS)
    page.get_by_role("button", name="Back to the list").click()
    page.get_by_role("heading", name="For you").wait_for(timeout=WAIT_MS)


def test_the_map_has_films_and_you(page, gallery_url):
    opened(page, gallery_url)
    page.get_by_label("Nights of horror").click()
    page.get_by_text(re.compile("From 7 ratings")).wait_for(timeout=WAIT_MS)
    page.get_by_role("tab", name="Map").click()
    page.locator("#rc-map .rc-you").wait_for(timeout=WAIT_MS)
    assert page.locator("#rc-map .rc-dot").count() > 500
    assert page.locator("#rc-map .rc-pick").count() >= 5


def test_an_upload_and_a_refused_one(page, gallery_url, tmp_path):
    opened(page, gallery_url)
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("title,rating\nThe Matrix (1999),5\nNo Such Film,3\n", encoding="utf-8")
    bad.write_text("film,comment\nx,y\n", encoding="utf-8")
    page.locator("#rc-upload input[type=file]").set_input_files(str(bad))
    page.get_by_text("needs a column rating").first.wait_for(timeout=WAIT_MS)
    page.reload()
    page.locator("#rc-answer .rc-card").first.wait_for(timeout=WAIT_MS)
    page.locator("#rc-upload input[type=file]").set_input_files(str(good))
    page.locator("#rc-mine li").first.wait_for(timeout=WAIT_MS)
    page.get_by_text("2 rows read: 1 films taken over").first.wait_for(timeout=WAIT_MS)


def test_spanish_on_a_phone_without_sideways_scrolling(open_page, gallery_url):
    page = open_page(width=390, height=844, locale="es-ES")
    opened(page, gallery_url)
    page.get_by_role("heading", name="Noche de cine").wait_for(timeout=WAIT_MS)
    page.get_by_label("Historias de amor").click()
    page.get_by_text(re.compile("porque te gustó")).first.wait_for(timeout=WAIT_MS)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
