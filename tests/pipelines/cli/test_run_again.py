"""A run that has nothing to do costs next to nothing, and still says how the warehouse stands."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines.automation.up_to_date import WatchedInputs, up_to_date
from pipelines.project import Project, find_project
from pipelines.sources.places import files_at
from pipelines.sources.stored import StoredFile
from pipelines.warehouse.connect import Lake
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.small import HOUSE_SHEET, gateway_row, materialize, nanodollar, query, write_lines

RUN = """
import sys
from pipelines.cli.main import main
try:
    main()
finally:
    heavy = {"dagster", "great_expectations", "altair", "scipy", "pandas"} & set(sys.modules)
    print("imported", sorted(heavy))
"""


def stands(project: Project, *, after: timedelta = timedelta(0)) -> bool:
    return up_to_date(Warehouse(project), source_files(project), now=datetime.now(UTC) + after)


def source_files(project: Project) -> dict[str, list[StoredFile]]:
    return {item.name: files_at(item.path, project=project.folder) for item in project.sources if item.path}


def appended(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as handle:
            handle.write(text)

    return change


def flipped(folder: Path) -> None:
    file = max((folder / "warehouse/data/core").rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-9] + b"\0" * 9)


def late_row(folder: Path) -> None:
    late = write_lines(folder / "late.jsonl", [gateway_row("late", "2026-11-02 10:20:00")])
    assert nanodollar(folder, "ingest", str(late), "--kind", "litellm_spend_logs").code == 0


CHANGES: dict[str, Callable[[Path], None]] = {
    "a new file": appended("landing/gateway/new.jsonl", "{}\n"),
    "a file that grew": appended("landing/fleet/morning.jsonl", "\n"),
    "a price sheet": appended("prices/tokens/house.yml", HOUSE_SHEET.format(rate=1)),
    "a policy": appended("policies/routing.yml", "# none\n"),
    "weights": appended("weights.yml", "# none\n"),
    "the settings": appended("nanodollar.toml", "# more\n"),
    "a lost published file": lambda folder: (folder / "warehouse/warehouse.duckdb").unlink(),
    "a lost report": lambda folder: (folder / "reports/daily/2026-11-02.html").unlink(),
    "lost data docs": lambda folder: (folder / "reports/data_docs/index.html").unlink(),
    "a damaged file of the lake": flipped,
    "a row written by another command": late_row,
}


def test_nothing_to_do_imports_nothing_heavy_changes_nothing_and_keeps_the_exit_code(
    company_copy: Project,
) -> None:
    snapshots = "SELECT count(*) FROM ducklake_snapshots('nanodollar')"
    before = query(company_copy, snapshots), company_copy.published.stat()

    done = subprocess.run(
        [sys.executable, "-c", RUN, "--project", str(company_copy.folder), "run"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert "Computed 0 hours and 0 days" in done.stdout, done.stderr
    assert "error: core.request_costs: prices_cover_usage: 1 attempts" in done.stdout
    # In a new hour it asks what has come due since, with parameters, for which DuckDB imports pandas, and that scipy.
    kept = json.loads((company_copy.folder / ".nanodollar.state.json").read_text(encoding="utf-8"))
    is_same_hour = kept["hour"] == datetime.now(UTC).replace(minute=0, second=0, microsecond=0).isoformat()
    in_a_new_hour = ("imported ['pandas']", "imported ['pandas', 'scipy']")
    assert "imported []" in done.stdout or (
        not is_same_hour and any(words in done.stdout for words in in_a_new_hour)
    )
    assert done.returncode == 1
    assert (query(company_copy, snapshots), company_copy.published.stat()) == before


def test_whatever_a_run_reads_or_leaves_calls_for_a_run_when_it_changes(
    company: Project, tmp_path: Path
) -> None:
    assert stands(company)
    assert stands(company, after=timedelta(hours=1))
    for name, change in CHANGES.items():
        folder = tmp_path / name.replace(" ", "_")
        shutil.copytree(company.folder, folder)
        assert stands(find_project(folder)), "a project that was moved or copied stands as it did"
        change(folder)
        assert not stands(find_project(folder)), name
        shutil.rmtree(folder)


def test_a_file_that_changes_within_its_time_stamp_calls_for_a_run(company_copy: Project) -> None:
    file = company_copy.folder / "landing/gateway/morning.jsonl"
    file.touch()
    stat = file.stat()
    WatchedInputs(company_copy, source_files(company_copy), now=datetime.now(UTC)).keep(
        Warehouse(company_copy)
    )
    os.mkfifo(file.with_name("pipe.jsonl"))
    assert not stands(company_copy), "a pipe is looked at, not read"
    file.with_name("pipe.jsonl").unlink()
    assert stands(company_copy)

    file.write_bytes(file.read_bytes().replace(b'"acme"', b'"evil"'))
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert not stands(company_copy)


def test_rows_that_a_run_which_was_cut_off_has_left_unjudged_are_judged_by_the_next(
    company_copy: Project,
) -> None:
    with Lake(company_copy).writing() as con:
        con.execute("DELETE FROM ops.check_results WHERE table_name LIKE 'core.%'")

    outcome = nanodollar(company_copy, "run")

    assert "Computed 0 hours and 0 days" in outcome.out
    assert "error: core.request_costs: prices_cover_usage: 1 attempts" in outcome.out
    judged = query(
        company_copy,
        "SELECT count(DISTINCT table_name) FROM ops.check_results WHERE table_name LIKE 'core.%'",
    )
    assert judged[0][0] > 4


def test_of_a_long_past_the_days_have_a_page_that_somebody_asks_for(company_copy: Project) -> None:
    folder, pages = company_copy.folder, company_copy.reports / "daily"
    settings = folder / "nanodollar.toml"
    text = settings.read_text(encoding="utf-8").replace("2026-11-01", "2026-08-01")
    settings.write_text(text, encoding="utf-8")
    write_lines(folder / "landing/gateway/summer.jsonl", [gateway_row("old", "2026-08-20 10:20:00")])

    assert "Computed 9 hours and 2 days" in nanodollar(company_copy, "run").out
    assert [page.stem for page in pages.glob("*.html")] == ["2026-11-02"]

    assert nanodollar(company_copy, "report", "daily", "--date", "2026-08-20").code == 0
    assert {page.stem for page in pages.glob("*.html")} == {"2026-08-20", "2026-11-02"}


def test_sheets_are_loaded_again_when_they_have_changed(company_copy: Project) -> None:
    loaded = (
        "SELECT table_name, row_count, run_id FROM ops.partitions WHERE table_name LIKE 'ref.%' ORDER BY ALL"
    )
    before = query(company_copy, loaded)

    assert materialize(company_copy, "land").success
    assert query(company_copy, loaded) == before

    appended("prices/tokens/house.yml", HOUSE_SHEET.format(rate=1))(company_copy.folder)
    assert materialize(company_copy, "land").success
    after = query(company_copy, loaded)
    assert not {run_id for _, _, run_id in after} & {run_id for _, _, run_id in before}
    counts, counts_before = ({name: count for name, count, _ in found} for found in (after, before))
    assert counts["ref.token_prices"] > counts_before["ref.token_prices"]
