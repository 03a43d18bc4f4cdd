"""The sample fleet: the same bytes for the same seed, and the main job finds every fact of truth.json in its files."""

import itertools
import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from models.errors import ConfigurationError
from pipelines.project import Project, find_project
from pipelines.samples import STARTS_ON, write_fleet
from pipelines.warehouse.connect import connect_read_only
from tests.pipelines.small import nanodollar

DAYS, REQUESTS = 2, 300


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("sample") / "fleet"
    write_fleet(folder, days=DAYS, requests_per_day=REQUESTS)
    project = find_project(folder)
    outcome = nanodollar(project, "run")
    assert outcome.code == 0, outcome.err or outcome.out
    return project


@pytest.fixture(scope="module")
def facts(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.folder / "truth.json").read_text(encoding="utf-8"))["facts"]
    return found


@pytest.fixture(scope="module")
def lake(project: Project) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect_read_only(project) as con:
        yield con


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_same_arguments_write_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("first", 1), ("again", 1), ("other", 2)):
        write_fleet(tmp_path / name, days=3, requests_per_day=200, seed=seed)

    first, again, other = (contents(tmp_path / name) for name in ("first", "again", "other"))

    assert again == first
    assert other.keys() == first.keys()
    assert all(other[name] != first[name] for name in first if name.startswith("landing/"))
    assert {Path(name).suffix for name in first} >= {".jsonl", ".gz", ".csv", ".parquet", ".toml", ".yml"}
    twins = [name for name in first if "again/" in name]
    assert len(twins) == 1
    assert first[twins[0]] == first[twins[0].replace("again/", "")]


def test_a_long_period_still_lies_in_the_past(tmp_path: Path) -> None:
    write_fleet(tmp_path, days=20, requests_per_day=100)

    days = sorted(path.name[:10] for path in (tmp_path / "landing" / "sdk").iterdir())
    assert (days[0], days[-1], len(days)) == ("2026-10-27", "2026-11-15", 20)
    assert find_project(tmp_path).start_on == date(2026, 10, 27)


def test_a_fleet_too_small_for_its_facts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="at least 2 days and 100 requests"):
        write_fleet(tmp_path, days=1, requests_per_day=100)

    assert list(tmp_path.iterdir()) == []


def test_logical_calls_are_exactly_those_asked_for(
    lake: duckdb.DuckDBPyConnection, facts: dict[str, Any]
) -> None:
    calls = lake.execute(
        "SELECT count(DISTINCT coalesce(logical_request_id, request_id)) FROM core.requests"
    ).fetchone()

    assert sum(facts["calls_by_day"]) == DAYS * REQUESTS
    assert calls == (DAYS * REQUESTS,)


def test_attempts_retries_fallbacks_and_cached_tokens_are_those_planted(
    lake: duckdb.DuckDBPyConnection, facts: dict[str, Any]
) -> None:
    by_source = dict(
        lake.execute(
            "SELECT source, count(*) FROM core.requests WHERE attempt_no > 0 GROUP BY ALL"
        ).fetchall()
    )
    others = lake.execute(
        "SELECT count(retry_of), count(*) FILTER (is_fallback), count(*) FILTER (attempt_no = 0), "
        "sum(cache_read_tokens) FILTER (attempt_no > 0) FROM core.requests"
    ).fetchone()

    assert by_source == {name: facts["attempts"][name] for name in ("gateway", "sdk", "fleet")}
    assert sum(by_source.values()) == facts["attempts"]["total"]
    assert others == tuple(
        facts[name] for name in ("retries", "fallbacks", "gateway_cache_hits", "cached_tokens")
    )


def test_duplicates_and_broken_records_are_those_planted(
    lake: duckdb.DuckDBPyConnection, facts: dict[str, Any]
) -> None:
    planted = facts["duplicates"]
    reasons = dict(lake.execute("SELECT reason, count(*) FROM ops.duplicates GROUP BY ALL").fetchall())
    refused = lake.execute("SELECT source, path, reason FROM ops.quarantine").fetchall()
    read, accepted, dropped, quarantined = lake.execute(
        "SELECT sum(read_count), sum(accepted_count), sum(duplicate_count), sum(quarantined_count) "
        "FROM ops.source_files"
    ).fetchall()[0]

    assert reasons == {name: planted[name] for name in ("seen_by_another_source", "redelivered")}
    assert sorted(refused) == sorted(
        (item["source"], item["path"], item["reason"]) for item in facts["quarantined"]
    )
    assert read == accepted + dropped + quarantined
    assert (dropped, quarantined) == (planted["total"], len(facts["quarantined"]))


def test_only_the_unknown_model_has_no_price(lake: duckdb.DuckDBPyConnection, facts: dict[str, Any]) -> None:
    planted = facts["unknown_model"]
    unpriced = lake.execute(
        "SELECT provider, model, count(*), sum(input_uncached_tokens + cache_read_tokens + output_text_tokens) "
        "FROM core.request_costs WHERE price_state = 'unpriced' GROUP BY ALL"
    ).fetchall()

    assert unpriced == [tuple(planted[name] for name in ("provider", "model", "attempts", "tokens"))]


def test_the_price_change_costs_what_each_side_should(
    lake: duckdb.DuckDBPyConnection, facts: dict[str, Any]
) -> None:
    planted = facts["price_change"]
    sides = lake.execute(
        "SELECT count(*), sum(effective_usd) FROM core.request_costs WHERE model = ? AND attempt_no > 0 "
        "GROUP BY started_at >= ?::TIMESTAMPTZ ORDER BY min(started_at)",
        [planted["model"], planted["changes_at"]],
    ).fetchall()

    assert sides == [
        (planted[f"attempts_{side}"], Decimal(planted[f"usd_{side}"])) for side in ("before", "after")
    ]


def test_every_planted_routing_mistake_is_found_and_no_other(
    lake: duckdb.DuckDBPyConnection, facts: dict[str, Any]
) -> None:
    found = lake.execute("SELECT kind, request_id, regret_usd FROM mart.routing_mistakes").fetchall()

    assert sorted(row[:2] for row in found) == sorted(
        (kind, request_id) for kind, ids in facts["routing_mistakes"].items() for request_id in ids
    )
    assert all(row[2] > 0 for row in found)


def test_every_planted_burst_is_found_with_its_cause_and_no_other(
    lake: duckdb.DuckDBPyConnection, facts: dict[str, Any]
) -> None:
    found = lake.execute(
        "SELECT deployment, cause, onset_at, ended_at FROM mart.cold_start_bursts"
    ).fetchall()
    planted = facts["cold_start_bursts"]

    assert sorted(row[:2] for row in found) == sorted(
        (burst["deployment"], burst["cause"]) for burst in planted
    )
    for deployment, _, onset_at, ended_at in found:
        burst = next(burst for burst in planted if burst["deployment"] == deployment)
        first, last = (datetime.fromisoformat(burst[name]) for name in ("onset_at", "ended_at"))
        assert abs(onset_at - first) < timedelta(minutes=10)
        assert first < ended_at <= last


def test_every_chip_of_the_fleet_has_a_price(lake: duckdb.DuckDBPyConnection) -> None:
    chips = lake.execute(
        "SELECT count(DISTINCT chip), count(*) FILTER (billed_usd IS NULL) FROM core.pool_hours"
    ).fetchone()

    assert chips == (9, 0)


def test_an_attempt_is_one_row_with_its_whole_cost(lake: duckdb.DuckDBPyConnection) -> None:
    """`attempts()` of days that follow each other holds every attempt once, with the dollars of all hours it ran in."""

    def one(query: str) -> tuple[Any, ...]:
        (row,) = lake.execute(query).fetchall()
        return tuple(row)

    begins, parts = STARTS_ON, [STARTS_ON, STARTS_ON + timedelta(days=1), STARTS_ON + timedelta(days=DAYS)]
    whole = f"FROM attempts('{begins}', '{parts[-1]}')"
    slices, begun, usd = one(
        "SELECT count(*), count(*) FILTER (is_first_accrual), sum(effective_usd) FROM core.request_costs"
    )
    assert one(f"SELECT count(*), sum(usd), count(DISTINCT request_id) {whole}") == (begun, usd, begun)
    assert slices > begun
    told = one("SELECT sum(total_tokens)::BIGINT FROM mart.cost_per_token_daily")
    assert (
        one(f"SELECT sum(input_tokens + output_tokens)::BIGINT {whole} WHERE coalesce(attempt_no, 1) > 0")
        == told
    )
    days = [one(f"SELECT sum(usd) FROM attempts('{a}', '{b}')")[0] for a, b in itertools.pairwise(parts)]
    assert sum(days) == usd
    assert one(f"SELECT count(user_id) > 0 {whole}") == (True,)
