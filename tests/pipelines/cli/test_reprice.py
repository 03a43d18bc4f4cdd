"""nanodollar reprice: shown first, booked once; closed days move by corrections alone."""

import json
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from pipelines.project import Project, find_project
from pipelines.warehouse.connect import Lake
from tests.pipelines.small import (
    CLOSE_NOVEMBER,
    HOUSE_SHEET,
    gateway_row,
    nanodollar,
    query,
    write_company,
    write_lines,
)

FACTS = "SELECT request_id, effective_usd, price_id FROM core.request_costs ORDER BY ALL"
CORRECTIONS = (
    "SELECT request_id, old_usd, new_usd, difference_usd, reason, accrued_on FROM core.adjustments ORDER BY 3"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small company, with one more attempt whose model has a price in a currency without an exchange rate."""
    project = write_company(tmp_path_factory.mktemp("company"))
    euros = (
        HOUSE_SHEET.format(rate=10).replace("currency: USD", "currency: EUR").replace("usd_per", "eur_per")
    )
    (project.folder / "prices/tokens").mkdir(parents=True)
    (project.folder / "prices/tokens/euros.yml").write_text(euros.replace("house", "euro"), encoding="utf-8")
    write_lines(
        project.folder / "landing/gateway/euros.jsonl",
        [gateway_row("r4", "2026-11-02 09:55:00", model="euro-model", prompt_tokens=90, cached_tokens=0)],
    )
    nanodollar(project, "run")
    return project


@pytest.fixture
def company(built: Project, tmp_path: Path) -> Project:
    """A copy of its own for each test: a run costs more than all that is asserted here."""
    shutil.copytree(built.folder, tmp_path / "company")
    return find_project(tmp_path / "company")


def add_price(company: Project, rate: int) -> None:
    sheet = company.folder / "prices/tokens/house.yml"
    sheet.parent.mkdir(parents=True, exist_ok=True)
    sheet.write_text(HOUSE_SHEET.format(rate=rate), encoding="utf-8")


def close_november(company: Project) -> None:
    with Lake(company).writing() as con:
        con.execute(CLOSE_NOVEMBER)


def test_a_name_that_deployments_yml_maps_is_priced_again_under_what_it_means(company: Project) -> None:
    (company.folder / "deployments.yml").write_text(
        "deployments: [{alias: house-model, provider: openai, model: gpt-4o-mini}]\n", encoding="utf-8"
    )
    (row,) = json.loads(nanodollar(company, "reprice", "--format", "json").out)

    # 90 x $0.15 + 200 x $0.60 per million.
    assert (row["model"], row["newly_priced"], Decimal(row["difference_usd"])) == (
        "gpt-4o-mini",
        1,
        Decimal("0.0001335"),
    )


def test_nothing_is_written_before_it_is_asked_for(company: Project) -> None:
    add_price(company, 10)
    before = query(company, FACTS)

    shown = nanodollar(company, "reprice")
    (row,) = json.loads(nanodollar(company, "reprice", "--format", "json").out)

    # 90 x $10 + 200 x $20 per million, for the one attempt of that model.
    assert (row["month"], row["model"], row["figures"], row["newly_priced"]) == (
        "2026-11",
        "house-model",
        1,
        1,
    )
    assert Decimal(row["difference_usd"]) == Decimal("0.0049")
    assert "openai/house-model" in shown.out
    assert "Nothing was written" in shown.out
    assert query(company, FACTS) == before


def test_a_closed_month_moves_by_corrections_alone(company: Project) -> None:
    before = query(company, FACTS)
    spend = "SELECT sum(spend_usd) FROM spend(DATE '2026-11-01', DATE '2026-11-30', '{}')"
    spent = query(company, spend.format("booked"))[0][0]
    close_november(company)
    add_price(company, 10)

    shown = nanodollar(company, "reprice", "--apply")
    nanodollar(company, "run", "--from", "2026-11-02T09:00", "--to", "2026-11-02T10:00")

    assert "closed: by correction" in shown.out
    assert query(company, FACTS) == before
    (first,) = query(company, CORRECTIONS)
    assert first == ("r2", Decimal(0), Decimal("0.0049"), Decimal("0.0049"), "reprice", date(2026, 11, 2))

    # The corrected view has the new figure on its day, the booked view on the day of the correction.
    assert query(company, spend.format("corrected"))[0][0] - spent == Decimal("0.0049")
    (booked_on,) = query(company, "SELECT booked_on FROM core.adjustments")[0]
    in_month = date(2026, 11, 1) <= booked_on < date(2026, 11, 30)
    assert query(company, spend.format("booked"))[0][0] - spent == (Decimal("0.0049") if in_month else 0)

    # A second change of mind is a second correction, of what stands by then.
    add_price(company, 0)
    nanodollar(company, "reprice", "--apply")
    assert query(company, FACTS) == before
    assert [row[1:4] for row in query(company, CORRECTIONS)] == [
        (Decimal("0.0049"), Decimal("0.004"), Decimal("-0.0009")),
        (Decimal(0), Decimal("0.0049"), Decimal("0.0049")),
    ]


def test_a_gpu_rate_is_shown_by_the_model_that_its_pool_serves(company: Project) -> None:
    sheet = company.folder / "prices/gpu/lambda_contract.yml"
    sheet.parent.mkdir(parents=True)
    sheet.write_text(
        "vendor: lambda\ncurrency: USD\nsource_url: https://example.com/prices\nchecked_on: 2026-11-01\n"
        "billing: {granularity_seconds: 60, minimum_seconds: 60, "
        "billed_phases: [pulling, loading, serving, idle, draining]}\n"
        "rates:\n  - {chip: H100, region: us-east-1, commitment: on_demand, usd_per_gpu_hour: 6.00, "
        "valid_from: 2026-01-01}\n",
        encoding="utf-8",
    )
    billed = query(company, "SELECT sum(billed_usd) FROM core.replica_states")[0][0]

    (row,) = json.loads(nanodollar(company, "reprice", "--format", "json").out)

    # 58 and 51 billed minutes at $6.00.
    assert (row["provider"], row["model"]) == ("lambda", "llama-3.3-70b")
    assert Decimal(row["new_usd"]) == Decimal("10.9")
    assert Decimal(row["old_usd"]) == (billed or 0)


def test_prices_contracts_and_exchange_rates_reprice_their_attempts_and_doing_it_twice_is_doing_it_once(
    company: Project,
) -> None:
    assert query(company, "SELECT unpriced_reason FROM core.request_costs WHERE request_id = 'r4'") == [
        ("no_fx_rate",)
    ]
    add_price(company, 10)
    (company.folder / "fx.csv").write_text(
        "currency,rate_on,usd_per_unit,source_url\nEUR,2026-11-01,1.1,https://example.com\n", encoding="utf-8"
    )
    (company.folder / "contracts.yml").write_text(
        "checked_on: 2026-11-01\ncontracts:\n"
        "  - {name: frame, provider: openai, models: [gpt-4o-mini], valid_from: 2026-11-01, multiplier: 0.5}\n",
        encoding="utf-8",
    )
    mini = "SELECT sum(list_usd), sum(effective_usd) FROM core.request_costs WHERE model = 'gpt-4o-mini'"
    before = query(company, mini)[0]
    shown = json.loads(nanodollar(company, "reprice", "--format", "json").out)
    nanodollar(company, "reprice", "--apply")

    assert {row["model"]: row["figures"] for row in shown} == {
        "gpt-4o-mini": 2,
        "house-model": 1,
        "euro-model": 1,
    }
    assert query(company, mini) == [(before[0], before[1] / 2)]
    once = query(company, FACTS)
    assert {name: usd for name, usd, _ in once}["r2"] == Decimal("0.0049")
    # 90 x 10 EUR + 200 x 20 EUR per million, at $1.10.
    assert {name: usd for name, usd, _ in once}["r4"] == Decimal("0.00539")

    again = nanodollar(company, "reprice", "--apply")
    assert "No figure changes." in again.out
    assert query(company, FACTS) == once
    assert query(company, CORRECTIONS) == []
