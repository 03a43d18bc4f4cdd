"""A damaged lake says what is damaged and is built anew where that can be; it never goes on with wrong figures."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pyarrow.parquet
import pytest

from models.schemas import tables
from pipelines.project import Project
from pipelines.warehouse.connect import Lake
from pipelines.warehouse.content_hashes import content_hash
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.small import CLOSE_NOVEMBER, nanodollar, query

TABLES = ("core.requests", "core.request_costs", "core.pool_hours", "mart.cost_per_token_daily")


def contents(project: Project) -> dict[str, list[tuple[object, ...]]]:
    without = {"core.requests": " EXCLUDE (ingested_at)"}
    return {
        name: query(project, f"SELECT *{without.get(name, '')} FROM {name} ORDER BY ALL") for name in TABLES
    }


def data_file(project: Project, folder: str) -> Path:
    return max((project.folder / "warehouse/data" / folder).glob("*.parquet"))


def lost(file: Path) -> None:
    file.unlink()


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flipped(file: Path) -> None:
    content = bytearray(file.read_bytes())
    # Between columns lie statistics, of which a reader may need none.
    column = pyarrow.parquet.read_metadata(file).row_group(0).column(0)
    begins = column.dictionary_page_offset or column.data_page_offset
    content[begins + column.total_compressed_size - 2] ^= 0xFF
    written_at = file.stat().st_mtime
    file.write_bytes(content)
    os.utime(file, (written_at + 60, written_at + 60))


def test_files_that_are_lost_cut_or_changed_are_told_and_their_rows_built_anew(company_copy: Project) -> None:
    project, before = company_copy, contents(company_copy)
    damages: dict[str, Callable[[Path], None]] = {
        "core/request_costs": lost,
        "core/pool_hours": cut,
        "mart/cost_per_token_daily": flipped,
        "raw/requests": lost,
        "ref/gpu_prices": lost,
    }
    for folder, damage in damages.items():
        damage(data_file(project, folder))
    data, published = project.folder / "warehouse/data/core/requests", project.published
    dead = subprocess.Popen(["true"])
    dead.wait()
    left_by_kills = [
        data / "2026-11-02T0900Z-0000abcd.parquet",
        data / f".{dead.pid}-2026-11-02T0900Z-0000abcd.parquet",
        published.with_name(f".{published.name}.{dead.pid}.draft"),
        published.with_name(f".{published.name}.{dead.pid}.draft.wal"),
    ]
    of_the_living = data / f".{os.getpid()}-2026-11-02T0900Z-0000abcd.parquet"
    for file in (*left_by_kills, of_the_living):
        file.write_bytes(b"half")

    outcome = nanodollar(project, "run")

    assert [file for file in left_by_kills if file.exists()] == []
    assert of_the_living.exists()

    for folder in damages:
        assert f"of {folder.replace('/', '.')} " in outcome.out, outcome.out + outcome.err
    assert "records were lost and land again" in outcome.out
    assert contents(project) == before
    again = nanodollar(project, "run")
    assert "nothing is new" in again.out
    assert "mended" not in again.out


def test_a_lost_list_of_deleted_rows_is_damage_of_their_file(company_copy: Project) -> None:
    with Lake(company_copy).writing() as con:
        con.execute("DELETE FROM core.requests WHERE request_id = 'f1'")
    before = contents(company_copy)["core.request_costs"]
    for file in (company_copy.folder / "warehouse/data/core/requests").glob("*-delete.parquet"):
        file.unlink()

    outcome = nanodollar(company_copy, "run")

    assert "-delete.parquet of core.requests is gone: its rows are built anew." in outcome.out, outcome.err
    assert query(company_copy, "SELECT count(*) FROM core.requests") == [(5,)]
    assert contents(company_copy)["core.request_costs"] == before


def test_rows_that_nobody_committed_are_built_anew(company_copy: Project) -> None:
    before = contents(company_copy)
    with Lake(company_copy).writing() as con:
        con.execute("INSERT INTO core.requests SELECT * FROM core.requests WHERE request_id = 'r1'")
        con.execute("DELETE FROM core.pool_hours WHERE hour(pool_hour) = 9")
    # A publication before the next run does not hide it.
    with Warehouse(company_copy).committing(run_id="more", job="more") as commit:
        commit.execute("UPDATE ops.partitions SET content_hash = 'other' WHERE table_name = 'core.requests'")
    assert (
        "The lake counts 6 rows of core.requests and holds 6, where 5"
        in nanodollar(company_copy, "publish").err
    )

    outcome = nanodollar(company_copy, "run")

    assert "core.requests does not hold what was committed" in outcome.out
    assert contents(company_copy) == before


def test_what_only_the_lake_knew_is_named_as_lost(company_copy: Project) -> None:
    with Lake(company_copy).writing() as con:
        con.execute(CLOSE_NOVEMBER)
    file = data_file(company_copy, "core/request_costs")
    kept = file.read_bytes()
    file.unlink()

    refused = nanodollar(company_copy, "run")

    assert refused.code == 1
    assert (
        "the figures of closed months (2026-11) as they stand cannot be told from anything else"
        in refused.err
    )
    assert "Put the file back from a backup" in refused.err
    file.write_bytes(kept)
    assert "Error" not in nanodollar(company_copy, "run").err


@pytest.mark.parametrize("content", [b"", None])
def test_a_catalog_that_is_empty_or_gone_is_told_for_what_it_is(
    company_copy: Project, content: bytes | None
) -> None:
    catalog = company_copy.folder / "warehouse/catalog.sqlite"
    for side in ("-wal", "-shm"):
        Path(f"{catalog}{side}").unlink(missing_ok=True)
    catalog.unlink()
    if content is not None:
        catalog.write_bytes(content)

    for command in ("run", "sql"):
        refused = nanodollar(company_copy, command, *(["SELECT 1"] if command == "sql" else []))
        assert refused.code == 1
        assert f"The catalog {catalog} is {'empty' if content is not None else 'gone'}" in refused.err
        assert "closed months and corrections" in refused.err


def test_a_damaged_published_file_and_damaged_pages_are_written_anew(company_copy: Project) -> None:
    index = company_copy.reports / "data_docs/index.html"
    page = next((company_copy.reports / "data_docs/validations/core_requests").rglob("*.html"))
    for file, damage in ((company_copy.published, flipped_head), (index, lost), (page, cut)):
        damage(file)

    outcome = nanodollar(company_copy, "run")

    assert "Error" not in outcome.err
    with duckdb.connect(str(company_copy.published), read_only=True) as con:
        assert con.execute("SELECT count(*) FROM core.requests").fetchall() == [(5,)]
    assert page.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert index.exists()


def flipped_head(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(b"\0" * 4096 + content[4096:])


def test_a_file_of_an_earlier_version_with_fewer_columns_is_no_damage(company_copy: Project) -> None:
    table = tables()["mart.cost_per_token_daily"]
    spare = next(
        c.name for c in table.columns if not c.required and c.name not in (*table.key, table.partition)
    )
    with Lake(company_copy).writing() as con:
        con.execute(f"ALTER TABLE {table.dotted} DROP COLUMN {spare}")
        con.execute(f"CREATE TEMP TABLE kept AS FROM {table.dotted}")
        con.execute(f"DELETE FROM {table.dotted}")
        con.execute(f"INSERT INTO {table.dotted} FROM temp.kept")
        for (on,) in con.execute(f"SELECT DISTINCT {table.partition} FROM {table.dotted}").fetchall():
            rows = con.execute(f"FROM {table.dotted} WHERE {table.partition} = ?", [on]).pl()
            then = table.conform(rows.lazy(), fill=True).drop(spare).collect()
            con.execute(
                "UPDATE ops.partitions SET content_hash = ? WHERE table_name = ? AND partition_key = ?",
                [content_hash(then), table.dotted, f"{on:%Y-%m-%d}"],
            )
        con.execute("CREATE OR REPLACE MACRO schema_version() AS 'earlier'")
    # A copy is younger than its commit, so that what it holds is looked at.
    for file in (company_copy.folder / "warehouse/data/mart/cost_per_token_daily").glob("**/*.parquet"):
        os.utime(file, (file.stat().st_mtime + 60,) * 2)

    outcome = nanodollar(company_copy, "run")

    assert "Computed" in outcome.out, outcome.err
    assert "built anew" not in outcome.out + outcome.err
