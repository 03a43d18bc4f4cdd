"""The Dagster UI in a real browser: a person opens the graph, backfills two days and sees them done."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pipelines.project import Project
from tests.pipelines.small import nanodollar, query, write_company

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: the UI is not opened"),
]
MINUTES = 60_000


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = write_company(tmp_path_factory.mktemp("company"))
    nanodollar(project, "run")
    return project


@pytest.fixture(scope="module")
def server(company: Project) -> Iterator[str]:
    """`nanodollar ui` with its daemon, on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (company.folder / "ui.log").open("w")
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from pipelines.cli.main import main; main()"),
            *("--project", str(company.folder), "ui", "--port", str(port)),
        ],
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        with httpx.Client(transport=httpx.HTTPTransport(retries=0), timeout=5) as client:
            while True:
                assert process.poll() is None, Path(log.name).read_text()
                try:
                    if client.get(f"http://127.0.0.1:{port}/server_info").status_code == httpx.codes.OK:
                        break
                except httpx.HTTPError:
                    continue
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, 15)
        process.wait(timeout=60)
        log.close()


ENDED = {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"}
BACKFILLS = """
{partitionBackfillsOrError(limit: 1) {... on PartitionBackfills {results {status numPartitions
  runs(limit: 9) {status}}}}}
"""


def test_a_person_backfills_days_in_the_browser(server: str, company: Project) -> None:
    from playwright.sync_api import expect, sync_playwright

    computed = "SELECT min(loaded_at) FROM ops.partitions WHERE partition_key = '2026-11-02'"
    before = query(company, computed)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 950})
        page.set_default_timeout(2 * MINUTES)
        page.goto(f"{server}/asset-groups")
        for group in ("raw", "ref", "core", "mart", "reports"):
            expect(page.get_by_text(group, exact=True).first).to_be_visible(timeout=2 * MINUTES)

        page.goto(f"{server}/locations/pipelines.definitions/jobs/marts")
        page.get_by_role("button", name=re.compile("Materialize all")).click()
        days = page.get_by_role("dialog").get_by_role("textbox").first
        days.fill("[2026-11-02...2026-11-03]")
        days.press("Enter")
        page.get_by_role("button", name=re.compile("Launch")).click()
        page.get_by_role("dialog").wait_for(state="hidden")

        page.goto(f"{server}/runs")
        expect(page.get_by_text("marts").first).to_be_visible()
        with httpx.Client(base_url=server, timeout=60) as client:
            status, runs, deadline = "REQUESTED", [], time.monotonic() + 5 * 60
            while time.monotonic() < deadline and status not in {
                "COMPLETED_SUCCESS",
                "COMPLETED_FAILED",
                "FAILED",
                "CANCELED",
            }:
                answer = client.post("/graphql", json={"query": BACKFILLS}).json()
                for backfill in answer["data"]["partitionBackfillsOrError"]["results"]:
                    status, runs = backfill["status"], backfill["runs"]
        browser.close()

    assert (status, runs) == ("COMPLETED_SUCCESS", [{"status": "SUCCESS"}])
    assert query(company, computed) > before
