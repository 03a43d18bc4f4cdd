"""nanodollar close: a month is closed once, when it is fit for it, and then moves by corrections alone."""

from datetime import UTC, datetime
from decimal import Decimal

import duckdb
import pytest

from pipelines.automation.closing import close_month
from pipelines.project import Project, find_project
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.small import (
    HOUSE_SHEET,
    gateway_row,
    make_project,
    materialize,
    nanodollar,
    query,
    write_lines,
)

SETTINGS = """\
[warehouse]
start_on = 2026-10-01
[[sources]]
name = "gateway"
kind = "litellm_spend_logs"
path = "landing/gateway/*.jsonl"
"""
FACTS = "FROM core.request_costs SELECT request_id, effective_usd, price_id ORDER BY ALL"
MARTS = "FROM mart.cost_per_token_daily ORDER BY ALL"


def write_sheet(project: Project, *, rate: int) -> None:
    sheet = project.folder / "prices/tokens/house.yml"
    sheet.parent.mkdir(parents=True, exist_ok=True)
    sheet.write_text(HOUSE_SHEET.format(rate=rate), encoding="utf-8")


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A company whose records begin on the last but one day of October, with a model that has no price."""
    project = make_project(tmp_path_factory.mktemp("company"), SETTINGS)
    rows = [
        gateway_row("r1", "2026-10-30 12:10:00"),
        gateway_row("r2", "2026-10-30 12:50:00", model="house-model", prompt_tokens=90, cached_tokens=0),
    ]
    write_lines(project.folder / "landing/gateway/october.jsonl", rows)
    built = nanodollar(project, "run")
    assert "Computed" in built.out, built.err
    return project


def test_only_a_month_that_has_ended_is_closed(company: Project) -> None:
    before = datetime(2026, 11, 1, 0, 59, tzinfo=UTC)
    with pytest.raises(Exception, match="2026-10 stays open: it can move until 2026-11-01 01:00 UTC"):
        close_month(Warehouse(company), "2026-10", now=before, closed_by="Ann")
    assert "2026-09 stays open: nothing has landed for it" in nanodollar(company, "close", "2026-09").err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["2026-13"], "'2026-13' is no month; write it like 2026-10"),
        ([], "Name one month"),
        (["2026-10", "--list"], "Name one month"),
    ],
)
def test_wrong_use_is_a_sentence(company: Project, words: list[str], sentence: str) -> None:
    outcome = nanodollar(company, "close", *words)
    assert outcome.code == 2
    assert sentence in outcome.err


def test_a_month_is_closed_once_it_is_whole_and_then_moves_by_corrections_alone_in_its_zone(
    company: Project,
) -> None:
    refused = nanodollar(company, "close", "2026-10")

    assert refused.code == 1
    assert "2026-10 stays open: 1 day is missing (2026-10-31): land their logs" in refused.err
    assert "prices_cover_usage fails: 1 attempts with 290 tokens (19.46% of all) have no price" in refused.err
    assert query(company, "FROM ops.closed_periods") == []

    write_sheet(company, rate=10)
    assert "rows landed or prices changed since it was built" in nanodollar(company, "close", "2026-10").err
    last_day = [
        gateway_row("r3", "2026-10-31 12:10:00", prompt_tokens=0, cached_tokens=0, completion_tokens=10)
    ]
    write_lines(company.folder / "landing/gateway/last_day.jsonl", last_day)
    assert nanodollar(company, "run").code == 0

    closed = nanodollar(company, "close", "2026-10")

    # r2 is 90 x $10 + 200 x $20 per million; r1 600 x 0.15 + 400 x 0.075 + 200 x 0.60; r3 10 x 0.60.
    assert closed.code == 0
    assert closed.out.startswith("Closed 2026-10, 2026-10-01 to 2026-11-01 (exclusive) in UTC, at ")
    assert ": $0.005146 and 0 corrections.\nIts pack: " in closed.out
    assert "\n2026-10: $0.0051 spent. " in closed.out
    assert closed.out.endswith("every check of the data passed.\n")
    again = nanodollar(company, "close", "2026-10")
    assert (again.code, again.out[:23]) == (0, "Closed already: 2026-10")
    assert len(query(company, "FROM ops.closed_periods")) == 1

    before = query(company, FACTS), query(company, MARTS)
    write_sheet(company, rate=20)
    write_lines(company.folder / "landing/gateway/late.jsonl", [gateway_row("late", "2026-10-30 12:20:00")])
    assert nanodollar(company, "run").code == 0

    assert (query(company, FACTS), query(company, MARTS)) == before
    corrections = (
        "SELECT request_id, difference_usd, reason, provider, route, model, tenant FROM core.adjustments "
        "ORDER BY 1"
    )
    whose = "SELECT DISTINCT provider, route, model, tenant FROM core.request_costs WHERE request_id = 'r2'"
    assert query(company, corrections) == [
        ("late", Decimal("0.000240"), "late_row", "openai", "support", "gpt-4o-mini", "acme"),
        ("r2", Decimal("0.000900"), "reprice", *query(company, whose)[0]),
    ]
    with duckdb.connect(str(company.published), read_only=True) as published:
        assert published.execute(corrections).fetchall() == query(company, corrections)
    _, line = nanodollar(company, "close", "--list").out.splitlines()
    assert line.split()[0] == "2026-10"
    assert line.split()[3:] == ["UTC", "0.005146", "2", "+0.001140"]

    zone = '[reporting]\ntime_zone = "Asia/Kolkata"\n'
    (company.folder / "nanodollar.toml").write_text(SETTINGS + zone, encoding="utf-8")
    outcome = nanodollar(company, "run")

    assert outcome.code == 2
    assert "is Asia/Kolkata, but 2026-10 was closed by the days of UTC; set it back" in outcome.err

    zoned = find_project(company.folder)
    assert not materialize(zoned, "facts", "2026-10-30-12:00", "2026-10-30-12:00").success
    assert (query(company, FACTS), query(company, MARTS)) == before
