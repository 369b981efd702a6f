"""The page in a headless Chromium: a real clip from an example, and the fake microphone playing another one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from shared.files.audio import load_audio
from tests.conftest import chromium_path

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
EXAMPLES = Path(__file__).resolve().parents[1] / "apps" / "speech_to_text" / "examples"
VOICES = json.loads((EXAMPLES / "voices.json").read_text(encoding="utf-8"))
PATIENCE_MS = 180_000


def open_app(page, url: str) -> None:
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{url}/speech_to_text/")
    page.wait_for_selector("#st-transcribe")


def transcribe_example(page, name: str = "LibriSpeech") -> None:
    page.locator("#st-examples").get_by_text(name).first.click()
    page.wait_for_selector("#st-audio audio", state="attached")
    page.wait_for_timeout(1500)
    page.locator("#st-transcribe").click()
    page.wait_for_selector("#st-answer .st-word")


def test_example_to_words_captions_and_downloads(page, gallery_url):
    open_app(page, gallery_url)
    transcribe_example(page)
    answer = page.locator("#st-answer")
    assert "royal mandate" in answer.inner_text().lower()
    assert page.evaluate("document.querySelector('.st-player').textTracks[0].mode") == "showing"
    page.wait_for_function("document.querySelector('.st-player').textTracks[0].cues?.length > 0")
    # A word takes the player to its time.
    word = answer.locator(".st-word").nth(10)
    word.click()
    page.wait_for_function(
        "at => document.querySelector('.st-player').currentTime >= at - 0.01",
        arg=float(word.get_attribute("data-at")),
    )
    with page.expect_download() as waiting:
        page.get_by_role("button", name="JSON", exact=True).click()
    result = json.loads(Path(waiting.value.path()).read_text(encoding="utf-8"))
    assert "royal mandate" in result["text"].lower()
    page.locator("#st-said textarea").fill(result["text"] + " indeed")
    page.locator("#st-count").click()
    page.wait_for_selector("#st-errors .st-rate")
    assert "1 missing" in page.locator("#st-errors").inner_text()


def test_fits_a_phone_in_spanish(open_page, gallery_url):
    page = open_page(width=390, locale="es-ES")
    open_app(page, gallery_url)
    transcribe_example(page)
    page.wait_for_timeout(500)
    width, content = page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
    assert content <= width
    assert "palabras" in page.locator("#st-answer .st-facts").inner_text()


def test_nothing_recorded_is_told_plainly(page, gallery_url):
    open_app(page, gallery_url)
    page.locator("#st-transcribe").click()
    page.get_by_text("Record something or choose a file first").first.wait_for()


def test_fake_microphone_is_heard(browser, gallery_url, tmp_path):
    """Chromium's microphone plays a real clip: live dictation shows its words."""
    soundfile = pytest.importorskip("soundfile")
    sound = np.concatenate([load_audio(EXAMPLES / "librispeech.opus"), np.zeros(16_000, np.float32)])
    soundfile.write(tmp_path / "voice.wav", sound, 16_000, subtype="PCM_16")
    arguments = [
        "--no-sandbox",
        "--disable-gpu",
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={tmp_path / 'voice.wav'}",
    ]
    chromium = browser.browser_type.launch(executable_path=chromium_path(), args=arguments)
    try:
        page = chromium.new_page(locale="en-US")
        open_app(page, gallery_url)
        page.get_by_role("tab", name="Live dictation").click()
        page.locator("#st-live-audio .record-button").click()
        # The clip plays over and over; words settle while the recording goes on.
        page.wait_for_function(
            "(document.querySelector('#st-live .st-settled')?.textContent || '').split(' ').length >= 6"
        )
        page.locator("#st-live-audio .stop-button").click()
        heard = set(re.findall(r"\w+", page.locator("#st-live").inner_text().lower()))
    finally:
        chromium.close()
    said = set(VOICES[0]["text"].split())
    assert len(heard & said) >= 4, heard
