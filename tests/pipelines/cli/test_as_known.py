"""nanodollar run --as-known-at: the past is rebuilt to the byte, apart from the live warehouse."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from models.schemas import tables
from pipelines.project import Project
from tests.pipelines.small import HOUSE_SHEET, gateway_row, nanodollar, query, write_company, write_lines

GPU_SHEET = """\
vendor: lambda
currency: USD
source_url: https://example.com/prices
checked_on: 2026-11-01
billing: {granularity_seconds: 60, minimum_seconds: 60, billed_phases: [loading, serving, idle, draining]}
rates:
  - {chip: H100, region: us-east-1, commitment: on_demand, usd_per_gpu_hour: 6.00, valid_from: 2026-01-01KNOWN}
"""


def rows_of(file: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return the rows of every fact and mart of a published file, in the order of their keys."""
    with duckdb.connect(str(file), read_only=True) as con:
        con.execute("SET TimeZone = 'UTC'")
        return {
            name: con.execute(f"FROM {name} ORDER BY ALL").fetchall()
            for name, found in tables().items()
            if found.schema in {"core", "mart"}
        }


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = write_company(tmp_path_factory.mktemp("company"))
    for folder, name, text in (
        ("tokens", "house", HOUSE_SHEET.format(rate=10)),
        ("gpu", "lambda", GPU_SHEET),
    ):
        sheet = project.folder / f"prices/{folder}/{name}.yml"
        sheet.parent.mkdir(parents=True)
        sheet.write_text(text.replace("KNOWN", ""), encoding="utf-8")
    assert nanodollar(project, "run").code == 0
    return project


def test_what_was_learned_later_does_not_count_and_the_live_warehouse_is_left_alone(
    company: Project, tmp_path: Path
) -> None:
    shutil.copyfile(company.published, tmp_path / "then.duckdb")
    known_at = datetime.now(UTC)
    later = (known_at + timedelta(microseconds=1)).isoformat()
    correction = HOUSE_SHEET.format(rate=99).replace(
        "usd_per_mtok", f"known_from: {later}\n        usd_per_mtok"
    )
    (company.folder / "prices/tokens/correction.yml").write_text(correction, encoding="utf-8")
    gpus = GPU_SHEET.replace("6.00", "9.00").replace("KNOWN", f", known_from: {later}")
    (company.folder / "prices/gpu/correction.yml").write_text(gpus, encoding="utf-8")
    late = write_lines(tmp_path / "late.jsonl", [gateway_row("late", "2026-11-02 09:20:00")])
    nanodollar(company, "ingest", str(late), "--kind", "litellm_spend_logs")
    shown = nanodollar(company, "reprice").out
    assert "openai/house-model" in shown
    assert "lambda/llama-3.3-70b" in shown
    live = query(
        company, "SELECT table_name, partition_key, content_hash, run_id FROM ops.partitions ORDER BY ALL"
    )

    outcome = nanodollar(company, "run", "--as-known-at", known_at.isoformat())

    assert outcome.code == 0
    (past,) = company.folder.glob("warehouse/as_known/*/warehouse.duckdb")
    assert str(past) in outcome.out
    then, rebuilt = rows_of(tmp_path / "then.duckdb"), rows_of(past)
    assert {name for name, rows in then.items() if rows} >= {
        "core.request_costs", "core.pool_hours", "core.cost_lines", "mart.cost_per_token_daily", "mart.cold_starts",
    }  # fmt: skip
    assert rebuilt == then
    assert (past.parent / "reports/daily/2026-11-02.html").exists()
    assert (
        query(
            company, "SELECT table_name, partition_key, content_hash, run_id FROM ops.partitions ORDER BY ALL"
        )
        == live
    )
    spent = query(company, "SELECT sum(spend_usd) FROM spend('2026-11-01', '2026-12-01', 'corrected')")[0][0]
    assert f"2026-11  {spent:>22,.6f}" in outcome.out


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["2999-01-01"], 2, "'2999-01-01' has not come yet"),
        (["2026-01-01"], 1, "Nothing had landed by 2026-01-01 00:00:00 UTC; name a later instant"),
        (["2026-01-01", "--source", "gateway"], 2, "leave the other options out"),
    ],
)
def test_what_cannot_be_rebuilt_is_a_sentence(
    company: Project, words: list[str], code: int, sentence: str
) -> None:
    outcome = nanodollar(company, "run", "--as-known-at", *words)
    assert (outcome.code, sentence in outcome.err) == (code, True), outcome.err
