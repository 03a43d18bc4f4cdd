"""The Dagster UI in a real browser: a person opens the graph, backfills two days and sees them done."""

import os
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import httpx
import pytest

from models.schemas import tables
from pipelines.project import Project, find_project
from tests.pipelines.small import query

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: the UI is not opened"),
]
MINUTES = 60_000


@pytest.fixture(scope="module")
def company(company: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy that the browser's backfills may change."""
    folder = tmp_path_factory.mktemp("ui") / "company"
    shutil.copytree(company.folder, folder)
    # The browser's backfills are to be the only runs.
    settings = folder / "nanodollar.toml"
    more = '[automation]\nenabled = false\nowners = ["team:finops"]\n'
    settings.write_text(settings.read_text(encoding="utf-8") + more, encoding="utf-8")
    return find_project(folder)


class Log:
    """What a process says, line by line as it says it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.said: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        assert process.stdout is not None
        self._stdout = process.stdout
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        for line in self._stdout:
            self._lines.put(line)

    def wait_for(self, words: str) -> str:
        """Return the next line that has the words."""
        while not self.said or words not in self.said[-1]:
            try:
                self.said.append(self._lines.get(timeout=5 * 60))
            except queue.Empty:
                pytest.fail("".join([f"No line said {words!r}:\n", *self.said]))
        return self.said[-1]

    def close(self) -> None:
        self._thread.join()
        self._stdout.close()


@dataclass(frozen=True)
class Server:
    """`nanodollar ui` with its daemon."""

    url: str
    log: Log


@pytest.fixture(scope="module")
def server(company: Project) -> Iterator[Server]:
    """Serve the company on a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from pipelines.cli.main import main; main()"),
            *("--project", str(company.folder), "ui", "--port", str(port)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    log = Log(process)
    try:
        log.wait_for("Serving dagster-webserver on ")
        yield Server(f"http://127.0.0.1:{port}", log)
    finally:
        # As a supervisor stops it: one process, which takes the webserver and the daemon with it.
        process.terminate()
        process.wait(timeout=60)
        with suppress(ProcessLookupError):  # Code servers end by themselves once nobody asks them.
            os.killpg(process.pid, signal.SIGTERM)
        log.close()


BACKFILLS = """
{partitionBackfillsOrError {... on PartitionBackfills {results {status runs(limit: 9) {status}}}}}
"""
STORED = """
async query => {
  const asked = {method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify({query})};
  for (;;) {
    const answer = await (await fetch("/graphql", asked)).json();
    if (!answer.data.partitionBackfillsOrError.results.some(one => one.status === "REQUESTED")) return answer;
    await new Promise(again => setTimeout(again, 200));
  }
}
"""
"""The answer once no backfill is under way; Playwright's own waiting takes a promise for an answer."""


def test_a_person_backfills_days_in_the_browser(server: Server, company: Project) -> None:
    from playwright.sync_api import expect, sync_playwright

    computed = "SELECT min(loaded_at) FROM ops.partitions WHERE partition_key = '2026-11-02'"
    before = query(company, computed)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1500, "height": 950})
        page.set_default_timeout(2 * MINUTES)
        page.goto(f"{server.url}/asset-groups")
        for group in ("raw", "ref", "core", "mart", "reports"):
            expect(page.get_by_text(group, exact=True).first).to_be_visible(timeout=2 * MINUTES)

        page.goto(f"{server.url}/locations/pipelines.definitions/jobs/marts")
        page.get_by_role("button", name=re.compile("Materialize all")).click()
        days = page.get_by_role("dialog").get_by_role("textbox").first
        days.fill("[2026-11-02...2026-11-03]")
        days.press("Enter")
        page.get_by_role("button", name=re.compile("Launch")).click()
        page.get_by_role("dialog").wait_for(state="hidden")

        page.goto(f"{server.url}/runs")
        expect(page.get_by_text("marts").first).to_be_visible()
        server.log.wait_for("Backfill completed for")
        # The daemon says so before it stores it.
        answer = page.evaluate(STORED, BACKFILLS)
        browser.close()

    (backfill,) = answer["data"]["partitionBackfillsOrError"]["results"]
    assert backfill == {"status": "COMPLETED_SUCCESS", "runs": [{"status": "SUCCESS"}]}
    assert query(company, computed) > before


SHOWN = """
{
  assetNodes {
    assetKey {path} description isPartitioned owners {... on TeamAssetOwner {team}}
    internalFreshnessPolicy {__typename}
    assetMaterializations(limit: 1) {metadataEntries {label}}
    metadataEntries {label ... on TableSchemaMetadataEntry {schema {columns {name type description}}}}
  }
  repositoriesOrError {
    ... on RepositoryConnection {nodes {jobs {name description tags {key value}}}}
  }
}
"""


def test_an_operator_is_told_what_each_table_and_job_is(server: Server) -> None:
    answer = httpx.post(f"{server.url}/graphql", json={"query": SHOWN}, timeout=300).json()
    assert "errors" not in answer, answer
    nodes = {"/".join(node["assetKey"]["path"]): node for node in answer["data"]["assetNodes"]}
    for key, node in nodes.items():
        assert node["description"], key
        assert node["owners"] == [{"team": "finops"}], key
        if node["isPartitioned"] and not key.startswith("reports/"):
            assert node["internalFreshnessPolicy"], key
    for name, of in tables().items():
        if name.replace(".", "/") not in nodes:
            continue
        entries = {one["label"]: one for one in nodes[name.replace(".", "/")]["metadataEntries"]}
        columns = entries["dagster/column_schema"]["schema"]["columns"]
        assert [one["name"] for one in columns] == list(of.column_names)
        assert all(one["type"] and one["description"] for one in columns), name
        assert {"dagster/table_name", "catalog"} <= entries.keys()
    shown = {
        key: {one["label"] for made in node["assetMaterializations"] for one in made["metadataEntries"]}
        for key, node in nodes.items()
    }
    assert {"usd", "priced_ratio", "unpriced_attempts", "dagster/row_count"} <= shown["core/request_costs"]
    assert {"usd", "idle_usd", "serving_ratio"} <= shown["core/pool_hours"]
    assert {"usd", "unpriced_tokens", "usd_by_day"} <= shown["mart/cost_per_token_daily"]
    assert {"path", "reports"} <= shown["reports/daily"]
    (repository,) = answer["data"]["repositoriesOrError"]["nodes"]
    jobs = {job["name"]: job for job in repository["jobs"] if not job["name"].startswith("__")}
    assert jobs.keys() >= {"land", "facts", "marts", "publish", "deliver", "close", "maintenance"}
    assert all(job["description"] for job in jobs.values())
    assert {"key": "nanodollar/grain", "value": "hour"} in jobs["facts"]["tags"]
