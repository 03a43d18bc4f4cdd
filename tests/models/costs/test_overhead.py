"""Shared overhead of pools: named lines that sum to what was billed, whoever held the accelerators."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.costs.intervals import slots
from models.costs.overhead import load_overhead, other_charges
from models.errors import ConfigurationError
from models.schemas import table
from tests.models.marts.warehouse import attempt, fill, insert, open_warehouse, pool_hour

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
DAY = date(2026, 11, 20)
HOUR = timedelta(hours=1)
FILE = """\
version: 1
overhead:
  - {name: storage, provider: lambda, usd_per_hour: 1.20, valid_from: 2026-11-01}
  - {name: storage, provider: lambda, usd_per_hour: 2.40, valid_from: 2026-11-20T13:30:00Z}
  - {name: cpu_nodes, deployment: llama-pool, share_of_gpu: 0.08, valid_from: 2026-11-01, known_from: 2026-11-19}
"""


def pool(deployment, seconds, usd, *, at=NOON, on=DAY, **facts):
    return pool_hour(
        at, on, deployment=deployment, serving_usd=None if usd is None else Decimal(usd),
        billed_gpu_seconds=Decimal(seconds), **facts,
    )  # fmt: skip


def charged(pools, *, text=FILE, hours=1, time_zone="UTC", known=NOON):
    rows = other_charges(
        table("core.pool_hours").frame(pools),
        load_overhead(text, path="overhead.yml"),
        slots(from_hour=NOON, to_hour=NOON + hours * HOUR, time_zone=time_zone),
        as_known_at=known,
    )
    return {
        (row["meter"], row["route"], row["accrued_hour"].hour, row["accrued_on"].day): row["effective_usd"]
        for row in rows.to_dicts()
    }


def test_dollars_an_hour_are_split_by_billed_gpu_time_and_a_share_is_of_each_bill():
    pools = [
        pool("llama-pool", 3600, "3.99"), pool("qwen", 1800, "2"), pool("other", 900, 1, provider="nebius"),
    ]  # fmt: skip
    assert charged(pools) == {
        ("storage", "llama-pool", 12, 20): Decimal("0.8"), ("storage", "qwen", 12, 20): Decimal("0.4"),
        ("cpu_nodes", "llama-pool", 12, 20): Decimal("0.3192"),
    }  # fmt: skip


def test_a_rate_that_changes_within_an_hour_counts_for_its_half():
    pools = [pool("qwen", 60, 1, at=NOON + HOUR)]
    assert charged(pools, hours=2)["storage", "qwen", 13, 20] == Decimal("1.8")


def test_an_hour_in_which_nobody_held_a_gpu_is_billed_all_the_same():
    assert charged([pool("qwen", 0, 0)]) == {("storage", "(none)", 12, 20): Decimal("1.2")}
    assert charged([]) == {("storage", "(none)", 12, 20): Decimal("1.2")}


def test_an_hour_that_a_business_day_cuts_has_a_line_on_either_side():
    """Kathmandu's midnight is 18:15: that hour has 15 and 45 minutes."""
    start = datetime(2026, 11, 20, 18, tzinfo=UTC)
    pools = [
        pool("qwen", 900, 1, at=start), pool("qwen", 2700, 3, at=start, on=date(2026, 11, 21)),
    ]  # fmt: skip
    rows = other_charges(
        table("core.pool_hours").frame(pools),
        load_overhead(FILE.replace("13:30", "23:30"), path="overhead.yml"),
        slots(from_hour=start, to_hour=start + HOUR, time_zone="Asia/Kathmandu"),
        as_known_at=NOON,
    )
    assert rows.sort("accrued_on")["effective_usd"].to_list() == [Decimal("0.3"), Decimal("0.9")]


def test_what_has_no_price_or_was_learned_later_is_unknown_or_absent():
    assert charged([pool("llama-pool", 60, None)])["cpu_nodes", "llama-pool", 12, 20] is None
    before = datetime(2026, 11, 18, tzinfo=UTC)
    assert ("cpu_nodes", "llama-pool", 12, 20) not in charged([pool("llama-pool", 60, 1)], known=before)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "usd_per_hour: 1.20",
            "usd_per_hour: 1.20, share_of_gpu: 1",
            r"line 3: .*usd_per_hour or share_of_gpu",
        ),
        ("usd_per_hour: 1.20, ", "", r"line 3: .*usd_per_hour or share_of_gpu"),
        ("2026-11-20T13:30:00Z", "2026-11-01", r"line 4: storage is stated for that time above"),
        ("share_of_gpu: 0.08", "share_of_gpu: -1", r"line 5: overhead\.2\.share_of_gpu"),
        (
            "deployment: llama-pool",
            "deploy: llama-pool",
            r"line 5: unknown key 'deploy'; did you mean 'deployment'",
        ),
    ],
)
def test_a_wrong_entry_is_refused_with_its_line(old, new, message):
    with pytest.raises(ConfigurationError, match=message):
        load_overhead(FILE.replace(old, new), path="overhead.yml")


AMOUNT = st.integers(0, 10**15).map(lambda units: Decimal(units).scaleb(-12))


@settings(deadline=None, max_examples=60)
@given(
    seconds=st.lists(st.integers(0, 10**10), max_size=5),
    rate=AMOUNT,
    bills=st.lists(AMOUNT, min_size=5, max_size=5),
    change=st.integers(1, 3_599_999_999),
    share=st.integers(0, 10**9),
)
def test_lines_sum_to_the_overhead_that_was_billed_to_the_picodollar(seconds, rate, bills, change, share):
    """Whatever pools there are: a rate that doubles at some microsecond of the hour, and a share of each bill."""
    changes_at = (NOON + timedelta(microseconds=change)).isoformat()
    text = (
        "version: 1\noverhead:\n"
        f"  - {{name: a, usd_per_hour: {rate:f}, valid_from: 2026-11-01}}\n"
        f"  - {{name: a, usd_per_hour: {2 * rate:f}, valid_from: {changes_at}}}\n"
        f"  - {{name: b, share_of_gpu: {Decimal(share).scaleb(-9):f}, valid_from: 2026-11-01}}\n"
    )
    pools = [
        pool(f"p{n}", Decimal(time).scaleb(-6), bills[n]) for n, time in enumerate(seconds)
    ]  # fmt: skip
    lines = charged(pools, text=text)
    hourly = sum(usd for (meter, *_), usd in lines.items() if meter == "a")
    pico, hour = int(rate.scaleb(12)), 3_600_000_000
    parts = (Fraction(pico * change, hour), Fraction(2 * pico * (hour - change), hour))
    assert hourly == Decimal(sum(round(part) for part in parts)).scaleb(-12)
    for n in range(len(pools)):
        exact = Fraction(int(bills[n].scaleb(12)) * share, 10**9)
        assert lines["b", f"p{n}", 12, 20] == Decimal(round(exact)).scaleb(-12)


def test_overhead_is_in_every_total_and_in_what_owning_costs_and_usage_does_not_move():
    con = open_warehouse()
    hour = pool("llama-pool", 3600, "3.99", idle_usd=Decimal("0.01"))
    insert(con, "core.pool_hours", [hour])
    call = attempt(
        "r", NOON, DAY, effective_usd=Decimal("3.99"), provider="lambda", region="us", chip="H100",
        deployment="llama-pool", route="llama-pool", commitment="on_demand", cost_basis="gpu", model="llama",
        allocation_weight=Decimal(1), output_text_tokens=10**6,
    )  # fmt: skip
    insert(con, "core.request_costs", [call])
    card = {
        "price_id": "p", "meter": "output_text", "provider": "groq", "model": "llama", "model_family": "llama",
        "service_tier": "default", "priced_at": "started", "layer": "list", "unit": "token", "is_rounded": False,
        "picodollars_per_unit": 4_100_000, "valid_from": NOON - 99 * HOUR, "known_from": NOON - 99 * HOUR,
        "sheet_version": "v", "sheet_path": "p", "source_url": "https://example.com",
    }  # fmt: skip
    insert(con, "ref.token_prices", [card])
    span = {"from_on": DAY, "to_on": DAY + timedelta(days=1)}
    without = fill(con, "mart.break_even", "break_even", **span).to_dicts()[0]
    charges = other_charges(
        table("core.pool_hours").frame([hour]),
        load_overhead(FILE, path="overhead.yml"),
        slots(from_hour=NOON, to_hour=NOON + HOUR, time_zone="UTC"),
        as_known_at=NOON,
    )
    insert(con, "core.other_charges", charges)
    beside = Decimal("1.2") + Decimal("0.32")

    spent = con.execute(
        "SELECT sum(spend_usd), sum(spend_usd) FILTER (component = 'other_charges') "
        "FROM spend('2026-11-20', '2026-11-21', 'booked')"
    ).fetchone()
    assert spent == (Decimal(4) + beside, beside)
    (daily,) = fill(con, "mart.cost_per_token_daily", "cost_per_token_daily", **span).to_dicts()
    assert (daily["usage_usd"], daily["available_usd"]) == (Decimal("3.99"), Decimal(4))
    owned = fill(con, "mart.break_even", "break_even", **span).to_dicts()[0]
    assert (without["cheaper"], without["overhead_usd"], without["owning_usd_per_mtok"]) == ("owning", 0, 4.0)
    assert (owned["cheaper"], owned["overhead_usd"]) == ("api", beside)
    assert owned["owning_usd_per_mtok"] == pytest.approx(5.52)
    assert owned["available_usd_per_mtok"] == without["available_usd_per_mtok"] == 4.0


def test_the_charge_ids_of_a_day_are_distinct():
    rows = other_charges(
        table("core.pool_hours").frame(
            [pool("llama-pool", 60, 1), pool("llama-pool", 60, 1, commitment="spot")]
        ),
        load_overhead(FILE + "  - {name: storage, usd_per_hour: 1, valid_from: 2026-11-01}\n", path="o.yml"),
        slots(from_hour=NOON, to_hour=NOON + HOUR, time_zone="UTC"),
        as_known_at=NOON,
    )
    assert rows.height == 6
    assert rows.select(pl.col("charge_id").is_unique().all()).item()
