"""The catalog names every table, column and macro, its examples run, and it needs no network."""

import re

import polars as pl
import pytest

from models.schemas import tables
from models.schemas.base import Column
from models.schemas.macros import macros
from models.schemas.start_here import start_here
from models.schemas.units import may_be_summed, unit
from pipelines.project import Project
from pipelines.reports.catalog import catalog_page, example
from pipelines.steps import made_of
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.small import nanodollar


def test_the_catalog_holds_every_table_and_its_examples_run(company: Project) -> None:
    with Warehouse(company).reading() as con:
        page = catalog_page(con, made_of())
        for table in tables().values():
            con.execute(example(table))
        theirs = con.execute(
            "SELECT DISTINCT function_name FROM duckdb_functions() WHERE database_name = 'nanodollar'"
        ).fetchall()
        (rows,) = con.execute("SELECT count(*) FROM core.request_costs").fetchall()[0]

    ids = set(re.findall(r'<details class="entry" id="([^"]+)"', page))
    assert ids == {name.replace(".", "-") for name in tables()}
    known = {macro.name for macro in macros()}
    assert set(re.findall(r'href="#([a-z]+-[^"]+)"', page)) <= ids | {f"macro-{name}" for name in known}
    assert {pointer.look for pointer in start_here()} <= {*tables()} | known
    assert known == {name for (name,) in theirs} - {"schema_version", "made_by"}
    assert all(macro.meaning for macro in macros())
    (costs,) = re.findall(r'id="core-request_costs">(.*?)</details>', page, re.DOTALL)
    assert f"<dd>{rows:,} rows, 20" in costs
    assert "rows_match_the_schema: All " in costs
    assert "http" not in page.replace("http-equiv", ""), "it opens without a network"


def test_a_check_that_fails_is_told_beside_its_table(company_copy: Project) -> None:
    """A call without a price fails its check, and the page of the command says so."""
    written = nanodollar(company_copy, "catalog")
    assert written.code == 0
    page = (company_copy.reports / "catalog.html").read_text(encoding="utf-8")
    assert written.out.strip() == str(company_copy.reports / "catalog.html")
    assert re.search(
        r'id="core-request_costs">.*?check fails.*?fails</strong> prices_cover_usage', page, re.DOTALL
    )
    assert 'href="catalog.html"' in (company_copy.reports / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "dtype", "counts", "is_summed"),
    [
        ("usage_usd", pl.Decimal(38, 12), "dollars", True),
        ("usd", pl.Decimal(38, 12), "dollars", True),
        ("usage_usd_per_mtok", pl.Float64, "dollars per million tokens", False),
        ("fx_usd_per_unit", pl.Decimal(38, 12), "dollars per unit", False),
        ("cure_usd_per_day", pl.Decimal(38, 12), "dollars a day", False),
        ("low_usd", pl.Decimal(38, 12), "dollars", False),
        ("billed_gpu_seconds", pl.Decimal(38, 6), "GPU-seconds", True),
        ("priced_ratio", pl.Float64, "share", False),
        ("attempt_count", pl.Int64, "count", True),
        ("before_day_count", pl.Int64, "count", False),
        ("sheet_line", pl.Int64, None, False),
        ("accrued_on", pl.Date, "business date", False),
        ("usd", pl.String, None, False),
    ],
)
def test_units_and_sums_follow_from_the_name(
    name: str, dtype: type[pl.DataType], counts: str | None, is_summed: bool
) -> None:
    column = Column(name=name, dtype=dtype, comment="")
    assert (unit(column), may_be_summed(column)) == (counts, is_summed)
