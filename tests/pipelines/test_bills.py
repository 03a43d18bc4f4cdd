"""A bill lands like a log, is held against the ledger of its month, and a bill that comes again replaces it."""

import html
import json
import re
from datetime import date
from decimal import Decimal

import duckdb
import pytest
from starlette.testclient import TestClient

from pipelines.checks.invoice_reconciles import CHECK as INVOICE_RECONCILES
from pipelines.explorer.app import explorer
from pipelines.limits import BillSettings
from pipelines.project import Project
from tests.pipelines.small import make_project, nanodollar, query, write_lines

SETTINGS = """\
[warehouse]
start_on = 2026-09-01
[[sources]]
name = "calls"
kind = "requests"
path = "landing/calls/*.jsonl"
[[sources]]
name = "bill"
kind = "openai_costs"
path = "landing/bill/*.json"
[[sources]]
name = "tax"
kind = "invoice_lines"
path = "landing/tax/*.csv"
"""
MIDNIGHT = 1790812800  # 2026-10-01


def costs(*results: tuple[str, float, int | None], day: int = 1) -> str:
    """Return a page of OpenAI's costs API with one day."""
    lines = [
        {
            "object": "organization.costs.result",
            "amount": {"value": usd, "currency": "usd"},
            "line_item": item,
            "quantity": quantity,
        }
        for item, usd, quantity in results
    ]
    start = MIDNIGHT + 86_400 * (day - 1)
    bucket = {"object": "bucket", "start_time": start, "end_time": start + 86_400, "results": lines}
    return json.dumps({"object": "page", "data": [bucket], "has_more": False})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A day of gpt-4o at $2.50 in, $1.25 cached and $10 out a million, and its bill."""
    project = make_project(tmp_path_factory.mktemp("bills") / "company", SETTINGS)
    calls = [
        {
            "request_id": f"r{number}", "started_at": f"2026-10-01T10:{number:02}:00Z",
            "finished_at": f"2026-10-01T10:{number:02}:05Z", "provider": "openai", "served_model": "gpt-4o-2024-08-06",
            "input_uncached_tokens": 100_000, "cache_read_tokens": 50_000, "output_text_tokens": 10_000,
        }
        for number in range(10)
    ]  # fmt: skip
    write_lines(project.folder / "landing/calls/october.jsonl", calls)
    bill = project.folder / "landing/bill/first.json"
    bill.parent.mkdir(parents=True)
    # A tenth more input than the logs have, and output at $11 a million.
    bill.write_text(
        costs(
            ("gpt-4o-2024-08-06, input", 2.75, 1_100_000),
            ("gpt-4o-2024-08-06, cached input", 0.625, 500_000),
            ("gpt-4o-2024-08-06, output", 1.1, 100_000),
        ),
        encoding="utf-8",
    )
    tax = project.folder / "landing/tax/october.csv"
    tax.parent.mkdir()
    tax.write_text(
        "invoice_issuer_name,invoice_id,charge_period_start,charge_category,billed_cost,currency\n"
        "OpenAI,INV-7,2026-10-01,Tax,0.85,USD\n",
        encoding="utf-8",
    )
    assert nanodollar(project, "run").code in {0, 1}
    return project


def test_every_difference_has_a_name(project: Project) -> None:
    rows = query(
        project,
        "SELECT coalesce(meter, charge_category), invoiced_usd - ledger_usd, quantity_usd, rate_usd, fee_usd, "
        "unexplained_usd FROM mart.invoice_reconciliation ORDER BY 1",
    )
    nothing = Decimal(0)
    assert rows == [
        ("Tax", Decimal("0.85"), nothing, nothing, Decimal("0.85"), nothing),
        ("cache_read", nothing, nothing, nothing, nothing, nothing),
        ("input_uncached", Decimal("0.25"), Decimal("0.25"), nothing, nothing, nothing),
        ("output_text", Decimal("0.1"), nothing, Decimal("0.1"), nothing, nothing),
    ]


def test_invoices_are_their_lines_added_up(project: Project) -> None:
    rows = query(
        project,
        "SELECT source, invoice_id, invoice_issue_status, line_count, billed_cost, tax_cost FROM core.invoices "
        "ORDER BY 1",
    )
    assert rows == [
        ("bill", None, "Pending", 3, Decimal("4.475"), Decimal(0)),
        ("tax", "INV-7", "Issued", 1, Decimal("0.85"), Decimal("0.85")),
    ]


def test_a_line_opens_to_the_rows_of_both_sides(project: Project) -> None:
    opened = json.loads(nanodollar(project, "explain", "--invoice", "OpenAI 2026-10", "--format", "json").out)
    place = next(line["line"] for line in opened["lines"] if line["token_class"] == "output_text")
    cell = next(row for row in opened["cells"] if row["meter"] == "output_text")
    assert (cell["difference_usd"], cell["rate_usd"], cell["cause"]) == ("0.1", "0.1", "rate")

    one = json.loads(
        nanodollar(project, "explain", "--invoice", "OpenAI 2026-10", str(place), "--format", "json").out
    )
    assert [(row["billed_cost"], row["line_number"]) for row in one["lines"]] == [("1.1", 1)]
    assert [(row["day"], row["log_source"], row["quantity"], row["usd"]) for row in one["ledger"]] == [
        ("2026-10-01", "calls", "100000", "1")
    ]
    assert len(one["requests"]) == 5

    client = TestClient(explorer(project), base_url="http://127.0.0.1:8765")
    bills = client.get("/invoices?from=2026-10-01&to=2026-10-31").text
    [link] = re.findall(r'href="(/invoice\?[^"]*OpenAI\+2026-10[^"]*)"', bills)
    page = client.get(f"{html.unescape(link)}&line={place}").text
    assert f'<data value="{one["ledger"][0]["usd"]}' in page
    assert len(re.findall(r'href="/request\?[^"]*&amp;id=', page)) == len(one["requests"])
    lines = client.get(f"{html.unescape(link)}&figure=lines&format=csv").text
    assert lines.count("\n") == 1 + len(opened["lines"])
    assert "It is no usage" in client.get("/invoice?id=INV-7&line=1").text
    refused = client.get("/invoice?id=INV-8")
    assert (refused.status_code, "INV-7" in refused.text) == (400, True)

    tax = nanodollar(project, "explain", "--invoice", "INV-7", "1").out
    assert "It is no usage" in tax
    assert "0.85 USD" in tax
    for words, code, said in (
        (("--invoice", "INV-8"), 1, "INV-7"),
        (("--invoice", "INV-7", "2"), 1, "from 1 to 1"),
        (("--invoice", "INV-7", "x"), 2, "'x' is no line"),
        ((), 2, "Name a request"),
    ):
        outcome = nanodollar(project, "explain", *words)
        assert outcome.code == code, outcome
        assert said in outcome.err


def test_an_issuer_has_a_tolerance_of_its_own_and_a_bill_without_dollars_is_said() -> None:
    con = duckdb.connect()
    con.execute("CREATE SCHEMA mart")
    con.execute(
        "CREATE TABLE mart.invoice_reconciliation AS SELECT issuer AS invoice_issuer_name, "
        "NULL::VARCHAR AS invoice_id, "
        "TIMESTAMPTZ '2026-10-01 00:00:00+00' AS billing_period_start, DATE '2026-10-01' AS billed_on, "
        "(1000 + off * 0)::DECIMAL(38,12) AS invoiced_usd, 1000::DECIMAL(38,12) AS ledger_usd, "
        "off::DECIMAL(38,12) AS unexplained_usd "
        "FROM (VALUES ('Exact', 0.5), ('Loose', 40), ('Plain', 9), ('Euro', NULL), ('Half', 9), ('Half', NULL)) "
        "t(issuer, off)"
    )
    limits = BillSettings.model_validate(
        {
            "issuers": {
                "Exact": {"unexplained_ratio": 0, "unexplained_usd": "0.25"},
                "Loose": {"unexplained_usd": "50"},
            }
        }
    )
    judged = INVOICE_RECONCILES.judge(con, date(2026, 10, 1), date(2026, 11, 1), limits=limits)
    assert judged.failed_ids == [
        "Euro 2026-10: 1 rows without an exchange rate in fx.csv",
        "Half 2026-10: $9.00 of $1,000.00 unexplained, 1 rows without an exchange rate in fx.csv",
        "Exact 2026-10: $0.50 of $1,000.00 unexplained",
    ]
    assert judged.summary.endswith("; 2 of them have rows without an exchange rate in fx.csv.")


def test_a_day_that_is_delivered_again_replaces_itself(project: Project) -> None:
    again = project.folder / "landing/bill/second.json"
    again.write_text(costs(("gpt-4o-2024-08-06, output", 1.0, 100_000)), encoding="utf-8")

    outcome = nanodollar(project, "run")

    assert outcome.code in {0, 1}
    # A bill changes no fact.
    assert "Computed 0 hours and " in outcome.out
    rows = query(
        project, "SELECT meter, billed_cost FROM core.invoice_lines WHERE source = 'bill' ORDER BY ALL"
    )
    assert [cost for _, cost in rows] == [Decimal("0.625"), Decimal("2.75"), Decimal(1)]
    told = query(
        project,
        "SELECT delivery, line_count, line_count_in_force, is_in_force FROM ops.bill_deliveries "
        "WHERE source = 'bill' ORDER BY 1",
    )
    assert told == [(1, 3, 2, True), (2, 1, 1, True)]
    left = query(
        project,
        "SELECT meter, difference_usd FROM mart.invoice_reconciliation WHERE difference_usd <> 0 ORDER BY 1",
    )
    assert left == [("input_uncached", Decimal("0.25")), (None, Decimal("0.85"))]
