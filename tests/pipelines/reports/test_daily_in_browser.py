import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.reports.daily import render_days
from tests.pipelines.reports.fleet import ON, full_day

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"),
]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "2026-05-14.html"
    generated_at = datetime(2026, 5, 15, 2, tzinfo=UTC)
    [(_, html)] = render_days(full_day(), [ON], time_zone="UTC", generated_at=generated_at)
    file.write_text(html, encoding="utf-8")
    return file


def test_page_opens_offline_without_a_word_in_the_console_on_desk_phone_and_in_the_dark(page_file):
    from playwright.sync_api import sync_playwright

    seen: list[str] = []
    backgrounds = {}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width, scheme in ((1280, "light"), (390, "light"), (1280, "dark")):
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page = context.new_page()
            page.on("console", lambda message: seen.append(message.text))
            page.on("pageerror", lambda error: seen.append(str(error)))
            page.on("request", lambda request: seen.append(request.url))
            page.goto(page_file.as_uri())
            assert seen == [page_file.as_uri()]
            seen.clear()
            # Wide tables scroll inside themselves, not the page.
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.locator("figure svg").count() == 3
            assert page.evaluate(
                "[...document.querySelectorAll('figure svg')].every(s => s.getBBox().width > 300)"
            )
            backgrounds[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
            context.close()
        browser.close()
    assert backgrounds["light"] != backgrounds["dark"]


def test_printed_page_is_light_and_cuts_nothing_off(page_file):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        # A4 less the margins, at 96 pixels an inch.
        page = browser.new_page(viewport={"width": 703, "height": 1016}, color_scheme="dark")
        page.emulate_media(media="print")
        page.goto(page_file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 703
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        # The SQL behind the page is for who can run it.
        assert page.locator("#questions-section").is_hidden()
        browser.close()
