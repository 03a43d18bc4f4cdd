"""Months worked by hand, through the commands: every planted difference is found to the cent, none is unexplained.

October's logs hold 10 calls of a million input tokens at $2 for each model, and of one model 7 answers of 100,000
output tokens at $10; the bill differs from them in one way a model. One more model is priced and billed in euros. A
GPU ran 40 minutes of an hour that is billed whole, at $4; a node of eight was rented for two hours, and six of it held;
one GPU is committed at $2.50, and used for two hours. September, closed before, has the commitment's last 144 hours
and a fee in euros, and no request at all.
"""

import csv
import io
import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from models.schemas.mart_invoice_reconciliation import RECONCILIATION_TERMS
from pipelines.project import Project
from tests.pipelines.small import lifecycle, make_project, nanodollar, query, write_lines

D = Decimal
SETTINGS = """\
[warehouse]
start_on = 2026-09-25
[reporting]
currency = "EUR"
[gpu]
commitments = "commitments.yml"
[completeness]
fail_above_ratio = 1
[[deliveries]]
name = "finance"
reports = ["month-close"]
formats = ["xlsx"]
folder = "out"
[[sources]]
name = "calls"
kind = "requests"
path = "landing/calls/*.jsonl"
[[sources]]
name = "fleet"
kind = "replica_events"
path = "landing/fleet/*.jsonl"
[[sources]]
name = "counted"
kind = "usage_counters"
path = "landing/counted/*.jsonl"
[[sources]]
name = "bill"
kind = "invoice_lines"
path = "landing/bill/*.csv"
covers = { source = "calls" }
[[sources]]
name = "euro_bill"
kind = "invoice_lines"
path = "landing/euro/*.csv"
"""
COMMITMENTS = """\
version: 1
commitments:
  - {provider: house, region: us-east-1, chip: H100, commitment: committed, gpu_count: 1, usd_per_gpu_hour: 2.50,
     valid_from: 2026-09-25, valid_to: 2026-11-01}
"""
FX = "currency,rate_on,usd_per_unit,source_url\n" + "".join(
    f"EUR,{on},{rate},https://example.com\n"
    for on, rate in (("2026-09-30", "1.20"), ("2026-10-02", "1.25"), ("2026-10-31", "1.30"))
)
CHARGEBACK = """\
version: 1
rules:
  - {name: gpus_are_central, kinds: [serving, idle, cold_start, padding, unheld, unused_commitment], method: central,
     payer: platform}
  - {name: bills_are_central, kinds: [fee, credit, true_up], method: central, payer: finance}
"""
MODELS = ("plain", "missing", "rate", "moved", "double", "aborted", "unit")
SHEET = (
    "provider: example\ncurrency: USD\nsource_url: https://example.com/prices\nchecked_on: 2026-09-01\nmodels:\n"
    + "".join(
        f"  - model: {name}\n    prices:\n      - valid_from: 2026-01-01\n"
        "        usd_per_mtok: {input_uncached: 2, output: 10}\n"
        for name in MODELS
    )
)
EURO_SHEET = (
    SHEET.replace("example\n", "euro\n").replace("currency: USD", "currency: EUR").replace("usd_", "eur_")
)
GPU_SHEET = """\
vendor: house
currency: USD
source_url: https://example.com/gpus
checked_on: 2026-09-01
billing: {granularity_seconds: 3600, minimum_seconds: 3600, billed_phases: [loading, serving, idle, draining]}
rates:
  - {chip: H100, region: us-east-1, commitment: on_demand, usd_per_gpu_hour: 4, valid_from: 2026-01-01}
"""
HEAD = (
    "invoice_issuer_name,invoice_id,billing_period_start,charge_period_start,charge_category,charge_class,provider,"
    "model,region,token_class,chip,service_tier,consumed_quantity,consumed_unit,billed_cost,currency\n"
)


def billed(
    model: str,
    cost: str,
    quantity: str = "",
    unit: str = "1M tokens",
    *,
    of: str = "input_uncached",
    day: str = "",
) -> str:
    """Return a line of usage of the invoice."""
    when = f"2026-10-01,{day or '2026-10-02'}"
    return f"Example,INV-1,{when},Usage,,example,{model},,{of},,,{quantity},{unit},{cost},USD\n"


def beside(category: str, cost: str, of: str = "") -> str:
    """Return a line of the invoice that is no usage."""
    return f"Example,INV-1,2026-10-01,2026-10-02,{category},{of},,,,,,,,,{cost},USD\n"


PARTS = {
    "part-1.csv": [
        billed("plain", "20", "10"),
        # Two calls that only the provider's counters saw.
        billed("missing", "24", "12"),
        # $2.50 a million.
        billed("rate", "25", "10"),
        # September's last 2 million.
        billed("moved", "20", "10"),
        billed("moved", "4", "2", day="2026-09-30"),
        billed("double", "20", "10"),
    ],
    "part-2.csv": [
        billed("double", "20", "10"),
        # Three streams that were cut off: their answers were billed.
        billed("aborted", "10", "1", of="output_text"),
        # Thousands were written where millions are meant.
        billed("unit", "20", "10", "1K tokens"),
        # An hour too many, and all at $4.50.
        "Example,INV-1,2026-10-01,2026-10-02,Usage,,house,,us-east-1,,H100,on_demand,18,GPU-Hours,81,USD\n",
        "Example,INV-1,2026-10-01,2026-10-01,Usage,,house,,us-east-1,,H100,committed,744,GPU-Hours,1860,USD\n",
        beside("Tax", "8.13"),
        beside("Credit", "-5"),
        beside("Usage", "-2", "Correction"),
    ],
}


# The bill's euros are of the last day, at another rate than those of the calls.
EURO = {
    "september.csv": "Euro AI,EUR-0,2026-09-01,2026-09-30,Purchase,,,,,,,,,,10,EUR\n",
    "october.csv": (
        "Euro AI,EUR-1,2026-10-01,2026-10-31,Usage,,euro,plain,,input_uncached,,,10,1M tokens,20,EUR\n"
        "Euro AI,EUR-1,2026-10-01,2026-10-31,Tax,,,,,,,,,,4.20,EUR\n"
    ),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("golden") / "company", SETTINGS)
    for name, text in {"commitments.yml": COMMITMENTS, "fx.csv": FX, "chargeback.yml": CHARGEBACK}.items():
        (project.folder / name).write_text(text, encoding="utf-8")
    for name, text in (("tokens/example", SHEET), ("tokens/euro", EURO_SHEET), ("gpu/house", GPU_SHEET)):
        sheet = project.folder / f"prices/{name}.yml"
        sheet.parent.mkdir(parents=True, exist_ok=True)
        sheet.write_text(text, encoding="utf-8")
    span = {
        "started_at": "2026-10-02T10:00:00Z",
        "finished_at": "2026-10-02T10:00:05Z",
        "provider": "example",
        "team": "search",
    }
    calls = [
        span
        | {"request_id": f"{model}-{number}", "served_model": model, "status": "ok", "input_uncached_tokens": 1_000_000,
           "output_text_tokens": 0}
        for model in MODELS if model != "aborted" for number in range(10)
    ] + [
        span
        | {"request_id": f"aborted-{number}", "served_model": "aborted", "input_uncached_tokens": 0,
           "output_text_tokens": 100_000 if number < 7 else 0, "status": "ok" if number < 7 else "cancelled"}
        for number in range(10)
    ] + [
        span
        | {"request_id": f"euro-{number}", "provider": "euro", "served_model": "plain", "status": "ok",
           "input_uncached_tokens": 1_000_000}
        for number in range(10)
    ]  # fmt: skip
    write_lines(project.folder / "landing/calls/october.jsonl", calls)
    write_lines(
        project.folder / "landing/counted/october.jsonl",
        [
            {"started_at": "2026-10-02T10:00:00Z", "finished_at": "2026-10-02T11:00:00Z", "provider": "example",
             "model": "missing", "request_count": 12, "input_tokens": 12_000_000, "output_tokens": 0}
        ],
    )  # fmt: skip
    write_lines(
        project.folder / "landing/fleet/october.jsonl",
        lifecycle(
            "replica-1", "pool", "H100",
            ("requested", "2026-10-02T09:00:00Z"), ("scheduled", "2026-10-02T09:00:00Z"),
            ("ready", "2026-10-02T09:10:00Z"), ("stopped", "2026-10-02T09:40:00Z"), provider="house",
        )
        + lifecycle(
            "node-1", "(none)", "H100", ("ready", "2026-10-03T10:00:00Z"), ("stopped", "2026-10-03T12:00:00Z"),
            provider="house", chip_count=8,
        )
        + lifecycle(
            "on-node-1", "pool", "H100", ("ready", "2026-10-03T10:00:00Z"), ("stopped", "2026-10-03T12:00:00Z"),
            provider="house", chip_count=6, node="node-1",
        )
        + lifecycle(
            "committed-1", "pool", "H100", ("ready", "2026-10-04T10:00:00Z"), ("stopped", "2026-10-04T12:00:00Z"),
            provider="house", commitment="committed",
        ),
    )  # fmt: skip
    folder = project.folder / "landing/bill"
    folder.mkdir(parents=True)
    for name, lines in PARTS.items():
        (folder / name).write_text(HEAD + "".join(lines), encoding="utf-8")
    outcome = nanodollar(project, "ingest", str(folder))
    assert outcome.code == 0, outcome.err
    assert "read 6 = accepted 6 + duplicate 0 + quarantined 0" in outcome.out
    for name, text in EURO.items():
        (project.folder / "landing/euro").mkdir(exist_ok=True)
        (project.folder / "landing/euro" / name).write_text(HEAD + text, encoding="utf-8")
    ran = nanodollar(project, "run")
    assert ran.code in {0, 1}, ran.err
    return project


def test_every_planted_difference_is_found_to_the_cent(project: Project) -> None:
    terms = ", ".join(f"{name}_usd" for name in RECONCILIATION_TERMS)
    rows = query(
        project,
        f"SELECT coalesce(model, chip_or_charge), cause, difference_usd, {terms} FROM ("
        "SELECT *, CASE WHEN charge_category <> 'Usage' OR provider IS NULL THEN charge_category ELSE meter END "
        "AS chip_or_charge FROM mart.invoice_reconciliation WHERE source = 'bill' AND line_count > 0) ORDER BY 1, 3",
    )
    found = {}
    for name, cause, difference, *amounts in rows:
        assert difference == sum(amounts)
        told = {term: amount for term, amount in zip(RECONCILIATION_TERMS, amounts, strict=True) if amount}
        found[name, cause] = told
    assert found == {
        ("plain", None): {},
        ("missing", "coverage"): {"coverage": D(4)},
        ("rate", "rate"): {"rate": D(5)},
        ("moved", "timing"): {"timing": D(4)},
        ("double", "double_line"): {"quantity": D(20)},
        ("aborted", "quantity"): {"quantity": D(3)},
        ("unit", "unit"): {"quantity": D("-19.98"), "rate": D("19.98")},
        ("H100", "rate"): {"quantity": D(4), "rate": D(9)},
        ("H100", None): {},
        ("Tax", None): {"fee": D("8.13")},
        ("Credit", None): {"credit": D(-5)},
        ("Usage", None): {"credit": D(-2)},
    }


def test_the_bill_is_payable_in_full_and_nothing_is_unexplained(project: Project) -> None:
    bills = query(
        project, "SELECT invoice_id, billed_cost, tax_cost, line_count, usd FROM core.invoices ORDER BY 1"
    )
    assert bills == [
        ("EUR-0", D(10), D(0), 1, D(12)),
        ("EUR-1", D("24.2"), D("4.2"), 2, D("31.46")),
        ("INV-1", D("2105.13"), D("8.13"), 14, D("2105.13")),
    ]
    held = query(
        project,
        "SELECT invoice_id, sum(invoiced_usd), sum(ledger_usd), sum(fx_usd), sum(abs(unexplained_usd)) "
        "FROM mart.invoice_reconciliation GROUP BY 1 ORDER BY 1",
    )
    # 20 euros of calls at 1.25 are billed at 1.30.
    assert held == [
        ("EUR-0", D(12), D(0), D(0), D(0)),
        ("EUR-1", D("31.46"), D(25), D(1), D(0)),
        ("INV-1", D("2105.13"), D(2055), D(0), D(0)),
    ]
    parts = query(
        project,
        "SELECT service_tier, ledger_usd, round(ledger_minimum_usd, 4), ledger_unheld_usd, "
        "ledger_unused_commitment_usd FROM mart.invoice_reconciliation WHERE meter = 'H100' ORDER BY 1",
    )
    # 20 of the 60 minutes that were billed are the minimum's; two GPUs of the node were held by nobody for two hours.
    assert parts == [
        ("committed", D(1860), D(0), D(0), D(1855)),
        ("default", D(68), D("1.3333"), D(16), D(0)),
    ]
    assert query(
        project,
        "SELECT count(*) FROM ops.check_results WHERE check_name = 'invoice_reconciles' AND NOT is_passed",
    ) == [(0,)]


def test_a_month_without_a_request_is_accrued_charged_reported_and_closed_as_any(project: Project) -> None:
    september = date(2026, 9, 1)
    accrued = "SELECT invoice_issuer_name, accrued_usd, invoiced_usd, true_up_usd FROM mart.accruals_monthly"
    assert query(project, f"{accrued} WHERE month_on = DATE '{september}' ORDER BY 1") == [
        ("Euro AI", D(0), D(12), D(12)),
        ("Example", D(360), None, D(0)),
    ]
    written = nanodollar(project, "report", "month-close", "--date", "2026-09-30", "--deliver")
    assert written.code == 0, written.err
    assert "finance by folder: out" in written.out
    page = (project.reports / "month-close/2026-09.html").read_text(encoding="utf-8")
    assert "$360.00 was spent" in page
    assert (
        "Bills ask for $12.00 where $0.00 was accrued; no bill yet for $360.00 of 1 issuer; true-ups of $12.00 are "
        "booked; with bills the month costs $372.00."
    ) in page
    closed = nanodollar(project, "close", "2026-09", "--by", "Ann")
    assert closed.code == 0, closed.err
    journal = list(csv.DictReader(io.StringIO(nanodollar(project, "journal", "2026-09").out)))
    # At 1.20, the rate of the last day of September.
    assert [(row["debit"], row["credit"], row["memo"]) for row in journal] == [
        ("10.00", "0.00", "fee"), ("300.00", "0.00", "unused_commitment"),
        ("0.00", "10.00", "Euro AI"), ("0.00", "300.00", "Example"),
    ]  # fmt: skip


def test_the_month_after_it_closes_and_every_file_of_its_pack_says_the_same(project: Project) -> None:
    closed = nanodollar(project, "close", "2026-10", "--by", "Ann")
    assert closed.code == 0, closed.err
    pack = project.reports / "close/2026-10"
    assert json.loads((pack / "manifest.json").read_text())["usd_per_unit"] == "1.300000000000"

    def sheet(name: str) -> list[dict[str, str]]:
        return list(csv.DictReader(io.StringIO((pack / name).read_text(encoding="utf-8"))))

    charged = {
        (row["payer"], row["cost_kind"]): D(row["usd"]).quantize(D("0.0001"))
        for row in sheet("chargeback.csv")
    }
    assert charged == {
        ("search", "usage"): D(152), ("finance", "fee"): D("13.59"), ("finance", "credit"): D(-7),
        # 50.13 and 6.46 are asked for beyond what was accrued, fees and credits included.
        ("finance", "true_up"): D(50), ("platform", "padding"): D("1.3333"), ("platform", "cold_start"): D("0.6667"),
        ("platform", "idle"): D(55), ("platform", "unheld"): D(16), ("platform", "unused_commitment"): D(1855),
    }  # fmt: skip
    assert sum(D(row["usd"]) for row in sheet("chargeback.csv")) == D("2105.13") + D("31.46")
    assert sum(D(row["usd"]) for row in sheet("spend.csv")) == D("2136.59")
    journal = sheet("journal.csv")
    debit, credit = (sum(D(row[side]) for row in journal) for side in ("debit", "credit"))
    # The credit of $7 stands among the credits: 2,136.59 and 7 dollars at 1.30.
    assert debit == credit == D("1643.53") + D("5.38")
    assert "$2,136.59 for 2026-10-01 to 2026-11-01 (UTC)" in (pack / "report.html").read_text(
        encoding="utf-8"
    )
    assert sheet("open_points.csv") == [
        {"point": "statement not signed", "subject": payer, "usd": usd, "tokens": "", "remedy": "signoffs.yml"}
        for payer, usd in (
            ("finance", "56.590000000000"), ("platform", "1928.000000000000"), ("search", "152.000000000000"),
        )
    ]  # fmt: skip
    exported = nanodollar(project, "export", "focus", "--month", "2026-10", "--version", "1.4")
    assert exported.code == 0, exported.err
    charges = Path(project.folder, "exports/focus/2026-10/1.4/cost_and_usage.csv").read_text(encoding="utf-8")
    assert sum(D(row["BilledCost"]) for row in csv.DictReader(io.StringIO(charges))) == D(2080)
