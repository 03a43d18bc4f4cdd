"""What to change, by dollars: each kind found where it was planted, and no dollar counted twice."""

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from models.finance.savings import rank_savings
from models.marts import mart_sql
from models.schemas.mart_savings import SAVING_KINDS
from tests.models.marts.test_owning import api
from tests.models.marts.warehouse import attempt, fill, gpu_attempt, insert, open_warehouse, pool_hour, utc

MONTH = date(2026, 5, 1)
SPAN = {"from_on": MONTH, "to_on": date(2026, 6, 1)}


def savings_of(
    *, costs: list[dict[str, Any]], hours: list[dict[str, Any]], **more: list[dict[str, Any]]
) -> pl.DataFrame:
    con = open_warehouse()
    tables = {"core.request_costs": costs, "core.pool_hours": hours}
    tables |= {name.replace("_", ".", 1): rows for name, rows in more.items()}
    for dotted, rows in tables.items():
        if rows:
            insert(con, dotted, rows)
    fill(con, "mart.spend_daily", "spend_daily", **SPAN)
    fill(con, "mart.gpu_bill_daily", "gpu_bill_daily", target_percent=70, **SPAN)
    fill(con, "mart.break_even", "break_even", **SPAN)
    days = con.execute("SELECT count(DISTINCT accrued_on) FROM mart.spend_daily").fetchall()[0][0]
    changes = [
        con.execute(mart_sql(name), SPAN | {"target_percent": 70}).pl()
        for name in ("savings_pools", "savings_tokens")
    ]
    cells = con.execute(mart_sql("savings_cells"), SPAN).pl()
    return rank_savings(pl.concat(changes, how="diagonal_relaxed"), cells, month_on=MONTH, day_count=days)


def _hour(place: int, **changes: Any) -> dict[str, Any]:
    at = utc("2026-05-01T00:00") + timedelta(hours=place)
    return pool_hour(at, at.date(), model="own-model", **changes)


def test_each_kind_is_found_where_it_was_planted() -> None:
    half = {"serving_usd": Decimal("1.75"), "idle_usd": Decimal("1.75"), "serving_gpu_seconds": Decimal(1800),
            "idle_gpu_seconds": Decimal(1800)}  # fmt: skip
    hours = [_hour(place, **half) for place in range(8 * 24)]
    hours.append(
        _hour(
            0,
            deployment="(none)",
            unheld_usd=Decimal(3),
            unheld_gpu_seconds=Decimal(3600),
            commitment="reserved",
        )
    )
    hours.append(
        _hour(1, deployment="ptu", chip="capacity_unit", provider="azure.ai.openai", idle_usd=Decimal(9),
              idle_gpu_seconds=Decimal(3600), unused_commitment_usd=Decimal(4), failed_usd=Decimal(2)),
    )  # fmt: skip
    # A conversation of three calls, each of which sends again what was sent before: 2,000 + 4,000 of 12,000 tokens.
    costs = [
        attempt(
            f"c{turn}", utc("2026-05-02T10:00") + timedelta(minutes=turn), date(2026, 5, 2), model="talker",
            provider="p",
            price_id="talker", session_id="s", input_uncached_tokens=2000 * turn, effective_usd=Decimal("0.002") * turn,
        )
        for turn in (1, 2, 3)
    ]  # fmt: skip
    costs += [
        attempt(
            f"n{number}", utc("2026-05-03T02:00"), date(2026, 5, 3), route="nightly-eval", model="sleeper",
            provider="p",
            price_id="sleeper", input_uncached_tokens=1_000_000, effective_usd=Decimal(1),
        )
        for number in range(3)
    ]  # fmt: skip
    rate = {"valid_from": utc("2026-01-01T00:00")}
    card = api("talker", "1", "2", **rate)[0] | {"provider": "p", "model_family": None}
    prices = [card | {"model": "talker"}]
    prices.append(prices[0] | {"meter": "cache_read", "picodollars_per_unit": 100_000})
    prices.append(card | {"price_id": "sleeper", "model": "sleeper"})
    prices.append(
        card
        | {"price_id": "later", "model": "sleeper", "service_tier": "batch", "picodollars_per_unit": 500_000}
    )
    committed = {
        "price_id": "c", "provider": "lambda", "chip": "H100", "region": "us", "commitment": "reserved",
        "usd_per_gpu_hour": Decimal(2), "picodollars_per_gpu_hour": 2 * 10**12, "is_rounded": False,
        "valid_from": utc("2026-01-01T00:00"), "known_from": utc("2026-01-01T00:00"), "sheet_version": "v",
        "sheet_path": "p", "source_url": "https://example.com", "granularity_seconds": 1, "minimum_seconds": 0,
        "billed_phases": ["serving"],
    }  # fmt: skip
    wrong = {
        "accrued_on": date(2026, 5, 3), "source": "gateway", "request_id": "n0", "started_at": utc("2026-05-03T02:00"),
        "route": "nightly-eval", "kind": "dearer_provider", "also_kinds": [], "clause": "default", "provider": "p",
        "region": "us", "model": "sleeper", "cost_usd": Decimal(1), "regret_usd": Decimal("0.6"),
        "alternative_provider": "q", "alternative_model": "sleeper", "confidence_ratio": 0.9, "evidence": "e",
        "alternative_usd": Decimal("0.4"), "policy_version": "v",
    }  # fmt: skip
    rows = savings_of(
        costs=costs,
        hours=hours,
        ref_token_prices=prices,
        ref_gpu_prices=[committed],
        mart_routing_mistakes=[wrong],
    )
    found = {row["kind"]: row for row in rows.iter_rows(named=True)}
    # Half busy at a target of 70%: 3/7 of the serving time is headroom, 4/7 of the idle half is waste: $1 an hour.
    assert found["idle_waste"]["saving_usd"].quantize(Decimal("0.001")) == Decimal(192)
    assert found["unheld_gpus"]["saving_usd"] == 3
    assert found["unused_provisioned_throughput"]["saving_usd"] == 9
    assert found["unused_commitment"]["saving_usd"] == 4
    assert found["failed_starts"]["saving_usd"] == 2
    assert found["cache_not_used"]["saving_usd"] == Decimal("0.0054")
    assert found["routing"]["saving_usd"] == Decimal("0.6")
    # What routing saves is not there to be saved again: half of $3, less a fifth.
    assert found["batch_not_used"]["saving_usd"].quantize(Decimal("0.000001")) == Decimal("1.2")
    # 0.71 of a GPU is needed in each hour: less than one, so none is worth a commitment.
    assert "commitment_to_buy" not in found
    assert rows["rank"].to_list() == list(range(1, rows.height + 1))
    assert rows["saving_usd"].to_list() == sorted(rows["saving_usd"].to_list(), reverse=True)
    assert found["idle_waste"]["month_usd"] == found["idle_waste"]["saving_usd"] * 31 / 8

    busy = {
        "serving_usd": Decimal(7),
        "serving_gpu_seconds": Decimal(7200),
        "billed_gpu_seconds": Decimal(7200),
    }
    served = gpu_attempt("g", utc("2026-05-01T00:10"), MONTH, effective_usd=Decimal(1344))
    steady = savings_of(
        costs=[served], hours=[_hour(place, **busy) for place in range(8 * 24)], ref_gpu_prices=[committed]
    )
    # Two GPUs busy in all of 192 hours at $3.50, of which $1.50 a GPU can be saved.
    assert steady.select("kind", "saving_usd").rows() == [("commitment_to_buy", Decimal(576))]


def test_of_owning_and_mending_a_pool_only_the_better_stands() -> None:
    hours = [
        _hour(place, serving_usd=Decimal(1), idle_usd=Decimal(2), idle_gpu_seconds=Decimal(3600))
        for place in range(2)
    ]
    call = gpu_attempt(
        "g", utc("2026-05-01T00:10"), MONTH, model="llama-3.3-70b", effective_usd=Decimal(2), input_usd=Decimal(2),
        allocation_weight=Decimal(1), input_uncached_tokens=1_000_000,
    )  # fmt: skip
    hours = [row | {"model": "llama-3.3-70b"} for row in hours]
    family = {
        "provider": "groq", "alias": "llama-3.3-70b", "model": "llama-3.3-70b", "model_family": "llama-3.3-70b",
        "valid_from": utc("2026-01-01T00:00"), "sheet_path": "p",
    }  # fmt: skip
    for rate, kind, saving in (("1.5", "buy_instead_of_own", "4.5"), ("2.5", "idle_waste", "4")):
        prices = api("groq", rate, "9", valid_from=utc("2026-01-01T00:00"))
        rows = savings_of(costs=[call], hours=hours, ref_token_prices=prices, ref_models=[family])
        assert rows.select("kind", "saving_usd").rows() == [(kind, Decimal(saving))]
        assert "saves $" in rows["instead"][0]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_savings_of_a_cell_never_sum_to_more_than_its_spend(data: st.DataObject) -> None:
    usd = st.integers(1, 10**24).map(lambda number: Decimal(number).scaleb(-12))
    spenders = [f"pool p{number}" for number in range(2)] + ["API calls of f"]
    cells = [(spender, f"{spender}|{part}", data.draw(usd)) for spender in spenders for part in "ab"]
    change = st.tuples(
        st.sampled_from(sorted(SAVING_KINDS)), st.sampled_from(("mend", "replace")), st.sampled_from(cells), usd,
        st.sampled_from((None, "family f", "c, v, r")),
    )  # fmt: skip
    drawn = data.draw(st.lists(change, min_size=1, max_size=12))
    blank = dict.fromkeys(("provider", "region", "route", "model", "chip", "commitment"), "x")
    text = pl.String
    changes = pl.DataFrame(
        [
            blank | {
                "kind": kind, "plan": plan, "spender": cell[0], "cell": cell[1] if plan == "mend" else None,
                "needs": needs,
                "claim_usd": claim, "confidence": "low", "evidence": "e", "change": f"change {number}",
            }
            for number, (kind, plan, cell, claim, needs) in enumerate(drawn)
        ],
        schema_overrides={"claim_usd": pl.Decimal(38, 12), "needs": text, "cell": text},
    )  # fmt: skip
    frame = pl.DataFrame(
        [
            {"spender": spender, "cell": cell, "usd": spend, "chip": "c", "provider": "v", "region": "r",
             "model_family": "f"}
            for spender, cell, spend in cells
        ],
        schema_overrides={"usd": pl.Decimal(38, 12)},
    )  # fmt: skip
    rows = rank_savings(changes, frame, month_on=MONTH, day_count=3)
    spend_of_cell = {cell: spend for _, cell, spend in cells}
    saved: dict[str, Decimal] = {}
    for row in rows.iter_rows(named=True):
        key = row["cell"] or row["spender"]
        saved[key] = saved.get(key, Decimal(0)) + row["saving_usd"]
    for spender in spenders:
        of_cells = [(cell, spend) for of, cell, spend in cells if of == spender]
        assert all(saved.get(cell, Decimal(0)) <= spend for cell, spend in of_cells)
        parts = [saved[cell] for cell, _ in of_cells if cell in saved]
        assert not (parts and spender in saved), "a pool is mended or replaced, not both"
        assert saved.get(spender, Decimal(0)) + sum(parts) <= sum(spend_of_cell[cell] for cell, _ in of_cells)
