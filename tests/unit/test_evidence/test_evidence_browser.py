"""The report in a real browser: axe-core finds nothing serious, nothing is wider than the screen, keys reach it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from islanding.evidence.controls import load_controls
from islanding.evidence.html import render_html
from islanding.evidence.results import load_result
from islanding.evidence.wording import LANGUAGES

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine (Debian: chromium)")
SCREENS = [(1280, 900), (390, 844)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all checks."""
    with sync_playwright() as driver:
        # As root, which this harness is, Chromium starts without its sandbox only; the page is our own file.
        made = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture(scope="module")
def pages(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report of the realistic run in each language, with all its sections."""
    folder = tmp_path_factory.mktemp("pages")
    result = load_result(run_folder)
    before = load_result(run_folder)
    before.parts, before.revision = {}, "before"
    made = {}
    for lang in LANGUAGES:
        made[lang] = folder / f"{lang}.html"
        made[lang].write_text(render_html(result, lang=lang, previous=before, controls=load_controls()))
    return made


def shown(browser: Browser, path: Path, width: int, height: int, scheme: str) -> Page:
    """The page as a reader of that screen sees it, with every part laid out."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]  # one of light, dark
    page = context.new_page()
    page.goto(path.as_uri())
    page.add_style_tag(content=".case { content-visibility: visible !important; }")
    return page


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_axe_finds_nothing_serious_and_nothing_is_too_wide(
    browser: Browser, pages: dict[str, Path], lang: str, scheme: str, width: int, height: int
) -> None:
    """No serious or critical violation, in each language, light and dark, wide and narrow; no sideways scrolling."""
    page = shown(browser, pages[lang], width, height, scheme)
    found = Axe().run(page).response

    assert [
        (v["id"], [node["html"][:200] for node in v["nodes"][:3]])
        for v in found["violations"]
        if v["impact"] in ("serious", "critical")
    ] == []
    assert len(found["passes"]) > 15
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


def test_the_first_key_leads_past_the_first_page(browser: Browser, pages: dict[str, Path]) -> None:
    """Tab shows the skip link, Enter follows it; then each fold is reached by keys."""
    page = shown(browser, pages["en"], 1280, 900, "light")
    page.keyboard.press("Tab")
    focused = page.evaluate("[document.activeElement.className, document.activeElement.getBoundingClientRect().top]")
    page.keyboard.press("Enter")

    assert focused[0] == "skip"
    assert focused[1] >= 0
    page.wait_for_url(
        "**/en.html#requirements", wait_until="commit"
    )  # which the browser's window learns a little later
    assert page.evaluate("[...document.querySelectorAll('summary')].every(fold => fold.tabIndex >= 0)")
    page.context.close()


def test_the_first_page_fits_a_screen(browser: Browser, pages: dict[str, Path]) -> None:
    """What was proven, what was not and what changed are seen without scrolling on a screen of 1280 by 900."""
    for lang in LANGUAGES:
        page = shown(browser, pages[lang], 1280, 900, "light")

        assert page.evaluate("document.querySelector('section.head').getBoundingClientRect().bottom") <= 900
        page.context.close()
