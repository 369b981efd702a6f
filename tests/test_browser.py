"""The pages as people meet them, in a headless Chromium: front page, languages, schemes, keyboard, phone."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from apps import list_apps
from tests.conftest import running
from tests.made_up_apps import write_apps

pytestmark = pytest.mark.browser
ROOT = Path(__file__).resolve().parents[1]

# WCAG contrast of an element's text against the nearest painted background.
CONTRAST = """(element) => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((v) => {
    v /= 255; return v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  }).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  let node = element, background = [255, 255, 255, 1];
  while (node) {
    const color = parse(getComputedStyle(node).backgroundColor);
    if (color.length === 3 || color[3] > 0.95) { background = color; break; }
    node = node.parentElement;
  }
  const values = [luminance(parse(getComputedStyle(element).color)), luminance(background)].sort((a, b) => b - a);
  return (values[0] + 0.05) / (values[1] + 0.05);
}"""


@pytest.fixture(scope="module")
def made_up_url(tmp_path_factory):
    """A gallery of the made-up apps, so that these tests need no trained model."""
    folder = tmp_path_factory.mktemp("made-up")
    write_apps(folder)
    command = [sys.executable, str(ROOT / "tests" / "serve_made_up.py"), str(folder)]
    with running(command, folder / "log.txt") as url:
        yield url


def assert_fits(page) -> None:
    """Nothing hangs over the right edge."""
    page.wait_for_timeout(200)
    width, content = page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
    assert content <= width, f"the page is {content} px wide in a window of {width} px"


def assert_readable(page, selectors: str) -> None:
    """Every matching visible text has at least the contrast WCAG AA asks of body text."""
    checked = 0
    for element in page.query_selector_all(selectors):
        if element.is_visible() and (element.inner_text() or "").strip():
            ratio = element.evaluate(CONTRAST)
            assert ratio >= 4.5, f"contrast {ratio:.2f} of {element.inner_text()[:40]!r}"
            checked += 1
    assert checked


# --- Front page ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390], ids=["desktop", "phone"])
def test_front_page_fits_and_reads(open_page, made_up_url, width, dark):
    page = open_page(width=width, dark=dark)
    page.goto(made_up_url)
    assert page.locator("li.card").count() == 3
    assert_fits(page)
    assert_readable(page, "h1, .lead, .card h2, .card p, .card dt, .card dd, .links a, .g-bar a, footer p")
    brightness = page.evaluate(
        "getComputedStyle(document.documentElement).backgroundColor.match(/\\d+/g).map(Number)"
    )
    assert (max(brightness) < 60) == dark


def test_front_page_speaks_the_browsers_language_and_the_switch_changes_it(open_page, made_up_url):
    page = open_page(locale="es-ES")
    page.goto(made_up_url)
    assert page.locator("h1").inner_text() == "Galería Keras"
    assert page.locator("html").get_attribute("lang") == "es"
    page.get_by_role("link", name="English").click()
    page.wait_for_function("document.documentElement.lang === 'en'")
    assert page.locator("h1").inner_text() == "Keras Gallery"
    assert page.get_by_role("link", name="English").get_attribute("aria-current") == "true"
    page.reload()
    assert page.locator("h1").inner_text() == "Keras Gallery"


def test_front_page_works_from_the_keyboard(page, made_up_url):
    page.goto(made_up_url)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "g-skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.card h2') !== null")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineWidth")
    assert float(outline.removesuffix("px")) >= 2


def test_front_page_has_landmarks_names_and_alternatives(page, made_up_url):
    page.goto(made_up_url)
    for role in ("banner", "navigation", "main", "contentinfo"):
        assert page.get_by_role(role).count() == 1, role
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.get_by_role("listitem").count() == 3
    assert all(i.get_attribute("alt") for i in page.query_selector_all("img"))
    names = page.evaluate("[...document.querySelectorAll('a, button')].map((e) => e.textContent.trim())")
    assert all(names)
    cards = [re.sub(r"\\s+", " ", name) for name in names if name.startswith("Model card")]
    assert len(cards) == len(set(cards)) == 2  # "Model card: Greeter", not twice the same words.


def test_scheme_can_be_chosen_and_holds_on_every_page(open_page, made_up_url):
    page = open_page(dark=False)
    page.goto(made_up_url)
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    page.get_by_role("link", name="Greeter", exact=True).first.click()
    page.wait_for_selector(".g-facts")
    assert page.evaluate("document.body.classList.contains('dark')")
    page.get_by_role("button", name="Light or dark").click()
    assert not page.evaluate("document.body.classList.contains('dark')")
    page.goto(made_up_url)
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"


# --- An app's page ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "dark", "locale"), [(1280, False, "en-US"), (390, True, "es-ES")])
def test_app_page_fits_reads_and_answers(open_page, made_up_url, width, dark, locale):
    page = open_page(width=width, dark=dark, locale=locale)
    page.goto(f"{made_up_url}/greeter/")
    spanish = locale.startswith("es")
    page.get_by_label("Tu nombre" if spanish else "Your name").fill("Ana")
    page.get_by_role("button", name="Saludar" if spanish else "Greet", exact=True).click()
    expected = "Hola Ana" if spanish else "Hello Ana"
    page.wait_for_function(
        f"document.querySelector('[data-testid=textbox], textarea') !== null && "
        f"[...document.querySelectorAll('textarea, input')].some((e) => e.value === '{expected}')"
    )
    assert_fits(page)
    assert_readable(page, ".g-title h1, .g-subtitle p, .g-facts td, .g-facts p, .g-bar a, label span")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").or_(
            page.get_by_role("link", name="Download")
        ).first.click()
    assert Path(download.value.path()).read_text(encoding="utf-8") == expected


def test_language_switch_of_an_app_page(open_page, made_up_url):
    page = open_page(locale="en-US")
    page.goto(f"{made_up_url}/greeter/")
    page.get_by_role("link", name="Español").click()
    page.get_by_role("button", name="Saludar", exact=True).wait_for()
    assert page.locator("h1").inner_text() == "Saludador"
    assert page.get_by_text("Coloque la imagen aquí").or_(page.get_by_text("Suelta")).count() >= 1
    page.get_by_role("link", name="Todas las apps").click()
    page.get_by_role("heading", name="Galería Keras").wait_for()


def test_refusal_is_shown_in_a_notice(page, made_up_url):
    page.goto(f"{made_up_url}/greeter/")
    page.get_by_role("button", name="Greet", exact=True).click()
    page.get_by_test_id("toast-text").get_by_text("The name is empty: type one.").wait_for()


def test_api_page_and_its_panel_ask_nobody_else(page, made_up_url):
    page.goto(f"{made_up_url}/docs")
    page.get_by_text("Greet somebody.").wait_for()
    assert_fits(page)
    page.goto(f"{made_up_url}/greeter/")
    page.get_by_text("Use via API").click()
    page.get_by_text("/predict").first.wait_for()
    page.wait_for_timeout(1000)


def test_the_browser_harness_notices_outside_requests(browser):
    """The guard itself: a page that asks another host must be caught (the request goes nowhere)."""
    asked = []
    context = browser.new_context()
    context.on("request", lambda request: asked.append(request.url))
    context.route("**/*", lambda route: route.abort())
    fresh = context.new_page()
    fresh.set_content('<img src="http://elsewhere.invalid/pixel.png">')
    fresh.wait_for_timeout(300)
    context.close()
    assert asked == ["http://elsewhere.invalid/pixel.png"]


# --- The real gallery ------------------------------------------------------------------------------------


@pytest.mark.parametrize("app", [app for app in list_apps() if app.variants()], ids=lambda app: app.name)
@pytest.mark.parametrize(("width", "locale"), [(1280, "en-US"), (390, "es-ES")], ids=["desktop", "phone"])
def test_every_finished_app_opens(open_page, gallery_url, app, width, locale):
    page = open_page(width=width, locale=locale, dark=width == 390)
    page.goto(f"{gallery_url}/{app.name}/", timeout=120_000)
    page.wait_for_selector(".g-facts", timeout=60_000)
    assert page.locator("h1").first.inner_text() == app.title[locale[:2]]
    assert "__i18n__" not in page.locator("body").inner_text()
    assert_fits(page)
