"""What an input token weighs, from what a simulated engine of known prices shows to Prometheus."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.costs.weight_estimates import FEWEST_BLOCKS, prefill_weights
from models.costs.weights import Weights, load_weights
from models.marts import mart_sql
from tests.models.costs.engine import TRUE_WEIGHT, Scrape, simulate
from tests.models.marts.warehouse import insert, open_warehouse, pool_hour

DAY = date(2026, 11, 20)
START = datetime(2026, 11, 20, tzinfo=UTC)
COUNTERS = {
    "input_tokens": "prompt",
    "cache_read_tokens": "cached",
    "output_tokens": "generated",
    "running_count": "running",
}
WEIGHTS = """\
version: 1
weights:
  - {model: m, chip: H100, input: 0.3}
  - {model: m, chip: H100, input: 0.2, valid_from: 2026-11-20}
  - {model: m, chip: H100, input: 0.1, valid_from: 2026-11-21}
"""


def readings(scrapes: list[Scrape], *, model: str = "m", file: str = "f") -> pl.DataFrame:
    """Return rows of raw.usage_counters: four series of one engine."""
    columns = []
    for place, (column, name) in enumerate(COUNTERS.items()):
        read = {
            "started_at": [each.at for each in scrapes],
            column: [getattr(each, name) for each in scrapes],
        }
        columns.append(
            pl.DataFrame(read).with_columns(series=pl.lit(column), record_number=pl.lit(place + 1))
        )
    rows = pl.concat(columns, how="diagonal").with_row_index("line_number", offset=1)
    shared = {
        "source": "engines",
        "source_kind": "prometheus",
        "provider": "vllm",
        "engine": "e",
        "counter": "c",
    }
    return rows.with_columns(
        pl.format("{} {}", "series", "started_at").alias("dedupe_key"),
        pl.lit(START).alias("ingested_at"),
        **{name: pl.lit(word) for name, word in (shared | {"model": model, "file_hash": file}).items()},
    )


def blocks_of(
    rows: pl.DataFrame, *, days: int = 1, pools: tuple[dict[str, object], ...] = ()
) -> pl.DataFrame:
    con = open_warehouse()
    insert(con, "raw.usage_counters", rows)
    insert(con, "core.pool_hours", pools)
    span = {"start": START, "end": START + timedelta(days=days), "zone": "UTC"}
    return con.execute(mart_sql("prefill_blocks"), span).pl()


def estimate(
    blocks: pl.DataFrame, *, on: date = DAY, weights: Weights | None = None
) -> list[dict[str, object]]:
    ends = datetime(on.year, on.month, on.day, tzinfo=UTC) + timedelta(days=1)
    return prefill_weights(blocks, on=on, weights=weights or Weights(), day_ends_at=ends).to_dicts()


@pytest.fixture(scope="module")
def scrapes() -> list[Scrape]:
    return simulate(7, start=START, hours=7)


def test_the_weight_of_a_known_engine_is_recovered_from_its_scrapes(scrapes: list[Scrape]) -> None:
    (row,) = estimate(blocks_of(readings(scrapes)))
    assert row["estimated_weight"] == pytest.approx(TRUE_WEIGHT, rel=0.06)
    assert row["low_weight"] < TRUE_WEIGHT < row["high_weight"]
    assert row["high_weight"] - row["low_weight"] < 0.2 * TRUE_WEIGHT
    assert (row["in_force_weight"], row["in_force_from"], row["is_in_force_within"]) == (
        0.46,
        "default",
        False,
    )


def test_what_came_twice_counts_once_and_a_restart_ends_an_interval(scrapes: list[Scrape]) -> None:
    """A counter that fell ends an interval; what it shows after is not taken for the whole of the time between."""
    rows = readings(scrapes)
    whole = blocks_of(rows)
    assert blocks_of(pl.concat([rows, readings(scrapes, file="again")])).equals(whole)
    half = len(scrapes) // 2
    lost = scrapes[half]
    restarted = [
        Scrape(
            each.at,
            each.prompt - lost.prompt,
            each.cached - lost.cached,
            each.generated - lost.generated,
            each.running,
        )
        for each in scrapes[half:]
    ]
    broken = blocks_of(readings(scrapes[:half] + restarted))
    assert 0 <= whole["interval_count"].sum() - broken["interval_count"].sum() <= 1
    assert estimate(broken)[0]["estimated_weight"] == pytest.approx(TRUE_WEIGHT, rel=0.06)


def test_a_day_alone_and_several_at_once_give_the_same_sums(scrapes: list[Scrape]) -> None:
    late = [
        Scrape(
            each.at + timedelta(hours=20, minutes=30), each.prompt, each.cached, each.generated, each.running
        )
        for each in scrapes
    ]
    rows = readings(late)
    both = blocks_of(rows, days=2)
    assert set(both["accrued_on"]) == {DAY, DAY + timedelta(days=1)}
    assert both.filter(pl.col("accrued_on") == DAY).equals(blocks_of(rows))


def test_idle_engines_and_those_whose_cache_reads_are_not_counted_say_nothing(scrapes: list[Scrape]) -> None:
    idle = [Scrape(each.at, each.prompt, each.cached, each.generated, 0) for each in scrapes]
    assert blocks_of(readings(idle)).is_empty()
    assert blocks_of(readings(scrapes).filter(pl.col("series") != "cache_read_tokens")).is_empty()


def test_the_chip_is_the_replicas_else_that_of_the_models_only_pools(scrapes: list[Scrape]) -> None:
    few = readings(scrapes[:200])
    pools = (pool_hour(START, DAY, model="M", chip="B200"),)
    assert set(blocks_of(few, pools=pools)["chip"]) == {"B200"}
    other = pool_hour(START, DAY, model="m", chip="H100")
    assert set(blocks_of(few, pools=(*pools, other))["chip"]) == {None}


def test_too_few_samples_are_unknown_and_no_number(scrapes: list[Scrape]) -> None:
    (row,) = estimate(blocks_of(readings(scrapes[:200])))
    assert row["block_count"] < FEWEST_BLOCKS
    assert (row["estimated_weight"], row["standard_error"], row["weights_entry"]) == (None, None, None)
    assert row["not_estimated_reason"] == "too_few_samples"


def test_a_mix_that_never_varies_is_unknown_and_no_number() -> None:
    """Two unknowns of one equation: any weight fits."""
    steady = [Scrape(START + timedelta(minutes=n), 5000 * n, 0, 1000 * n, 8) for n in range(420)]
    (row,) = estimate(blocks_of(readings(steady)))
    assert row["interval_count"] == 419
    assert (row["estimated_weight"], row["not_estimated_reason"]) == (None, "too_uncertain")


def test_engines_that_only_prefill_are_unknown_until_others_of_their_model_only_decode() -> None:
    """A disaggregated pair: 1,000 tokens a second prefilled on one, 200 decoded on the other, each busy by itself."""
    rng = np.random.default_rng(3)
    paces = rng.uniform(0.8, 1.0, (2, 420)).cumsum(axis=1) * 60
    first = [
        Scrape(START + timedelta(minutes=n), int(1000 * paces[0, n]), 0, int(2 * paces[0, n]), 8)
        for n in range(420)
    ]
    second = [
        Scrape(START + timedelta(minutes=n), 10**7, 10**7, int(200 * paces[1, n]), 8) for n in range(420)
    ]
    prefill = readings(first)
    (row,) = estimate(blocks_of(prefill))
    assert row["estimated_weight"] is None
    decode = readings(second, file="g").with_columns(
        engine=pl.lit("d"),
        series=pl.lit("d ") + pl.col("series"),
        dedupe_key=pl.lit("d ") + pl.col("dedupe_key"),
    )
    (row,) = estimate(blocks_of(pl.concat([prefill, decode])))
    assert row["estimated_weight"] == pytest.approx(0.2, rel=0.02)


def test_the_line_that_adopts_an_estimate_is_read_and_moves_no_day_so_far(scrapes: list[Scrape]) -> None:
    blocks = blocks_of(readings(scrapes, model='a "quoted" name'))
    (row,) = estimate(blocks)
    adopted = load_weights(f"version: 1\nweights:\n  {row['weights_entry']}\n", path="weights.yml")
    later = START + timedelta(days=2)
    assert adopted.of(row["model"], "H100", later - timedelta.resolution).origin == "default"
    assert adopted.of(row["model"], "H100", later).input == round(row["estimated_weight"] * 10_000)


def test_beside_the_estimate_stands_the_weight_in_force_at_the_end_of_its_day(scrapes: list[Scrape]) -> None:
    blocks = blocks_of(readings(scrapes)).with_columns(chip=pl.lit("H100"))
    weights = load_weights(WEIGHTS, path="weights.yml")
    (row,) = estimate(blocks, weights=weights)
    assert (row["in_force_weight"], row["in_force_from"], row["is_in_force_within"]) == (
        0.2,
        "weights.yml:4",
        True,
    )
    (later,) = estimate(blocks, on=DAY + timedelta(days=6), weights=weights)
    assert (later["in_force_from"], later["estimated_weight"]) == ("weights.yml:5", row["estimated_weight"])
    assert estimate(blocks, on=DAY + timedelta(days=7)) == []


def test_ninety_five_of_a_hundred_intervals_hold_the_true_weight() -> None:
    """Four hundred engines, fourteen hours each, whose speed wanders and whose mix comes and goes; seeded."""
    rng = np.random.default_rng(20261120)
    engines, count, per_block = 400, 840, 30
    seconds = 60.0
    prefill, decode = 1 / 2000, 1 / 400

    def wandering(size: float) -> np.ndarray:
        noise = rng.normal(0, size, (engines, count))
        for step in range(1, count):
            noise[:, step] += 0.8 * noise[:, step - 1]
        return noise

    share = 1 / (1 + np.exp(-wandering(0.4)))
    busy = seconds * np.exp(wandering(0.03))
    prefilled, decoded = np.floor(busy * share / prefill), np.floor(busy * (1 - share) / decode)
    sums = {
        "prefilled": prefilled, "decoded": decoded, "prefilled_squared": prefilled**2 / seconds,
        "decoded_squared": decoded**2 / seconds, "product": prefilled * decoded / seconds,
    }  # fmt: skip
    frame = pl.DataFrame(
        {name: values.reshape(engines, -1, per_block).sum(axis=2).ravel() for name, values in sums.items()}
    ).with_columns(
        accrued_on=pl.lit(DAY), model=pl.Series(np.repeat(np.arange(engines), count // per_block)).cast(pl.String),
        chip=pl.lit(None, dtype=pl.String), interval_count=pl.lit(per_block), seconds=pl.lit(seconds * per_block),
    )  # fmt: skip
    rows = estimate(frame)
    hits = sum(row["low_weight"] <= TRUE_WEIGHT <= row["high_weight"] for row in rows)
    assert len(rows) == engines
    # 380 are expected; within three standard deviations of a fair coin of 95 %.
    assert 366 <= hits <= 393
