"""A month of APIs from its calls to the journal: closed with its pack, trued up by a late refund, and opened again."""

import csv
import hashlib
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.project import Project
from pipelines.steps.base import Window
from pipelines.steps.inputs import Inputs
from pipelines.steps.mart_chargeback_monthly import compute
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.small import make_project, nanodollar, query, write_lines

SETTINGS = """\
[warehouse]
start_on = 2026-10-01
[reporting]
currency = "EUR"
[[sources]]
name = "calls"
kind = "requests"
path = "landing/calls/*.jsonl"
[[sources]]
name = "bill"
kind = "invoice_lines"
path = "landing/bill/*.csv"
[[sources]]
name = "refund"
kind = "invoice_lines"
path = "landing/refund/*.csv"
"""
CHARGEBACK = """\
version: 1
cost_centres:
  - {team: search, cost_centre: CC-1}
rules:
  - {name: taxes_are_central, kinds: [fee], method: central, payer: finance}
"""
SIGNED = """\
version: 1
signoffs: [{month: 2026-10, payer: chat, answer: accepted, usd: 4.75, signed_by: Bo, signed_on: 2026-11-02}]
"""
JOURNAL = """\
version: 1
entity: ACME-EU
costs: [{account: 6100}, {account: 6900, kinds: [fee, credit, true_up]}]
debts: [{account: 2100}]
"""
FX = "currency,rate_on,usd_per_unit,source_url\nEUR,2026-10-30,1.25,https://example.com\n"
LINE = (
    "invoice_issuer_name,invoice_id,charge_period_start,charge_category,provider,model,token_class,consumed_quantity,"
    "consumed_unit,billed_cost,currency\n"
)
# gpt-4o is $2.50 in and $10 out a million; the bill has output at $11, a credit of $2 and 10 % of tax.
BILL = (
    "OpenAI,INV-10,2026-10-01,Usage,openai,gpt-4o-2024-08-06,input_uncached,4000000,tokens,10,USD\n"
    "OpenAI,INV-10,2026-10-01,Usage,openai,gpt-4o-2024-08-06,output_text,1000000,tokens,11,USD\n"
    "OpenAI,INV-10,2026-10-31,Credit,,,,,,-2,USD\n"
    "OpenAI,INV-10,2026-10-31,Tax,,,,,,1.9,USD\n"
)
THIS_MONTH = datetime.now(UTC).date().replace(day=1)
ACCRUED = """
SELECT booked_on, accrued_usd, invoiced_usd, true_up_usd, rate_usd, credit_usd, fee_usd
FROM mart.accruals_monthly ORDER BY 1
"""


def write(project: Project, name: str, text: str) -> Path:
    path = project.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def call(number: int, day: int, team: str, million_in: int, thousand_out: int) -> dict[str, object]:
    return {
        "request_id": f"r{number}", "started_at": f"2026-10-{day:02}T10:00:00Z",
        "finished_at": f"2026-10-{day:02}T10:00:05Z", "provider": "openai", "served_model": "gpt-4o-2024-08-06",
        "team": team, "input_uncached_tokens": million_in * 10**6, "output_text_tokens": thousand_out * 1000,
    }  # fmt: skip


def pack_of(project: Project) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (project.folder / "reports/close/2026-10").iterdir()}


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Search used $15 and chat $5 of $20 at the end of October; the bill came before the close."""
    project = make_project(tmp_path_factory.mktemp("month_end") / "company", SETTINGS)
    calls = [call(1, 30, "search", 3, 750), call(2, 31, "chat", 1, 250)]
    write_lines(project.folder / "landing/calls/october.jsonl", calls)
    files = {"chargeback.yml": CHARGEBACK, "signoffs.yml": SIGNED, "journal.yml": JOURNAL, "fx.csv": FX}
    for name, text in files.items():
        write(project, name, text)
    write(project, "landing/bill/october.csv", LINE + BILL)
    assert nanodollar(project, "run").code in {0, 1}
    return project


def test_a_month_is_charged_journaled_closed_trued_up_and_opened_again(company: Project) -> None:
    charged = dict(
        query(company, "SELECT payer, sum(usd) FROM mart.chargeback_monthly GROUP BY ALL ORDER BY ALL")
    )
    # $20 of usage; the rate error of $1 and the credit of $2 go by usage (3 to 1), the tax to finance.
    assert charged == {"CC-1": Decimal("14.25"), "chat": Decimal("4.75"), "finance": Decimal("1.9")}
    usual = Decimal(20), Decimal("20.9"), Decimal("0.9"), Decimal(1), Decimal(-2), Decimal("1.9")
    assert query(company, ACCRUED) == [(date(2026, 10, 1), *usual)]

    bridge = nanodollar(company, "variance", "2026-10").out.splitlines()
    assert [line.split()[:2] for line in bridge] == [
        ["2026-09", "0.000000"], ["new", "+20.000000"], ["bill", "+0.900000"], ["2026-10", "20.900000"],
    ]  # fmt: skip
    assert set(
        query(company, "SELECT payer, status FROM mart.chargeback_monthly WHERE status <> 'showback'")
    ) == {("chat", "accepted")}
    write(company, "chargeback.yml", CHARGEBACK.replace("finance", "board"))
    assert "rows landed or prices changed since it was built" in nanodollar(company, "close", "2026-10").err
    write(company, "chargeback.yml", CHARGEBACK)
    closed = nanodollar(company, "close", "2026-10", "--by", "Ann")

    assert closed.code == 0, closed.err
    pack = pack_of(company)
    manifest = json.loads(pack["manifest.json"])
    hashes = {
        name: hashlib.sha256(text).hexdigest() for name, text in pack.items() if name != "manifest.json"
    }
    assert (manifest["files"], manifest["closed_by"], manifest["currency"]) == (hashes, "Ann", "EUR")
    assert (manifest["usd_per_unit"], manifest["rate_on"]) == ("1.250000000000", "2026-10-30")
    lines = list(csv.DictReader(pack["journal.csv"].decode().splitlines()))
    debit, credit = (sum(Decimal(line[side]) for line in lines) for side in ("debit", "credit"))
    assert debit == credit == Decimal("16.72") + Decimal("1.60")  # $20.90 at 1.25, and the credit of $2
    assert {line["account"] for line in lines} == {"6100", "6900", "2100"}
    statuses = "SELECT DISTINCT payer, status FROM mart.chargeback_monthly ORDER BY 1"
    assert query(company, statuses) == [("CC-1", "showback"), ("chat", "charged"), ("finance", "showback")]
    points = {row["point"] for row in csv.DictReader(pack["open_points.csv"].decode().splitlines())}
    assert points == {"statement not signed"}
    assert "$20.90 for 2026-10-01 to 2026-11-01 (UTC)" in pack["report.html"].decode()

    # Everything moves: a refund, another rate, rules, settings and a late call. October does not.
    before = query(company, "FROM mart.chargeback_monthly WHERE month_on = DATE '2026-10-01' ORDER BY ALL")
    rates = query(company, "FROM mart.reporting_rates WHERE month_on = DATE '2026-10-01'")
    write(company, "landing/refund/late.csv", LINE + "OpenAI,INV-10,2026-10-31,Credit,,,,,,-3,USD\n")
    write(company, "fx.csv", FX + "EUR,2026-10-31,1.5,https://example.com\n")
    write(company, "chargeback.yml", CHARGEBACK.replace("finance", "board"))
    write(company, "nanodollar.toml", SETTINGS.replace("EUR", "USD"))
    write_lines(company.folder / "landing/calls/late.jsonl", [call(3, 31, "chat", 0, 100)])
    assert nanodollar(company, "run").code in {0, 1}

    assert (
        query(company, "FROM mart.chargeback_monthly WHERE month_on = DATE '2026-10-01' ORDER BY ALL")
        == before
    )
    assert query(company, "FROM mart.reporting_rates WHERE month_on = DATE '2026-10-01'") == rates
    late = Decimal(0), Decimal(-3), Decimal(-4), Decimal(0), Decimal(-3), Decimal(0)
    assert query(company, ACCRUED) == [(date(2026, 10, 1), *usual), (THIS_MONTH, *late)]
    assert query(
        company, "SELECT corrected_usd, correction_usd FROM mart.accruals_monthly ORDER BY booked_on"
    ) == [
        (Decimal(0), Decimal(0)),
        (Decimal(1), Decimal(-1)),  # the late call is in the bill already
    ]
    # The month that books them: the late call is chat's; nobody has used openai in it, so that the refund is nobody's.
    with Warehouse(company).reading() as con:
        window = Window.of_days(
            THIS_MONTH, THIS_MONTH + timedelta(days=1), now=datetime.now(UTC), time_zone="UTC"
        )
        (charged_now,) = compute(Inputs(con, company), window).values()
    assert charged_now.select("payer", "cost_kind", "rule", "usd").rows() == [
        ("chat", "correction", "direct", Decimal(1)),
        (None, "credit", "by_usage", Decimal(-3)),
        (None, "true_up", "by_usage", Decimal(-1)),
    ]
    again = nanodollar(company, "close", "2026-10")
    assert "Closed already" in again.out
    assert again.err == ""
    assert pack_of(company) == pack
    (company.folder / "reports/close/2026-10/journal.csv").write_text("mine")
    assert "Written again it differs in journal.csv" in nanodollar(company, "close", "2026-10").err
    rebuilt = company.folder / "reports/close/2026-10.rebuilt"
    assert {path.name: path.read_bytes() for path in rebuilt.iterdir()} == pack

    assert nanodollar(company, "reopen", "2026-09", "--why", "x").code == 2
    assert nanodollar(company, "reopen", "2026-10", "--why", " ").code == 2
    opened = nanodollar(company, "reopen", "2026-10", "--why", "a call was missing", "--by", "Cy")
    assert "2026-10 is open again; 1 corrections of it are taken back" in opened.out
    assert nanodollar(company, "run").code in {0, 1}
    # The late call is in the facts now, once: $21 of usage on both clocks of spend().
    for view in ("booked", "corrected"):
        spent = f"SELECT sum(spend_usd) FROM spend(DATE '2026-01-01', DATE '2100-01-01', '{view}')"
        assert query(company, spent) == [(Decimal(21),)]
    assert query(
        company, "SELECT sum(usd) FROM mart.chargeback_monthly WHERE month_on = DATE '2026-10-01'"
    ) == [(Decimal("17.9"),)]
    closed = nanodollar(company, "close", "2026-10", "--by", "Ann")
    assert closed.code == 0, closed.err
    listed = nanodollar(company, "close", "--list").out
    assert "by Cy: a call was missing" in listed
    assert len(query(company, "FROM ops.closed_periods")) == 2
    assert pack_of(company) != pack
