"""The sample fleet on disk: the same bytes for the same seed, and every fact of truth.json in its files."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from models.costs.token_costs import price_requests
from models.errors import ConfigurationError
from models.lifecycle.dedupe import dedupe_events
from models.logs.dedupe import dedupe
from models.prices.providers import canonical_providers
from models.routing.mistakes import routing_mistakes
from models.routing.policy import load_policy, quality_scores
from models.schemas import table
from pipelines.assets.ref import reference_frames
from pipelines.landing.land import LandedFile, land_source
from pipelines.project import Project, find_project
from pipelines.samples import STARTS_ON, write_fleet

DAYS, REQUESTS = 2, 600
FIRST = datetime(STARTS_ON.year, STARTS_ON.month, STARTS_ON.day, tzinfo=UTC)
LAST = FIRST + timedelta(days=DAYS)
AS_KNOWN_AT = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("sample") / "fleet"
    write_fleet(folder, days=DAYS, requests_per_day=REQUESTS)
    return find_project(folder)


@pytest.fixture(scope="module")
def facts(project: Project) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((project.folder / "truth.json").read_text(encoding="utf-8"))["facts"]
    return found


@pytest.fixture(scope="module")
def landed(project: Project, tmp_path_factory: pytest.TempPathFactory) -> list[LandedFile]:
    staging = tmp_path_factory.mktemp("staging")
    known: set[str] = set()
    files: list[LandedFile] = []
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        for source in project.sources:
            files += land_source(
                con, source, project=project.folder, known=known, staging=staging, ingested_at=AS_KNOWN_AT,
                hash_key=project.hash_key(),
            )  # fmt: skip
    return files


def rows_of(landed: list[LandedFile], name: str) -> pl.LazyFrame:
    parts = [path for file in landed if file.table == name for path in file.parquet_paths]
    return pl.concat([pl.read_parquet(path) for path in parts]).lazy()


@pytest.fixture(scope="module")
def deduped(landed: list[LandedFile]) -> tuple[pl.DataFrame, pl.DataFrame]:
    window = timedelta(hours=2)
    winners, losers = dedupe(rows_of(landed, "raw.requests"), window=window, from_hour=FIRST, to_hour=LAST)
    return canonical_providers(winners).collect(), losers.collect()


@pytest.fixture(scope="module")
def attempts(deduped: tuple[pl.DataFrame, pl.DataFrame]) -> pl.DataFrame:
    return deduped[0].filter(pl.col("attempt_no") > 0)


@pytest.fixture(scope="module")
def costs(project: Project, deduped: tuple[pl.DataFrame, pl.DataFrame]) -> pl.DataFrame:
    books = reference_frames(project)
    rows = price_requests(
        deduped[0].lazy().filter(pl.col("source") != "fleet"),
        book=books["ref.token_prices"].lazy(),
        models=books["ref.models"].lazy(),
        gpu_routes=(),
        time_zone="UTC",
        as_known_at=AS_KNOWN_AT,
        from_hour=FIRST,
        to_hour=LAST,
    )
    return table("core.request_costs").conform(rows.lazy(), fill=True).collect()


def test_the_same_arguments_write_the_same_bytes(project: Project, tmp_path: Path) -> None:
    write_fleet(tmp_path / "again", days=DAYS, requests_per_day=REQUESTS)
    write_fleet(tmp_path / "other", days=DAYS, requests_per_day=REQUESTS, seed=5)

    def contents(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".hash_key")
        return {str(path.relative_to(folder)): path.read_bytes() for path in files}

    first, again, other = (
        contents(folder) for folder in (project.folder, tmp_path / "again", tmp_path / "other")
    )
    assert again == first
    assert other.keys() == first.keys()
    assert all(other[name] != first[name] for name in first if name.startswith("landing/"))


def test_calls_sum_to_days_times_requests(facts: dict[str, Any], attempts: pl.DataFrame) -> None:
    calls = pl.coalesce("logical_request_id", "request_id")

    by_day = attempts.group_by(pl.col("started_at").dt.date().alias("day")).agg(calls.n_unique()).sort("day")

    assert sum(facts["calls_by_day"]) == DAYS * REQUESTS
    # A call that the gateway's cache answered is no attempt.
    assert sum(by_day.get_column(by_day.columns[1])) == DAYS * REQUESTS - facts["gateway_cache_hits"]


def test_attempts_are_as_many_as_planted_in_each_source(
    facts: dict[str, Any], attempts: pl.DataFrame
) -> None:
    by_source = dict(attempts.group_by("source").len().rows())

    assert by_source == {name: facts["attempts"][name] for name in ("gateway", "sdk", "fleet")}
    assert attempts.height == facts["attempts"]["total"]
    assert attempts.get_column("cache_read_tokens").sum() == facts["cached_tokens"]
    assert attempts.filter(pl.col("retry_of").is_not_null()).height == facts["retries"]
    assert attempts.filter("is_fallback").height == facts["fallbacks"]


def test_duplicates_are_those_planted(
    project: Project,
    facts: dict[str, Any],
    landed: list[LandedFile],
    deduped: tuple[pl.DataFrame, pl.DataFrame],
) -> None:
    winners, losers = deduped
    planted = facts["duplicates"]
    (again,) = planted["redelivered_files"]

    assert dict(losers.group_by("reason").len().rows()) == {
        "seen_by_another_source": planted["seen_by_another_source"],
        "redelivered": planted["redelivered"],
    }
    assert winners.height - facts["attempts"]["total"] == facts["gateway_cache_hits"]
    # A file with the content of another is passed over: of the two, only one was read.
    twins = {again, again.replace("again/", "")}
    assert len(twins & {file.file["path"] for file in landed}) == 1
    assert len({(project.folder / name).read_bytes() for name in twins}) == 1


def test_broken_records_are_in_quarantine_for_the_planted_reason(
    facts: dict[str, Any], landed: list[LandedFile]
) -> None:
    refused = pl.concat([file.quarantine for file in landed]).select("source", "path", "reason")

    assert sorted(refused.rows()) == sorted(
        (item["source"], item["path"], item["reason"]) for item in facts["quarantined"]
    )


def test_only_the_unknown_model_has_no_price(facts: dict[str, Any], costs: pl.DataFrame) -> None:
    planted = facts["unknown_model"]
    unpriced = costs.filter(pl.col("price_state") == "unpriced", pl.col("attempt_no") > 0)
    tokens = pl.sum_horizontal(pl.col("^.*_tokens$").fill_null(0)).sum()

    assert unpriced.select("provider", "model").unique().rows() == [(planted["provider"], planted["model"])]
    assert unpriced.height == planted["attempts"] > 0
    assert unpriced.select(tokens).item() == planted["tokens"]


def test_the_price_change_costs_what_each_side_should(facts: dict[str, Any], costs: pl.DataFrame) -> None:
    planted = facts["price_change"]
    changes_at = datetime.fromisoformat(planted["changes_at"])
    changed = costs.filter(pl.col("model") == planted["model"], pl.col("attempt_no") > 0)

    for side, rows in (
        ("before", changed.filter(pl.col("started_at") < changes_at)),
        ("after", changed.filter(pl.col("started_at") >= changes_at)),
    ):
        assert rows.height == planted[f"attempts_{side}"] > 0
        assert rows.get_column("effective_usd").sum() == Decimal(planted[f"usd_{side}"])


def test_the_policy_finds_every_planted_mistake_and_no_other(
    project: Project, facts: dict[str, Any], costs: pl.DataFrame
) -> None:
    text = project.policy_text()
    books = reference_frames(project)

    flagged, _ = routing_mistakes(
        costs.lazy(),
        policy=load_policy(text, path="routing.yml"),
        quality=quality_scores(text, path="routing.yml"),
        book=books["ref.token_prices"].lazy(),
        models=books["ref.models"].lazy(),
        as_known_at=AS_KNOWN_AT,
    )

    found = flagged.collect()
    assert sorted(found.select("kind", "request_id").rows()) == sorted(
        (kind, request_id) for kind, ids in facts["routing_mistakes"].items() for request_id in ids
    )
    assert found.get_column("regret_usd").min() > 0


def test_replica_events_land_whole_and_their_chips_are_priced(
    project: Project, landed: list[LandedFile]
) -> None:
    events, copies = dedupe_events(rows_of(landed, "raw.replica_events"), from_hour=FIRST, to_hour=LAST)
    prices = reference_frames(project)["ref.gpu_prices"].filter(
        pl.col("known_from") <= FIRST + timedelta(days=20)
    )
    pools = events.collect().select("provider", "region", "chip", "commitment").unique()

    priced = pools.join(prices, on=["provider", "chip", "commitment"], suffix="_priced").filter(
        pl.col("region_priced").is_null() | (pl.col("region_priced") == pl.col("region"))
    )

    assert copies.collect().is_empty()
    assert priced.select(pools.columns).unique().height == pools.height


def test_a_fleet_too_small_for_its_facts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="at least 1 day and 100 requests"):
        write_fleet(tmp_path, days=1, requests_per_day=20, starts_on=date(2026, 11, 2))

    assert list(tmp_path.iterdir()) == []
