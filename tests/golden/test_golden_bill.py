"""A month's bill worked by hand: every planted difference is found to the cent, and nothing is left unexplained.

Logs hold 10 calls of a million input tokens at $2 for each model, and of one model 7 answers of 100,000 output tokens
at $10; the bill differs from them in one way a model. A GPU ran 40 minutes of an hour that is billed whole, at $4.
"""

from decimal import Decimal

import pytest

from models.schemas.mart_invoice_reconciliation import RECONCILIATION_TERMS
from pipelines.project import Project
from tests.pipelines.small import lifecycle, make_project, nanodollar, query, write_lines

D = Decimal
SETTINGS = """\
[warehouse]
start_on = 2026-09-01
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
        # Two GPU-hours at $4.50.
        "Example,INV-1,2026-10-01,2026-10-02,Usage,,house,,us-east-1,,H100,on_demand,2,GPU-Hours,9,USD\n",
        beside("Tax", "8.13"),
        beside("Credit", "-5"),
        beside("Usage", "-2", "Correction"),
    ],
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = make_project(tmp_path_factory.mktemp("golden") / "company", SETTINGS)
    for name, text in (("tokens/example", SHEET), ("gpu/house", GPU_SHEET)):
        sheet = project.folder / f"prices/{name}.yml"
        sheet.parent.mkdir(parents=True, exist_ok=True)
        sheet.write_text(text, encoding="utf-8")
    span = {
        "started_at": "2026-10-02T10:00:00Z",
        "finished_at": "2026-10-02T10:00:05Z",
        "provider": "example",
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
        ),
    )  # fmt: skip
    folder = project.folder / "landing/bill"
    folder.mkdir(parents=True)
    for name, lines in PARTS.items():
        (folder / name).write_text(HEAD + "".join(lines), encoding="utf-8")
    outcome = nanodollar(project, "ingest", str(folder))
    assert outcome.code == 0, outcome.err
    assert "read 6 = accepted 6 + duplicate 0 + quarantined 0" in outcome.out
    assert nanodollar(project, "run").code in {0, 1}
    return project


def test_every_planted_difference_is_found_to_the_cent(project: Project) -> None:
    terms = ", ".join(f"{name}_usd" for name in RECONCILIATION_TERMS)
    rows = query(
        project,
        f"SELECT coalesce(model, chip_or_charge), cause, difference_usd, {terms} FROM ("
        "SELECT *, CASE WHEN charge_category <> 'Usage' OR provider IS NULL THEN charge_category ELSE meter END "
        "AS chip_or_charge FROM mart.invoice_reconciliation WHERE line_count > 0) ORDER BY 1, 3",
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
        ("H100", "quantity"): {"quantity": D(4), "rate": D(1)},
        ("Tax", None): {"fee": D("8.13")},
        ("Credit", None): {"credit": D(-5)},
        ("Usage", None): {"credit": D(-2)},
    }


def test_the_bill_is_payable_in_full_and_nothing_is_unexplained(project: Project) -> None:
    ((payable, tax, lines),) = query(project, "SELECT billed_cost, tax_cost, line_count FROM core.invoices")
    assert (payable, tax, lines) == (D("173.13"), D("8.13"), 13)
    ((invoiced, unexplained),) = query(
        project, "SELECT sum(invoiced_usd), sum(abs(unexplained_usd)) FROM mart.invoice_reconciliation"
    )
    assert (invoiced, unexplained) == (payable, 0)
    ((ledger, minimum),) = query(
        project,
        "SELECT ledger_usd, ledger_minimum_usd FROM mart.invoice_reconciliation WHERE meter = 'H100'",
    )
    # 20 of the 60 minutes that were billed are the minimum's.
    assert (ledger, minimum.quantize(D("0.0001"))) == (4, D("1.3333"))
    ((failed,),) = query(
        project,
        "SELECT count(*) FROM ops.check_results WHERE check_name = 'invoice_reconciles' AND NOT is_passed",
    )
    assert failed == 0
