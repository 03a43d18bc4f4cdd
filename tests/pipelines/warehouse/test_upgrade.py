"""A lake of an earlier version opens and runs: with other columns, in another order, with a closed month in it.

`earlier/<version>.tar.xz` is the small company with a closed month as that version wrote it: `write_company` and
`nanodollar run` of its commit, then `CLOSE_NOVEMBER`; logs, catalog and Parquet files only.
"""

import sqlite3
import tarfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from models.schemas import tables
from pipelines.project import Project, find_project
from pipelines.reports.period import period_report
from pipelines.warehouse.connect import Lake, connect_read_only
from tests.pipelines.small import CLOSE_NOVEMBER, HOUSE_SHEET, gateway_row, nanodollar, query, write_lines


def age(project: Project) -> int:
    """Take a column out of every table that has one to spare, and add one that this version does not know."""
    changed = 0
    with Lake(project).writing() as con:
        con.execute(CLOSE_NOVEMBER)
        for table in tables().values():
            if table.select is None:
                spare = [
                    c.name
                    for c in table.columns
                    if not c.required and c.name not in (*table.key, table.partition)
                ]
                con.execute(f"ALTER TABLE {table.dotted} ADD COLUMN of_yesterday VARCHAR")
                if spare:
                    # It comes back at the end, and is NULL in what is stored.
                    con.execute(f"ALTER TABLE {table.dotted} DROP COLUMN {spare[0]}")
                    changed += 1
        con.execute("DROP TABLE mart.savings")
        con.execute("CREATE OR REPLACE MACRO schema_version() AS 'earlier'")
    return changed


def test_the_lake_of_an_earlier_version_is_read_as_one_of_today(company_copy: Project) -> None:
    """What came later is NULL in it or empty, so that the pack of a month closed back then can be written again."""
    age(company_copy)
    with connect_read_only(company_copy) as con:
        (snapshot,) = con.execute("SELECT max(snapshot_id) FROM nanodollar.snapshots()").fetchall()[0]
    with connect_read_only(company_copy, snapshot=snapshot) as con:
        for table in tables().values():
            con.execute(f"SELECT {', '.join(table.column_names)} FROM {table.dotted} LIMIT 1")
        assert con.execute("SELECT count(*) FROM core.request_costs").fetchall() != [(0,)]
        assert con.execute("SELECT count(*) FROM mart.savings").fetchall() == [(0,)]
        report = period_report(
            con, "month-close", date(2026, 11, 2), time_zone="UTC", now=datetime(2026, 12, 1, tzinfo=UTC)
        )
    # Its dollars are the column that came later.
    assert report.answer[0] == "Nothing is priced, so no spend can be stated."
    assert {"open_points", "accruals", "chargeback", "variance"} <= {view.name for view in report.views}
    # So do commands before the first run of this version.
    for command in (
        ("sql", "SELECT provider FROM core.adjustments"), ("sql", "FROM spend('2026-11-01', '2026-12-01', 'booked')"),
        ("close", "--list"), ("catalog",), ("explain", "r2"), ("publish",),
    ):  # fmt: skip
        done = nanodollar(company_copy, *command)
        assert done.code == 0, (command, done.err)


def test_a_lake_of_an_earlier_version_with_a_closed_month_runs_and_corrects(company_copy: Project) -> None:
    folder = company_copy.folder
    assert age(company_copy) > 20
    write_lines(folder / "landing/gateway/late.jsonl", [gateway_row("late", "2026-11-02 10:20:00")])
    (folder / "prices/tokens").mkdir(parents=True)
    (folder / "prices/tokens/house.yml").write_text(HOUSE_SHEET.format(rate=10), encoding="utf-8")

    outcome = nanodollar(company_copy, "run")

    assert "Computed" in outcome.out, outcome.err
    booked = query(company_copy, "SELECT request_id, difference_usd FROM core.adjustments ORDER BY 1")
    # The late call costs what its like do; the model that had no price has one now.
    assert ("late", Decimal("0.00024")) in booked
    assert ("r2", Decimal("0.0049")) in booked
    # Marts that a version widens are made anew, also of closed days.
    assert query(company_copy, "SELECT count(family) > 0 FROM mart.cost_per_token_daily") == [(True,)]
    for command in (("sql", "SELECT count(*) FROM core.requests"), ("publish",), ("explain", "r2")):
        done = nanodollar(company_copy, *command)
        assert done.code == 0, done.err
    past = nanodollar(company_copy, "run", "--as-known-at", "2026-11-28T00:00")
    assert "Nothing had landed" in past.err or past.code == 0, past.err


EARLIER = sorted((Path(__file__).parent / "earlier").glob("*.tar.xz"))
FIGURES = (
    "SELECT sum(usage_usd) FROM mart.cost_per_token_daily",
    "SELECT sum(effective_usd), count(*) FROM core.request_costs",
    "SELECT sum(billed_usd), sum(idle_usd) FROM core.pool_hours",
    "SELECT period, snapshot_id FROM ops.closed_periods",
)


@pytest.mark.parametrize("archive", EARLIER, ids=lambda file: file.name.removesuffix(".tar.xz"))
def test_a_warehouse_of_each_released_version_gives_the_same_figures(archive: Path, tmp_path: Path) -> None:
    with tarfile.open(archive) as held:
        held.extractall(tmp_path, filter="data")
    project = find_project(tmp_path)
    before = [query(project, figure) for figure in FIGURES]
    assert before[0] == [(Decimal("3.32548"),)]

    outcome = nanodollar(project, "run")

    assert "Computed" in outcome.out, outcome.err
    assert "mended" not in outcome.out
    assert [query(project, figure) for figure in FIGURES] == before
    assert query(project, "SELECT made_by()") != []
    for command in ("maintain", "publish"):
        done = nanodollar(project, command)
        assert done.code == 0, done.err


@pytest.mark.parametrize(
    "command", [("run",), ("sql", "SELECT 1"), ("maintain",)], ids=lambda words: words[0]
)
def test_a_warehouse_of_a_later_version_or_another_format_is_refused(
    company_copy: Project, command: tuple[str, ...]
) -> None:
    with Lake(company_copy).writing() as con:
        con.execute("CREATE OR REPLACE MACRO schema_version() AS 'later'")
        con.execute("CREATE OR REPLACE MACRO made_by() AS '99.2.0'")
    refused = nanodollar(company_copy, *command)
    assert refused.code == 1
    assert "was written by nanodollar 99.2.0, and this is " in refused.err
    assert "use 99.2.0 or later. Nothing was changed." in refused.err

    with sqlite3.connect(company_copy.folder / "warehouse/catalog.sqlite") as catalog:
        catalog.execute("UPDATE ducklake_metadata SET value = '0.2' WHERE key = 'version'")
    refused = nanodollar(company_copy, *command)
    assert refused.code == 1
    assert "has another format than DuckLake of this version reads" in refused.err
    assert "AUTOMATIC" not in refused.err
    assert catalog.execute("SELECT value FROM ducklake_metadata WHERE key = 'version'").fetchall() == [
        ("0.2",)
    ]
    catalog.close()
