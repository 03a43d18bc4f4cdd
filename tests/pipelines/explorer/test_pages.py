"""The explorer's pages: each answers, and each figure is what its SQL answers."""

import html
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import polars as pl
import pytest
from starlette.testclient import TestClient

from pipelines.csv_text import csv_bytes
from pipelines.explorer.app import explorer
from pipelines.explorer.charts import rates_over_time
from pipelines.explorer.figure import ROWS_SHOWN
from pipelines.explorer.page import pages
from pipelines.explorer.published import attach
from pipelines.project import Project
from pipelines.warehouse.connect import memory_connection
from pipelines.warehouse.locked import reading_statements

SPAN = "from=2026-11-02&to=2026-11-02"
VIEWS = [
    *(f"{page.path}?{SPAN}" for page in pages() if page.path not in {"/request", "/sql"}),
    f"/spend?{SPAN}&by=model&against=previous&grain=week",
    f"/spend?{SPAN}&by=component&basis=usage&grain=month",
    f"/spend?{SPAN}&by=route&provider=lambda&tenant=%28none%29",
    f"/models?{SPAN}&by=chip&provider=lambda",
    "/request?id=f2",
    "/request?id=r2",
    f"/request?{SPAN}&id=f2",
    "/request?from=2027-01-01&to=2027-01-01&id=f2",
]


@dataclass(frozen=True)
class Shown:
    """A figure as a page shows it: its SQL, and the exact values by column."""

    name: str
    sql: str
    values: dict[str, list[str]]


@pytest.fixture(scope="module")
def client(company: Project) -> TestClient:
    return TestClient(explorer(company), base_url="http://127.0.0.1:8765", follow_redirects=False)


@pytest.fixture(scope="module")
def caged(company: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A session as the SQL page has it."""
    with memory_connection() as con:
        attach(con, company.published, str(tmp_path_factory.mktemp("caged")))
        yield con


def figures(page: str) -> list[Shown]:
    found = []
    for name, part in re.findall(r'<section class="figure" id="(\w+)">(.*?)</section>', page, re.DOTALL):
        values: dict[str, list[str]] = {}
        body = re.sub(r"<tfoot>.*?</tfoot>", "", part, flags=re.DOTALL)
        for column, value in re.findall(
            r'data-column="(\w+)"[^>]*>(?:<a [^>]*>)?<data value="([^"]*)"', body
        ):
            values.setdefault(column, []).append(value)
        [sql] = re.findall(r"<pre[^>]*>(.*?)</pre>", part, re.DOTALL)
        found.append(Shown(name, html.unescape(sql), values))
    return found


@pytest.mark.parametrize("view", VIEWS)
def test_every_figure_is_what_its_sql_answers(
    client: TestClient, caged: duckdb.DuckDBPyConnection, view: str
) -> None:
    answer = client.get(view)

    assert answer.status_code == 200, answer.text
    for figure in figures(answer.text):
        [statement] = reading_statements(caged, figure.sql)
        rows = caged.execute(statement).pl()
        for column, values in figure.values.items():
            answered = rows.get_column(column).drop_nulls().to_list()[:ROWS_SHOWN]
            shown = [type(one)(value) for one, value in zip(answered, values, strict=True)]
            assert shown == answered, (view, figure.name, column)
        csv = client.get(f"{view}&figure={figure.name}&format=csv")
        columns = csv.text.splitlines()[0].split(",")
        assert csv.content == csv_bytes(rows.select(columns)), (view, figure.name)


def test_spend_is_the_ledgers(client: TestClient, caged: duckdb.DuckDBPyConnection) -> None:
    [ledger] = caged.execute(
        "SELECT sum(spend_usd) FROM spend(DATE '2026-11-02', DATE '2026-11-03', 'booked')"
    ).fetchall()
    by = {
        one: client.get(f"/spend?{SPAN}&by={one}&figure=parts&format=parquet")
        for one in ("provider", "model")
    }

    for answer in by.values():
        assert pl.read_parquet(io.BytesIO(answer.content)).get_column("usd").sum() == ledger[0]
    assert ledger[0] > Decimal(0)
    # The warehouse begins with these days: what they changed by is not known, and is no growth from nothing.
    held = client.get(f"/spend?{SPAN}&against=previous&figure=parts&format=parquet")
    assert pl.read_parquet(io.BytesIO(held.content)).get_column("change_usd").count() == 0


def test_prices_that_changed_are_drawn() -> None:
    def rows(**facts: object) -> pl.DataFrame:
        usual = {"provider": "p", "model": "m", "region": "any", "service_tier": "default", "layer": "list"}
        more = {"currency": "USD", "known_to": None, "above_input_tokens": None, "input": [0.4, 0.6]}
        dates = {"valid_from": [datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)]}
        until = {"valid_to": [datetime(2026, 6, 1, tzinfo=UTC), None]}
        return pl.DataFrame(usual | more | dates | until | facts)

    def drawn(frame: pl.DataFrame) -> str:
        made = rates_over_time(frame, rates={"input": "Input"}, until=date(2026, 11, 1), label="Rates")
        return "" if made is None else str(made)

    [path] = re.findall(r'aria-label="Rates".*?mark-line.*?<path[^>]* d="([^"]*)"', drawn(rows()), re.DOTALL)
    assert len(re.findall(r"[ML]", path)) == 4, "a step has two points at one instant"
    assert drawn(rows(layer=["list", "contracted"])).count("Input, contracted") >= 1
    assert drawn(rows().head(1)) == ""
    assert drawn(rows(model=["m", "n"])) == ""
    assert drawn(rows(known_to=[None, datetime(2026, 7, 1, tzinfo=UTC)])) == ""


def test_a_view_is_its_address(client: TestClient) -> None:
    page = client.get(f"/spend?{SPAN}&by=provider").text
    [link] = re.findall(r'href="([^"]*provider=lambda[^"]*)"', page)[:1]
    followed = client.get(html.unescape(link))

    assert followed.status_code == 200
    assert "Provider: lambda" in followed.text
    assert "By model" in followed.text
    assert client.get("/").headers["location"] == "/spend"


def test_what_cannot_be_asked_is_one_sentence(client: TestClient) -> None:
    for view, words in (
        ("/spend?from=soon", "from=soon is no date; write it like from=2026-11-02."),
        ("/spend?from=2026-11-03&to=2026-11-02", "exchange them"),
        ("/spend?by=weather", "by=weather is not offered here; write one of provider, model"),
        ("/spend?from=1000-01-01", "ask for at most"),
    ):
        answer = client.get(view)
        assert answer.status_code == 400
        assert words in answer.text
    assert client.get("/spend?figure=nobody").status_code == 404
    assert client.get("/nowhere").status_code == 404


def test_names_and_values_of_others_are_text(client: TestClient) -> None:
    hostile = "<script>alert(1)</script>' OR 1=1 --\0"
    for view in ("/spend", "/request", "/sql"):
        name = {"/spend": "tenant", "/request": "id", "/sql": "q"}[view]
        answer = client.get(view, params={name: hostile})
        assert answer.status_code == 200
        assert "<script>alert" not in answer.text
    names = ["=1+1", "-2+3", "-2.5", "\uff1d1", None, "a\x1b[31m\u202e", "\tx"]
    rows = pl.DataFrame({"name": names, "usd": Decimal("-1.5"), "tags": [["@SUM(1)"]] * 7, "+1+1": "=1"})
    written = csv_bytes(rows).decode().splitlines()
    assert written[0] == "name,usd,tags,'+1+1"
    shown = ["'=1+1", "'-2+3", "-2.5", "'\uff1d1", "", r"a\x1b[31m\u202e", "'\tx"]
    assert written[1:] == [f"{name},-1.5,['@SUM(1)'],'=1" for name in shown]


def test_other_sites_are_refused_and_pages_say_what_a_browser_may_do(client: TestClient) -> None:
    refused = [
        client.get("/spend", headers={"host": "evil.example"}).status_code,
        client.get("/spend", headers={"origin": "http://evil.example"}).status_code,
        client.get(
            "/static/explorer.js", headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
        ).status_code,
        client.put("/spend").status_code,
    ]
    page = client.get("/sql?q=SELECT+41+%2B+1", headers={"sec-fetch-site": "cross-site"})

    assert refused == [421, 403, 403, 405]
    assert page.headers["content-security-policy"].startswith("default-src 'self'; base-uri 'none'")
    assert "It is not run until you press Run" in page.text or "not run until you press Run" in page.text
    assert not re.search(r'<script(?! src="/static/)|<style| style="| on\w+="', page.text)
    assert not re.search(r'(?:src|href)="(?!/|\?|#)', page.text)
