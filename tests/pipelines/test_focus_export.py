"""The ledger of a month as FOCUS: every dollar of it, in the names of 1.2 and 1.4, and nothing that has no price."""

import csv
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pytest

from models.finance.focus import cost_and_usage
from models.schemas import table
from models.schemas.focus_columns import COST_AND_USAGE, COST_AND_USAGE_1_2
from pipelines.project import Project
from pipelines.reports.focus import CORRECTIONS
from tests.pipelines.small import SETTINGS, gateway_row, nanodollar, query, write_company, write_lines

D = Decimal
BILL = """\
[[sources]]
name = "bill"
kind = "invoice_lines"
path = "landing/bill/*.csv"
"""
COMMITMENTS = """\
version: 1
commitments:
  - {provider: lambda, region: us-east-1, chip: H100, commitment: committed, gpu_count: 2,
     usd_per_gpu_hour: 2.10, upfront_usd: 1000, valid_from: 2026-11-02, valid_to: 2026-11-03}
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small company, a commitment that nothing uses, and an issued invoice."""
    project = write_company(tmp_path_factory.mktemp("focus") / "company")
    (project.folder / "nanodollar.toml").write_text(SETTINGS + BILL, encoding="utf-8")
    (project.folder / "commitments.yml").write_text(COMMITMENTS, encoding="utf-8")
    bill = project.folder / "landing/bill/november.csv"
    bill.parent.mkdir(parents=True)
    bill.write_text(
        "invoice_issuer_name,invoice_id,charge_period_start,charge_category,service_name,billed_cost,currency\n"
        "OpenAI,INV-7,2026-11-02,Usage,API,0.85,USD\nOpenAI,INV-7,2026-11-02,Tax,,0.17,USD\n",
        encoding="utf-8",
    )
    # Who served it nobody says.
    lost = gateway_row("lost", "2026-11-02 12:20:00", model="mystery", custom_llm_provider="", api_base="")
    write_lines(project.folder / "landing/gateway/lost.jsonl", [lost])
    assert nanodollar(project.folder, "run").code in {0, 1}
    return project


@pytest.fixture(scope="module")
def folder(project: Project) -> Path:
    outcome = nanodollar(project, "export", "focus", "--month", "2026-11")
    assert outcome.code == 0, outcome.err
    assert "5 charges have no price" in outcome.err
    return project.folder / "exports/focus/2026-11"


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_charges_sum_to_the_ledger_by_provider(project: Project, folder: Path) -> None:
    ledger = query(
        project,
        "SELECT provider, sum(spend_usd) FROM spend('2026-11-01', '2026-12-01', 'booked') GROUP BY ALL ORDER BY 1",
    )
    for version, name in (("1.2", "ProviderName"), ("1.4", "ServiceProviderName")):
        sums: dict[str, Decimal] = {}
        for row in read(folder / version / "cost_and_usage.csv"):
            sums[row[name]] = sums.get(row[name], D(0)) + D(row["BilledCost"])
        assert sorted(sums.items()) == ledger


def test_files_have_the_columns_of_their_version_and_say_the_same(folder: Path) -> None:
    for version, columns in (("1.2", COST_AND_USAGE_1_2), ("1.4", COST_AND_USAGE)):
        rows = read(folder / version / "cost_and_usage.csv")
        names = list(rows[0])
        assert [name for name in names if not name.startswith("x_")] == list(columns)
        parquet = pl.read_parquet(folder / version / "cost_and_usage.parquet")
        assert parquet.columns == names
        assert [str(value) for value in parquet["SkuId"]] == [row["SkuId"] for row in rows]
        assert parquet["BilledCost"].to_list() == [D(row["BilledCost"]) for row in rows]
        assert {row["ChargePeriodStart"] for row in rows} == {"2026-11-02T00:00:00Z"}


def test_a_charge_of_tokens_says_what_was_counted(folder: Path) -> None:
    rows = {
        row["x_TokenClass"]: row for row in read(folder / "1.4/cost_and_usage.csv") if row["x_TokenClass"]
    }
    cached = rows["cache_read"]
    # Two calls of gpt-4o-mini with 400 cached tokens each, at $0.075 a million.
    assert (cached["ConsumedQuantity"], cached["ConsumedUnit"], cached["BilledCost"]) == (
        "800",
        "Tokens",
        "0.00006",
    )
    assert (cached["PricingQuantity"], cached["PricingUnit"]) == ("0.0008", "1000000 Tokens")
    assert D(cached["ListUnitPrice"]) == D("0.075")
    details = json.loads(cached["SkuPriceDetails"])
    assert details["x_ModelId"] == "gpt-4o-mini"
    assert (details["x_TokenDirection"], details["x_TokenCacheAction"]) == ("Input", "Read")
    assert "x_TokenCacheAction" not in json.loads(rows["output_text"]["SkuPriceDetails"])


def test_an_unused_commitment_is_a_charge_of_its_own(project: Project, folder: Path) -> None:
    (unused,) = (
        row for row in read(folder / "1.4/cost_and_usage.csv") if row["CommitmentDiscountStatus"] == "Unused"
    )
    ((usd, seconds),) = query(
        project, "SELECT sum(unused_commitment_usd), sum(unused_commitment_gpu_seconds) FROM core.pool_hours"
    )
    assert (D(unused["BilledCost"]), D(unused["PricingQuantity"])) == (usd, seconds)
    assert unused["ConsumedQuantity"] == ""
    (commitment,) = read(folder / "1.4/contract_commitment.csv")
    assert commitment["ContractCommitmentId"] == unused["CommitmentDiscountId"]
    # 48 GPU-hours at $2.10, and the upfront.
    assert (commitment["ContractCommitmentCost"], commitment["ContractCommitmentQuantity"]) == (
        "1100.8",
        "48",
    )
    assert commitment["ContractCommitmentPaymentModel"] == "Partial Upfront"


def test_invoices_and_periods_stand_beside_the_charges_of_1_4(folder: Path) -> None:
    details = read(folder / "1.4/invoice_detail.csv")
    assert [(row["InvoiceDetailId"], row["ChargeCategory"], row["BilledCost"]) for row in details] == [
        ("INV-7-1", "Usage", "0.85"),
        ("INV-7-2", "Tax", "0.17"),
    ]
    periods = read(folder / "1.4/billing_period.csv")
    assert {row["InvoiceIssuerName"]: row["BillingPeriodStatus"] for row in periods} == {
        "OpenAI": "Open", "lambda": "Open", "openai": "Open",
    }  # fmt: skip
    assert not (folder / "1.2/invoice_detail.csv").exists()


def test_the_same_month_is_the_same_bytes(project: Project, folder: Path, tmp_path: Path) -> None:
    assert nanodollar(project, "export", "focus", "--month", "2026-11", "--out", str(tmp_path)).code == 0
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        assert file.read_bytes() == (tmp_path / "2026-11" / file.relative_to(folder)).read_bytes(), file.name


def test_a_month_without_charges_says_so(project: Project) -> None:
    outcome = nanodollar(project, "export", "focus", "--month", "2026-12")
    assert outcome.code != 0
    assert "2026-12 has no charge" in outcome.err


@pytest.mark.parametrize(
    ("style", "costs"), [("delta", [D("0.5"), D(-2)]), ("ledger", [D(-1), D("1.5"), D(-3), D(1)])]
)
def test_corrections_are_their_difference_or_the_old_and_the_new(style: str, costs: list[Decimal]) -> None:
    midnight = [datetime(2026, 11, day, tzinfo=UTC) for day in (1, 2)]
    corrections = pl.DataFrame(
        [
            {
                "accrued_on": date(2026, 10, 9), "provider": provider, "reason": "reprice",
                "old_usd": old, "new_usd": new,
                "billing_period_start": midnight[0], "billing_period_end": midnight[1],
                "charge_period_start": midnight[0], "charge_period_end": midnight[1],
            }
            for provider, old, new in (("a", D(1), D("1.5")), ("b", D(1), D(0)), ("b", D(2), D(1)))
        ],
        schema_overrides={"old_usd": pl.Decimal(38, 12), "new_usd": pl.Decimal(38, 12)},
    )  # fmt: skip
    rows = cost_and_usage(table("mart.focus").empty(), corrections, version="1.4", style=style)  # type: ignore[arg-type]
    assert sorted(rows["BilledCost"]) == sorted(costs)
    assert set(rows["ChargeClass"]) == {"Correction"}
    assert rows["PricingQuantity"].null_count() == rows.height


def test_a_correction_is_its_own_providers() -> None:
    """And nobody's where no provider is known."""
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'; CREATE SCHEMA core")
    ddl = next(line for line in table("core.adjustments").ddl() if line.startswith("CREATE"))
    con.execute(ddl.replace(" NOT NULL", ""))
    for provider, old, new in (("openai", 1, 3), ("lambda", 4, 5), (None, 0, 2)):
        con.execute(
            "INSERT INTO core.adjustments BY NAME SELECT ? AS provider, DATE '2026-10-09' AS accrued_on, "
            "DATE '2026-11-03' AS booked_on, 'reprice' AS reason, ? AS old_usd, ? AS new_usd",
            [provider, old, new],
        )
    wanted = {"first": date(2026, 11, 1), "last": date(2026, 12, 1), "zone": "Europe/Berlin"}
    corrections = con.execute(CORRECTIONS, wanted).pl()
    rows = cost_and_usage(table("mart.focus").empty(), corrections, version="1.2")
    assert sorted(rows.select("ProviderName", "BilledCost").rows()) == [
        ("(unknown)", D(2)), ("lambda", D(1)), ("openai", D(2)),
    ]  # fmt: skip
    assert set(rows["BillingPeriodStart"]) == {datetime(2026, 10, 31, 23, tzinfo=UTC)}
    assert set(rows["ChargePeriodStart"]) == {datetime(2026, 10, 8, 22, tzinfo=UTC)}
