"""The whole spend of a day by component and caller: every dollar of spend(), and a GPU and a euro month by hand."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import polars as pl

from models.finance.chargeback import chargeback
from models.finance.chargeback_rules import load_chargeback
from models.finance.variance import spend_variance
from models.schemas import table
from models.schemas.cost_kinds import KIND_OF_COMPONENT
from tests.models.marts.warehouse import attempt, fill, gpu_attempt, insert, open_warehouse, pool_hour, utc

OCT, NOV = date(2026, 10, 5), date(2026, 11, 5)
SPAN = {"from_on": date(2026, 10, 1), "to_on": date(2026, 12, 1)}
RULES = """\
version: 1
rules:
  - {name: reserved, kinds: [unused_commitment], method: fixed_shares, shares: {search: 3, chat: 1}}
  - {name: platform, kinds: [unheld, padding], method: central, payer: platform}
"""


def spent(con: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    rows = fill(con, "mart.spend_daily", "spend_daily", **SPAN)
    whole = con.execute(
        "SELECT component, sum(spend_usd) FROM spend($from_on, $to_on, 'booked') GROUP BY ALL", SPAN
    ).fetchall()
    parts = rows.group_by("component").agg(pl.col("usd").sum()).filter(pl.col("usd") != 0)
    assert dict(parts.iter_rows()) == dict(whole)
    return rows


def test_a_gpu_month_with_a_commitment_a_minimum_and_a_node_that_nobody_held() -> None:
    con = open_warehouse()
    at = utc("2026-10-05T10:00")
    team = {"search": Decimal(6), "chat": Decimal(2)}
    calls = [
        gpu_attempt(name, at, OCT, team=name, tenant=None, effective_usd=usd, input_uncached_tokens=100,
                    cache_read_tokens=50, output_text_tokens=10)
        for name, usd in team.items()
    ]  # fmt: skip
    # An hour of the pool: $8 served, $1 of a cold start, $3 idle, $0.50 that the vendor's minimum adds; then $4 of the
    # node that nobody held, and $2 of committed accelerators that no replica used.
    hours = [
        pool_hour(at, OCT, serving_usd=Decimal(8), starting_usd=Decimal(1), idle_usd=Decimal(3),
                  padding_usd=Decimal("0.5")),
        pool_hour(at, OCT, deployment="(none)", model=None, unheld_usd=Decimal(4)),
        pool_hour(at, OCT, deployment="(none)", model=None, commitment="reserved", unused_commitment_usd=Decimal(2)),
    ]  # fmt: skip
    insert(con, "core.request_costs", calls)
    insert(con, "core.pool_hours", hours)
    insert(con, "core.other_charges", [
        {"charge_id": "storage", "provider": "lambda", "chip": "H100", "route": "llama-pool", "meter": "storage",
         "accrued_hour": at, "accrued_on": OCT, "effective_usd": Decimal("0.7")},
    ])  # fmt: skip

    rows = spent(con)
    assert rows.get_column("usd").sum() == Decimal("19.2")
    chat = rows.filter(pl.col("team") == "chat")
    assert chat.select("input_tokens", "cache_read_tokens", "output_tokens").rows() == [(150, 50, 10)]
    found = load_chargeback(RULES, path="chargeback.yml")
    charged = chargeback(
        rows.with_columns(
            pl.col("accrued_on").dt.truncate("1mo").alias("month_on"),
            pl.col("component").replace_strict(KIND_OF_COMPONENT, return_dtype=pl.String).alias("cost_kind"),
            (pl.col("input_tokens") + pl.col("output_tokens")).alias("total_tokens"),
        ),
        rules=found["ref.chargeback_rules"],
        centres=found["ref.cost_centres"],
        quotas=table("ref.allocation_rules").empty(),
    )
    sums = charged.group_by("payer").agg(pl.col("usd").sum()).sort("payer").rows()
    # Search: 6 + 3/4 of the start and the idle time (1 + 3), of the storage and, by its reservation, of $2.
    assert sums == [
        ("chat", Decimal(2) + 1 + Decimal("0.175") + Decimal("0.5")),
        ("platform", Decimal("4.5")),
        ("search", Decimal(6) + 3 + Decimal("0.525") + Decimal("1.5")),
    ]
    assert set(charged.filter(pl.col("cost_kind") == "idle").get_column("rule")) == {"by_usage"}


def test_a_price_in_euros_moves_by_its_rate_alone() -> None:
    con = open_warehouse()
    rates = {OCT: Decimal("1.10"), NOV: Decimal("1.15")}
    calls = [
        attempt(f"r{on:%m}{n}", utc(f"{on}T10:00"), on, provider="mistral_ai", effective_usd=Decimal(10) * rate,
                fx_usd_per_unit=rate, fx_on=on, output_text_tokens=1000)
        for on, rate in rates.items()
        for n in range(2)
    ]  # fmt: skip
    # A call that has no price yet is in no dollars.
    calls.append(attempt("none", utc("2026-11-05T11:00"), NOV, price_state="unpriced", output_text_tokens=77))
    insert(con, "core.request_costs", calls)

    rows = spent(con)
    foreign = rows.filter(pl.col("foreign_usd").is_not_null())
    assert foreign.select("accrued_on", "foreign_usd", "foreign_amount").sort("accrued_on").rows() == [
        (OCT, Decimal(22), Decimal(20)),
        (NOV, Decimal(23), Decimal(20)),
    ]
    assert rows.get_column("unpriced_tokens").sum() == 77
    sides = pl.col("accrued_on").replace_strict({OCT: 0, NOV: 1}, return_dtype=pl.Int64).alias("side")
    head: dict[str, Any] = {"month_on": pl.lit(NOV), "against_on": pl.lit(OCT), "side": sides}
    usage = foreign.with_columns(
        **head, meter=pl.lit("output_text"), quantity=pl.col("output_tokens").cast(pl.Decimal(38, 6))
    )
    nothing = usage.head(0).with_columns(cause=pl.lit("idle"))
    bridge = spend_variance(usage, usage, nothing)
    moved = bridge.filter(pl.col("difference_usd") != 0).select("cause", "difference_usd").rows()
    assert moved == [("currency", Decimal(1))]


def test_days_beside_the_window_are_left_out() -> None:
    con = open_warehouse()
    calls = [
        attempt(f"r{n}", utc("2026-10-05T10:00"), OCT + timedelta(days=n), effective_usd=Decimal(1))
        for n in range(3)
    ]
    insert(con, "core.request_costs", calls)
    one = {"from_on": OCT + timedelta(days=1), "to_on": OCT + timedelta(days=2)}
    assert fill(con, "mart.spend_daily", "spend_daily", **one).get_column("accrued_on").to_list() == [
        one["from_on"]
    ]
