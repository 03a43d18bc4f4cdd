"""Limits that a project changes judge what was judged before, stricter and looser, and each only once."""

from datetime import UTC, date, datetime, timedelta

from models.schemas import table
from pipelines.checks.again import judge_again
from pipelines.project import Project, find_project
from pipelines.warehouse.failing import failing_checks
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.checks.test_cold_start_bursts import burst
from tests.pipelines.small import SETTINGS, query

ON = date(2026, 11, 2)


def found_by(project: Project, limits: str) -> tuple[list[str], int]:
    """Return how the check of bursts fails by some limits, and how many results it has."""
    (project.folder / "nanodollar.toml").write_text(f"{SETTINGS}[cold_starts]\n{limits}\n", encoding="utf-8")
    warehouse = Warehouse(find_project(project.folder))
    judge_again(warehouse, run_id="again", since=datetime.now(UTC) - timedelta(minutes=5))
    with warehouse.reading() as con:
        failing = [one.severity for one in failing_checks(con) if one.check_name == "cold_start_bursts"]
    warehouse.lake.close()
    counted = "SELECT count(*) FROM ops.check_results WHERE check_name = 'cold_start_bursts'"
    return failing, query(project, counted)[0][0]


def test_new_limits_judge_what_was_judged_before(company_copy: Project) -> None:
    warehouse = Warehouse(company_copy)
    rows = table("mart.cold_start_bursts").frame([burst("llama-pool", "30", on=ON)])
    with warehouse.committing(run_id="planted", job="planted") as commit:
        commit.replace("mart.cold_start_bursts", rows, partitions=[ON])
    warehouse.lake.close()

    kept = found_by(company_copy, "")
    stricter = found_by(company_copy, "fail_above_usd = 10")
    again = found_by(company_copy, "fail_above_usd = 10")
    looser = found_by(company_copy, "warn_above_usd = 1000\nfail_above_usd = 2000")

    assert (kept[0], stricter[0], again[0], looser[0]) == (["warn"], ["error"], ["error"], [])
    assert stricter[1] > kept[1]
    assert again[1] == stricter[1]
