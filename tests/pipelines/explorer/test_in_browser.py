"""The explorer in a real browser: every page at every width, without a mouse, without a script, and along its links."""

import re
import shutil
import socket
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from pipelines.explorer.app import explorer
from pipelines.explorer.page import pages
from pipelines.project import Project
from tests.pipelines.small import query

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (apt-get install chromium)"),
]
SPAN = "from=2026-11-02&to=2026-11-02"
SPENT = "SELECT sum(usd) FROM mart.spend_daily WHERE accrued_on = DATE '2026-11-02'"
VIEWS = [f"{page.path}?{SPAN}" for page in pages()] + [
    "/request?id=f2",
    "/sql?q=FROM+mart.cost_per_token_daily",
    f"/spend?{SPAN}&against=previous&by=component",
]


@pytest.fixture(scope="module")
def address(company: Project) -> Iterator[str]:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    config = uvicorn.Config(explorer(company), log_level="error", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


def axe() -> str:
    import axe_playwright_python

    return (Path(str(axe_playwright_python.__file__)).parent / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (320, "dark")])
def test_every_page_is_quiet_fits_and_passes_axe(address: str, browser: Any, width: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    said, asked = [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    script = axe()
    for view in VIEWS:
        page.goto(address + view)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view
        page.evaluate(script)
        found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
        assert [(one["id"], one["nodes"][0]["html"]) for one in found] == [], view
    context.close()

    assert said == []
    assert [url for url in asked if not url.startswith(address)] == []


def test_links_lead_from_the_whole_to_a_request_and_back(
    address: str, browser: Any, company: Project
) -> None:
    page = browser.new_page()
    page.goto(f"{address}/spend?{SPAN}&by=provider")
    ((spent,),) = query(company, SPENT)
    assert Decimal(page.locator("[data-tiles=total] data").first.get_attribute("value")) == spent
    page.get_by_role("link", name="lambda", exact=True).click()
    assert page.locator(".chip").inner_text().startswith("Provider: lambda")
    assert "by=model" in page.url
    page.go_back()
    assert page.locator(".chip").count() == 0
    page.locator(".chart a").first.hover()
    assert re.fullmatch(r"\w+, day of 2026-11-02: \$[\d,.]+", page.locator(".tip").inner_text())
    page.locator(".chart").first.focus()
    page.keyboard.press("ArrowLeft")
    assert page.locator(".tip").inner_text() != ""
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.wait_for_url("**/requests?**")
    page.locator("[data-table=dearest] a").first.click()
    page.wait_for_url("**/request?**id=**")
    assert page.locator("section.attempt").count() == 1
    figure = page.locator("#lines")
    figure.get_by_text("Show the SQL").click()
    figure.get_by_role("link", name="Open it in SQL").click()
    page.get_by_role("button", name="Run").click()
    page.wait_for_selector("[data-table=answer] tbody tr")
    shown = page.locator("[data-table=answer] tbody tr").count()
    page.go_back()
    page.go_back()
    assert page.locator("[data-table=lines] tbody tr").count() == shown
    with page.expect_download() as download:
        page.locator("#lines .files a").first.click()
    assert Path(download.value.path()).read_text(encoding="utf-8").count("\n") == shown + 1
    page.close()


def test_tables_sort_and_the_keyboard_is_enough(address: str, browser: Any) -> None:
    page = browser.new_page()
    page.goto(f"{address}/spend?{SPAN}&by=provider")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.locator("select[name=by]").focus()
    page.keyboard.press("m")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Show").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**by=model**")
    heading = page.locator("[data-table=parts] thead button").nth(1)
    heading.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    values = [
        Decimal(value.get_attribute("value"))
        for value in page.locator("[data-table=parts] tbody td[data-column=usd] data").all()
    ]
    assert values == sorted(values)
    page.get_by_role("link", name="SQL", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/sql**")
    page.get_by_label("Query").fill("SELECT 41 + 1 AS answer")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("[data-table=answer]")
    assert page.locator("[data-table=answer] tbody td").inner_text() == "42"
    page.close()


def test_pages_work_without_a_script(address: str, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/spend?{SPAN}")
    page.locator("select[name=by]").select_option("route")
    page.get_by_role("button", name="Show").click()
    assert page.get_by_role("heading", name="By route", exact=True).count() == 1
    page.get_by_role("link", name="llama-pool", exact=True).first.click()
    assert re.search("route=llama-pool", page.url)
    assert page.locator("svg a").count() > 0
    context.close()
