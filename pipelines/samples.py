"""The sample fleet on disk: native log files with planted facts, settings, sheets, a policy, and the truth.

Written day by day, so that memory is bounded by a day whatever the period.
"""

import gzip
import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import polars as pl

from models.errors import ConfigurationError
from models.samples.bursts import planted_bursts
from models.samples.calls import day_of_calls
from models.samples.fleet_calls import day_of_fleet_calls
from models.samples.litellm_rows import litellm_lines
from models.samples.otel_rows import DIRECT_SHARE, direct_calls, otel_lines, sdk_copies
from models.samples.outcomes import day_of_outcomes
from models.samples.replicas import background_lives, event_rows
from models.samples.tally import PlantedCounts
from models.samples.traffic import calls_per_day, generator

SEED = 20_261_102
STARTS_ON = date(2026, 11, 2)
ENDS_BY = date(2026, 11, 16)
"""The sample lies in the past and where the built-in sheets have prices, back to three months before this day."""
FLEET_SHARE = 0.4
"""Of all calls, how many the company's own GPUs serve; the gateway gets what they and the direct calls leave."""
_ROWS_AT_ONCE = 8_000
FEWEST_DAYS = 2
"""A burst in the first hours of all records cannot be told from what is usual."""
FEWEST_REQUESTS = 100
_OVERLAP_AT_MOST = 500
_SDK_COLUMNS = (
    "request_id", "started_at", "first_token_at", "finished_at", "prompt_tokens", "cached_tokens", "written_tokens",
    "completion_tokens", "reasoning_tokens", "otel_provider", "model", "is_embedding", "tenant", "service",
)  # fmt: skip


def write_fleet(
    folder: Path,
    *,
    days: int = 14,
    requests_per_day: int = 8000,
    seed: int = SEED,
    starts_on: date | None = None,
) -> None:
    """Write a project of sample logs and `truth.json`, which names every planted fact.

    The period has exactly `days * requests_per_day` logical calls, more on weekdays than at the weekend; retries,
    fallbacks, copies and broken records come on top. The same arguments write the same bytes.

    Args:
        folder: the project's folder; made where it is missing.
        days: UTC days, at least FEWEST_DAYS.
        requests_per_day: calls a day on average, at least FEWEST_REQUESTS, so that every fact has room.
        seed: another one is another fleet of the same kind.
        starts_on: first day; by default STARTS_ON, a Monday, or earlier where the period would not end by ENDS_BY.

    Raises:
        ConfigurationError: fewer days or requests than that.
    """
    if days < FEWEST_DAYS or requests_per_day < FEWEST_REQUESTS:
        raise ConfigurationError(
            f"A sample fleet of {days} days with {requests_per_day} requests a day has no room for its planted facts; "
            f"ask for at least {FEWEST_DAYS} days and {FEWEST_REQUESTS} requests a day."
        )
    starts_on = starts_on or min(STARTS_ON, ENDS_BY - timedelta(days=days))
    changes_at = datetime(starts_on.year, starts_on.month, starts_on.day, tzinfo=UTC) + timedelta(
        hours=12 * days
    )
    _write_settings(folder, starts_on=starts_on, changes_at=changes_at)
    tally = PlantedCounts(changes_at=changes_at)
    planted, bursts = planted_bursts(starts_on, days=days, seed=seed)
    lives = [*background_lives(starts_on, days=days, seed=seed), *planted]
    for number, count in enumerate(calls_per_day(starts_on, days=days, requests_per_day=requests_per_day)):
        day = starts_on + timedelta(days=number)
        owned, direct = round(count * FLEET_SHARE), round(count * DIRECT_SHARE)
        calls = day_of_calls(day, number=number, count=count - owned - direct, seed=seed)
        _write_gateway(folder, day, number, days, calls, tally)
        seen = sdk_copies(calls)
        alone = direct_calls(day, number=number, count=direct, seed=seed)
        spans = pl.concat([seen.select(_SDK_COLUMNS), alone.select(_SDK_COLUMNS)])
        _write_lines(folder / f"landing/sdk/{day}.jsonl", [otel_lines(spans, rng=generator(seed, number, 3))])
        _write_table(folder / "landing" / "outcomes" / str(day), day_of_outcomes(calls), turn=1)
        requests = day_of_fleet_calls(lives, day, number=number, count=owned, seed=seed)
        _write_fleet_day(folder, day, number, days, requests, tally)
        tally.add_day(count, calls=calls, seen=seen, alone=alone, requests=requests)
    _write_replicas(folder, event_rows(lives))
    truth = {
        "seed": seed,
        "starts_on": starts_on.isoformat(),
        "days": days,
        "requests_per_day": requests_per_day,
        "facts": {
            **tally.facts(),
            "cold_start_bursts": [
                {
                    **asdict(burst),
                    "onset_at": burst.onset_at.isoformat(),
                    "ended_at": burst.ended_at.isoformat(),
                }
                for burst in bursts
            ],
        },
    }
    (folder / "truth.json").write_text(json.dumps(truth, indent=1) + "\n", encoding="utf-8")


def _write_settings(folder: Path, *, starts_on: date, changes_at: datetime) -> None:
    samples = files("data") / "samples"
    for name, target in (
        ("nanodollar.toml", "nanodollar.toml"),
        ("routing.yml", "policies/routing.yml"),
        ("example_ai.yml", "prices/tokens/example_ai.yml"),
        ("coreweave.yml", "prices/gpu/coreweave.yml"),
        ("budgets.yml", "budgets.yml"),
        ("contracts.yml", "contracts.yml"),
    ):
        text = (samples / name).read_text(encoding="utf-8")
        text = text.replace("{starts_on}", starts_on.isoformat())
        text = text.replace("{changes_at}", changes_at.isoformat().replace("+00:00", "Z"))
        path = folder / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _write_gateway(
    folder: Path, day: date, number: int, days: int, calls: pl.DataFrame, tally: PlantedCounts
) -> None:
    """Write a day of the proxy's rows; some days are packed, one comes twice, one is sent again in part."""
    landing = folder / "landing" / "gateway"
    is_packed, is_text = number % 3 == 1, number % 2 == 1

    def lines(part: pl.DataFrame) -> pl.Series:
        return litellm_lines(part, is_metadata_text=is_text)

    path = landing / f"{day}.jsonl{'.gz' if is_packed else ''}"
    _write_lines(path, (lines(part) for part in calls.iter_slices(_ROWS_AT_ONCE)))
    if number == min(1, days - 1):
        copy = landing / "again" / path.name
        copy.parent.mkdir(exist_ok=True)
        shutil.copyfile(path, copy)
        tally.redelivered_files.append(str(copy.relative_to(folder)))
    if number == min(3, days - 1):
        # Sent again: the end of the day, a row that counts below zero, and a line that broke off.
        late = calls.tail(min(calls.height // 20, _OVERLAP_AT_MOST))
        path = landing / "late" / f"{day}.jsonl"
        row = lines(calls.filter(pl.col("prompt_tokens") > 0).head(1)).item()
        negative = row.replace('"request_id":"', '"request_id":"broken-', 1)
        negative = negative.replace('"prompt_tokens":', '"prompt_tokens":-', 1)
        _write_lines(path, [lines(late), pl.Series([negative, row[: len(row) // 2]])])
        shown = str(path.relative_to(folder))
        tally.counts["overlapping_rows"] += late.height
        tally.overlapping_files.append(shown)
        tally.quarantined += [
            {"source": "gateway", "path": shown, "reason": reason}
            for reason in ("negative_tokens", "invalid_json")
        ]


def _write_lines(path: Path, chunks: Iterable[pl.Series]) -> None:
    """Write lines of text, packed where the name ends in .gz; equal lines make equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as plain:
        packed = (
            gzip.GzipFile("", "wb", compresslevel=1, fileobj=plain, mtime=0) if path.suffix == ".gz" else None
        )
        out = packed or plain
        for lines in chunks:
            if len(lines):
                out.write(lines.str.join("\n").item().encode() + b"\n")
        if packed is not None:
            packed.close()


def _write_fleet_day(
    folder: Path, day: date, number: int, days: int, requests: pl.DataFrame, tally: PlantedCounts
) -> None:
    """Write a day of the owned fleet's requests: JSON lines, CSV and Parquet in turn."""
    if number == days // 2:
        broken = requests.head(1).with_columns(
            pl.format("{}-broken", "request_id").alias("request_id"),
            output_text_tokens=pl.lit(-7, dtype=pl.Int64),
        )
        requests = pl.concat([requests, broken])
    path = _write_table(folder / "landing" / "fleet" / str(day), requests, turn=number)
    if number == days // 2:
        tally.quarantined.append(
            {"source": "fleet", "path": str(path.relative_to(folder)), "reason": "negative_tokens"}
        )


def _write_replicas(folder: Path, events: pl.DataFrame) -> None:
    by_day = events.group_by(pl.col("event_at").dt.date(), maintain_order=True)
    for turn, ((day,), part) in enumerate(by_day):
        _write_table(folder / "landing" / "replicas" / str(day), part, turn=2 * turn)


def _write_table(stem: Path, frame: pl.DataFrame, *, turn: int) -> Path:
    """Write a frame as JSON lines, CSV or Parquet, by turns; text formats spell instants as ISO 8601."""
    suffix = (".jsonl", ".csv", ".parquet")[turn % 3]
    path = stem.with_name(stem.name + suffix)
    path.parent.mkdir(parents=True, exist_ok=True)
    if suffix == ".parquet":
        frame.write_parquet(path)
        return path
    spelled = frame.with_columns(
        pl.col(name).dt.strftime("%Y-%m-%dT%H:%M:%S%.3fZ")
        for name, dtype in frame.schema.items()
        if isinstance(dtype, pl.Datetime)
    )
    if suffix == ".csv":
        spelled.write_csv(path)
    else:
        spelled.write_ndjson(path)
    return path
