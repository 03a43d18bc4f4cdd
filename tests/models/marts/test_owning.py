"""Owning against buying: break-even of a pool, and the same model on several chips."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from tests.models.marts.warehouse import attempt, fill, insert, open_warehouse

DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SPAN = {"from_on": DAY, "to_on": DAY + timedelta(days=1)}
POOL = {
    "provider": "nebius",
    "region": "eu",
    "chip": "H100",
    "deployment": "llama",
    "commitment": "on_demand",
}
PARTS = ("serving", "starting", "idle", "draining", "failed", "padding", "unheld", "unused_commitment")


def pool_hour(usd, *, serving=1800, **changes):
    zero = {f"{part}_{unit}": 0 for part in PARTS for unit in ("usd", "gpu_seconds")}
    return zero | POOL | {
        "model": "llama-3.3-70b", "pool_hour": NOON, "accrued_on": DAY, "billed_usd": Decimal(usd),
        "billed_gpu_seconds": 3600, "serving_gpu_seconds": serving, "wall_gpu_seconds": 3600,
        "is_provisional": False, "idle_gpu_seconds": 3600 - serving,
    } | changes  # fmt: skip


def served(into, cached, out, usd="1", **changes):
    return attempt("r", NOON, DAY, effective_usd=Decimal(usd)) | POOL | {
        "cost_basis": "gpu", "input_uncached_tokens": into, "cache_read_tokens": cached, "output_text_tokens": out,
        "model": "llama-3.3-70b",
    } | changes  # fmt: skip


def api(provider, into, out, cached=None, **changes):
    rates = {"input_uncached": into, "output_text": out} | ({} if cached is None else {"cache_read": cached})
    return [
        {
            "price_id": provider, "meter": meter, "provider": provider, "model": f"llama-at-{provider}",
            "model_family": "llama-3.3-70b", "service_tier": "default", "priced_at": "started", "layer": "list",
            "unit": "token", "picodollars_per_unit": int(Decimal(usd) * 10**6), "is_rounded": False,
            "valid_from": NOON - timedelta(days=90), "known_from": NOON - timedelta(days=90), "sheet_version": "v",
            "sheet_path": "p", "source_url": "https://example.com",
        } | changes
        for meter, usd in rates.items()
    ]  # fmt: skip


def warehouse(hours, costs, prices=()):
    con = open_warehouse()
    insert(con, "core.pool_hours", hours)
    insert(con, "core.request_costs", costs)
    insert(con, "ref.token_prices", prices)
    return con


def test_break_even_is_the_bill_over_the_price_of_the_days_own_mix():
    """1.0M plain in, 0.5M cached, 0.5M out in half an hour of serving; $10 billed.

    At 1, 0.2 and 2 dollars a million the mix costs $2.10, $1.05 a million: 9.52M tokens break even. The pool's best
    hour did 2M in 1,800 s, so an hour has room for 4M: never at this size. At ten times the price the API is dearer.
    """
    prices = [*api("cheap", "1", "2", cached="0.2"), *api("dear", "10", "20", cached="2")]
    con = warehouse([pool_hour("10")], [served(10**6, 500_000, 500_000)], prices)
    rows = {
        row["api_provider"]: row
        for row in fill(con, "mart.break_even", "break_even", **SPAN).iter_rows(named=True)
    }
    cheap, dear = rows["cheap"], rows["dear"]
    assert (cheap["tokens"], cheap["api_usd"], cheap["billed_usd"]) == (
        2_000_000,
        Decimal("2.1"),
        Decimal(10),
    )
    assert (cheap["break_even_tokens"], cheap["capacity_tokens"]) == (9_523_810, 4_000_000)
    assert (cheap["cheaper"], dear["cheaper"]) == ("never_at_this_size", "owning")
    assert cheap["used_ratio"] == 0.5
    assert (cheap["available_usd_per_mtok"], cheap["api_usd_per_mtok"]) == pytest.approx((5.0, 1.05))


def test_cached_tokens_cost_the_plain_rate_where_an_api_reads_no_cache():
    con = warehouse([pool_hour("3")], [served(0, 10**6, 10**6)], api("plain", "1", "1.5"))
    (row,) = fill(con, "mart.break_even", "break_even", **SPAN).iter_rows(named=True)
    assert (row["api_usd"], row["cheaper"]) == (Decimal("2.5"), "api")
    assert row["break_even_tokens"] == 2_400_000


def test_an_api_without_a_price_for_a_class_or_day_is_not_compared():
    late = api("late", "1", "1", valid_from=NOON + timedelta(days=1))
    con = warehouse(
        [pool_hour("3")], [served(1, 0, 1) | {"reasoning_tokens": 5}], [*api("a", "1", "1"), *late]
    )
    (row,) = fill(con, "mart.break_even", "break_even", **SPAN).iter_rows(named=True)
    assert (row["api_provider"], row["api_usd"], row["cheaper"]) == ("a", None, None)


def test_the_same_model_stands_side_by_side_on_every_chip():
    hours = [pool_hour("10"), pool_hour("6", chip="B200", serving=3600)]
    costs = [
        served(10**6, 0, 10**6, "5"),
        served(10**6, 0, 3 * 10**6, "6", chip="B200", request_id="b"),
        attempt("g", NOON, DAY, effective_usd=Decimal("1.38"))
        | {
            "provider": "groq", "chip": "LPU", "model": "llama-3.3-70b-versatile", "model_family": "llama-3.3-70b",
            "input_uncached_tokens": 10**6, "output_text_tokens": 10**6,
        },
    ]  # fmt: skip
    rows = {
        row["chip"]: row
        for row in fill(warehouse(hours, costs), "mart.cost_by_chip", "cost_by_chip", **SPAN).iter_rows(
            named=True
        )
    }
    assert {row["model_family"] for row in rows.values()} == {"llama-3.3-70b"}
    assert {chip: (row["usage_usd_per_mtok"], row["available_usd_per_mtok"]) for chip, row in rows.items()} == {
        "H100": (2.5, 5.0), "B200": (1.5, 1.5), "LPU": pytest.approx((0.69, 0.69)),
    }  # fmt: skip
    assert rows["H100"]["tokens_per_gpu_second"] == pytest.approx(2_000_000 / 1800)
    assert (rows["LPU"]["cost_basis"], rows["LPU"]["tokens_per_gpu_second"]) == ("token", None)


@pytest.mark.parametrize("name", ["llama-3.3-70b-instruct", "Meta-Llama/Llama-3.3-70B-Instruct"])
def test_a_pool_stands_beside_its_model_whatever_the_case_and_owner_of_the_name(name):
    con = warehouse([pool_hour("3", model=name)], [served(1, 0, 1, model=name)], api("groq", "1", "1"))
    known = {
        "provider": "groq",
        "model": "versatile",
        "valid_from": NOON,
        "known_from": NOON,
        "sheet_path": "p",
    }
    aliases = ("meta-llama/Llama-3.3-70B-Instruct", "groq/llama-3.3-70b-instruct", "other/gemma")
    families = ("llama-3.3-70b", "llama-3.3-70b", "gemma")
    insert(
        con,
        "ref.models",
        [
            known | {"alias": alias, "model_family": family}
            for alias, family in zip(aliases, families, strict=True)
        ],
    )
    (offer,) = fill(con, "mart.break_even", "break_even", **SPAN).iter_rows(named=True)
    (chip,) = fill(con, "mart.cost_by_chip", "cost_by_chip", **SPAN).iter_rows(named=True)
    assert (offer["api_provider"], offer["model"]) == ("groq", name)
    assert chip["model_family"] == "llama-3.3-70b"


def test_a_name_that_two_families_bear_is_compared_with_neither():
    con = warehouse([pool_hour("3", model="chat")], [served(1, 0, 1, model="chat")], api("groq", "1", "1"))
    known = {"provider": "groq", "model": "m", "valid_from": NOON, "known_from": NOON, "sheet_path": "p"}
    aliases = {"a/chat": "llama-3.3-70b", "b/Chat": "gemma"}
    insert(con, "ref.models", [known | {"alias": a, "model_family": family} for a, family in aliases.items()])
    assert fill(con, "mart.break_even", "break_even", **SPAN).is_empty()


def test_a_pool_without_traffic_keeps_its_bill():
    (row,) = fill(warehouse([pool_hour("10")], []), "mart.cost_by_chip", "cost_by_chip", **SPAN).iter_rows(
        named=True
    )
    assert (row["available_usd"], row["usage_usd"], row["available_usd_per_mtok"]) == (
        Decimal(10),
        None,
        None,
    )


def test_a_pools_model_is_of_the_family_that_its_gpu_sheet_states():
    """The sheet's word counts, not that of an API which calls another model by the same name."""
    con = warehouse(
        [pool_hour("3", model="Ours-v3")], [served(1, 0, 1, model="Ours-v3")], api("groq", "1", "1")
    )
    known = {"provider": "groq", "model": "m", "valid_from": NOON, "known_from": NOON, "sheet_path": "p"}
    insert(con, "ref.models", [known | {"alias": "theirs/ours-v3", "model_family": "gemma"}])
    stated = {"provider": "nebius", "model": "ours-v3", "model_family": "llama-3.3-70b", "sheet_path": "p"}
    insert(con, "ref.pool_models", [stated])
    (offer,) = fill(con, "mart.break_even", "break_even", **SPAN).iter_rows(named=True)
    (chip,) = fill(con, "mart.cost_by_chip", "cost_by_chip", **SPAN).iter_rows(named=True)
    assert (offer["api_provider"], chip["model_family"]) == ("groq", "llama-3.3-70b")
