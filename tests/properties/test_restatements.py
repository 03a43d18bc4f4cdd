"""A closed day never moves; with its corrections it always says what the newest computation says."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.finance.restatements import price_delta, restate_charges, restate_pools, restate_requests
from models.schemas import table

CLOSED = [(date(2026, 5, 1), date(2026, 6, 1))]
BOOKED_ON = date(2026, 7, 3)
HOUR = datetime(2026, 5, 31, 18, tzinfo=UTC)  # half of it is already 1 June at +05:30
DAYS = (date(2026, 5, 31), date(2026, 6, 1))
NO_CORRECTION = table("core.adjustments").empty()

FIGURE = st.one_of(st.none(), st.integers(0, 50).map(lambda units: Decimal(units).scaleb(-12)))
COMPUTATION = st.dictionaries(st.tuples(st.sampled_from("abc"), st.sampled_from(DAYS)), FIGURE)


def costs(figures: dict[tuple[str, date], Decimal | None], version: str = "v1") -> pl.DataFrame:
    rows: list[dict[str, Any]] = [
        {
            "source": "gateway", "request_id": name, "started_at": HOUR, "accrued_hour": HOUR, "accrued_on": day,
            "effective_usd": usd, "cost_basis": "token", "price_id": version, "sheet_version": version,
            "provider": "openai", "model": "gpt", "input_uncached_tokens": 1,
        }
        for (name, day), usd in figures.items()
    ]  # fmt: skip
    return table("core.request_costs").frame(rows)


@settings(deadline=None, max_examples=25)
@given(first=COMPUTATION, later=st.lists(COMPUTATION, min_size=1, max_size=4))
def test_facts_and_corrections_sum_to_the_newest_figure(
    first: dict[tuple[str, date], Decimal | None], later: list[dict[tuple[str, date], Decimal | None]]
) -> None:
    stored, corrections = costs(first), NO_CORRECTION
    expected = {key: usd or Decimal(0) for key, usd in first.items() if key[1] == DAYS[0]}
    for number, figures in enumerate(later):
        new = costs(figures, f"v{number}")
        found = restate_requests(stored, new, corrections, closed=CLOSED, booked_on=BOOKED_ON)
        again = restate_requests(
            found.rows, new, pl.concat([corrections, found.adjustments]), closed=CLOSED, booked_on=BOOKED_ON
        )
        assert again.adjustments.is_empty()
        assert found.rows.filter(pl.col("accrued_on") == DAYS[1]).equals(
            new.filter(pl.col("accrued_on") == DAYS[1])
        )
        corrections, stored = pl.concat([corrections, found.adjustments]), found.rows
        # What is no longer known corrects nothing; what is gone was a record that another one replaced.
        expected = {key: Decimal(0) for key in expected} | {
            key: usd if usd is not None else expected.get(key, Decimal(0))
            for key, usd in figures.items()
            if key[1] == DAYS[0]
        }

    closed = stored.filter(pl.col("accrued_on") == DAYS[0])
    assert closed.sort("request_id").equals(
        costs({key: usd for key, usd in first.items() if key[1] == DAYS[0]}).sort("request_id")
    )
    assert corrections["adjustment_id"].is_unique().all()
    stands = {key: Decimal(0) for key in expected}
    for name, day, usd in closed.select("request_id", "accrued_on", "effective_usd").iter_rows():
        stands[name, day] = usd or Decimal(0)
    for name, day, usd in corrections.select("request_id", "accrued_on", "difference_usd").iter_rows():
        stands[name, day] = stands.get((name, day), Decimal(0)) + usd
    assert stands == expected


@given(first=COMPUTATION, second=COMPUTATION)
@settings(deadline=None, max_examples=20)
def test_the_delta_is_the_difference_of_what_both_know(
    first: dict[tuple[str, date], Decimal | None], second: dict[tuple[str, date], Decimal | None]
) -> None:
    delta = price_delta(costs(first), costs(second), closed=CLOSED, figure="effective_usd")

    changed = {key for key in first.keys() & second.keys() if first[key] != second[key]}
    assert delta["figures"].sum() == len(changed)
    assert sum(delta["difference_usd"], Decimal(0)) == sum(
        ((second[key] or 0) - (first[key] or 0) for key in changed), Decimal(0)
    )
    assert {(row["month"], row["is_closed"]) for row in delta.to_dicts()} == {
        (day.strftime("%Y-%m"), day == DAYS[0]) for _, day in changed
    }


def charge(usd: str | None, on: date = DAYS[0]) -> pl.DataFrame:
    row = {"charge_id": "overhead:storage:*:p", "meter": "storage", "route": "chat", "accrued_hour": HOUR}
    return table("core.other_charges").frame(
        [row | {"accrued_on": on, "effective_usd": None if usd is None else Decimal(usd)}]
    )


def test_a_charge_of_a_closed_day_is_corrected_once_and_stands_as_it_was() -> None:
    first, dearer = charge("1.5"), charge("2")
    found = restate_charges(first, dearer, NO_CORRECTION, closed=CLOSED, booked_on=BOOKED_ON)
    assert found.rows.equals(first)
    (row,) = found.adjustments.to_dicts()
    assert (row["charge_id"], row["deployment"], row["difference_usd"], row["reason"]) == (
        "overhead:storage:*:p", "chat", Decimal("0.5"), "reprice",
    )  # fmt: skip
    again = restate_charges(found.rows, dearer, found.adjustments, closed=CLOSED, booked_on=BOOKED_ON)
    assert again.adjustments.is_empty()
    # The correction of a charge is none of a pool, and none of an attempt.
    for restate in (restate_pools, restate_requests):
        empty = table("core.pool_hours" if restate is restate_pools else "core.request_costs").empty()
        others = restate(empty, empty, found.adjustments, closed=CLOSED, booked_on=BOOKED_ON)
        assert others.adjustments.is_empty()
    late = restate_charges(first.clear(), charge("2"), NO_CORRECTION, closed=CLOSED, booked_on=BOOKED_ON)
    assert late.adjustments["reason"].to_list() == ["late_row"]
    before, after = charge("2", DAYS[1]), charge("3", DAYS[1])
    assert restate_charges(before, after, NO_CORRECTION, closed=CLOSED, booked_on=BOOKED_ON).rows.equals(
        after
    )


def pools(rate: int, seconds: int = 3600, *, is_priced: bool = True) -> pl.DataFrame:
    parts = {
        f"{part}_usd": Decimal(rate if part in {"idle", "serving"} else 0) if is_priced else None
        for part in (
            "serving",
            "idle",
            "starting",
            "draining",
            "failed",
            "padding",
            "unheld",
            "unused_commitment",
        )
    }
    row = {
        "deployment": "pool", "pool_hour": HOUR, "accrued_on": DAYS[0], "billed_gpu_seconds": Decimal(seconds),
        "billed_usd": Decimal(2 * rate) if is_priced else None,
    }  # fmt: skip
    return table("core.pool_hours").frame([row | parts])


def test_a_pool_is_corrected_by_what_it_cost_beside_its_attempts() -> None:
    found = restate_pools(pools(2), pools(3), NO_CORRECTION, closed=CLOSED, booked_on=BOOKED_ON)

    assert found.rows.equals(pools(2))
    (row,) = found.adjustments.to_dicts()
    assert (row["deployment"], row["request_id"], row["reason"]) == ("pool", None, "reprice")
    assert (row["old_usd"], row["new_usd"], row["difference_usd"]) == (2, 3, 1)
    assert restate_pools(
        pools(2), pools(3), found.adjustments, closed=CLOSED, booked_on=BOOKED_ON
    ).adjustments.is_empty()


def test_a_pool_with_a_late_replica_says_so_and_one_without_a_price_corrects_nothing() -> None:
    anew = restate_pools(pools(2), pools(3, 1800), NO_CORRECTION, closed=CLOSED, booked_on=BOOKED_ON)
    unknown = restate_pools(
        pools(2), pools(2, is_priced=False), NO_CORRECTION, closed=CLOSED, booked_on=BOOKED_ON
    )

    assert anew.adjustments["reason"].to_list() == ["late_row"]
    assert unknown.adjustments.is_empty()


@pytest.mark.parametrize(
    ("was", "now", "reason"),
    [
        ({}, {"sheet_version": "v2", "price_id": "v2"}, "reprice"),
        # The same tokens, told by a better record: of another tier, or counted in another class.
        ({}, {"service_tier": "batch"}, "late_row"),
        ({}, {"cache_read_tokens": 1, "input_uncached_tokens": 0, "output_text_tokens": 9}, "late_row"),
        ({"cost_basis": "gpu", "chip": "H100"}, {"cost_basis": "gpu", "chip": "H100"}, "resplit"),
        ({"cost_basis": "gpu", "chip": "H100"}, {"cost_basis": "gpu", "chip": "H100", "price_id": "v2"}, "reprice"),
        # A replica, or its deployment, that nobody had told of.
        ({"cost_basis": "gpu", "price_id": None}, {"cost_basis": "gpu", "chip": "H100"}, "late_row"),
        ({}, {"cost_basis": "gpu", "chip": "H100"}, "late_row"),
    ],
)  # fmt: skip
def test_a_correction_says_why_it_is(was: dict[str, Any], now: dict[str, Any], reason: str) -> None:
    def cost(usd: int, changes: dict[str, Any]) -> pl.DataFrame:
        (row,) = costs({("r", DAYS[0]): Decimal(usd)}).to_dicts()
        return table("core.request_costs").frame([row | changes])

    found = restate_requests(cost(1, was), cost(2, now), NO_CORRECTION, closed=CLOSED, booked_on=BOOKED_ON)
    assert found.adjustments["reason"].to_list() == [reason]


def test_a_late_request_on_a_pool_is_a_late_row_of_the_pool() -> None:
    busier = pools(2).with_columns(idle_usd=pl.lit(1).cast(pl.Decimal(38, 12)))

    found = restate_pools(pools(2), busier, NO_CORRECTION, closed=CLOSED, booked_on=BOOKED_ON)

    assert found.adjustments["reason"].to_list() == ["late_row"]
