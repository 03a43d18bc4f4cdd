"""Cost of token-priced attempts: the rate valid at the attempt's instant times its disjoint token classes."""

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import reduce
from operator import add, or_

import polars as pl

from models.costs.token_cards import (
    ANY_REGION,
    DEFAULT_TIER,
    DEFAULT_TIER_NAMES,
    OTHER_TIER,
    Cards,
    arrange,
)
from models.money import ROW_USD, usd_from_picodollars
from models.periods import business_day_of, hour_of
from models.schemas import table
from models.schemas.vocabulary import (
    INPUT_CLASSES,
    INPUT_TOKEN_COLUMNS,
    OUTPUT_CLASSES,
    TOKEN_CLASSES,
    TOKEN_COLUMNS,
)

PROMPT_ORDER = (
    "cache_read",
    "cache_read_audio",
    "cache_read_image",
    "cache_write_1h",
    "cache_write_5m",
    "input_uncached",
    "audio_input",
    "image_input",
    "video_input",
    "other_input",
)
"""Order in which a graduated rule counts input up to its threshold: the cached prefix comes first."""
_ROW_LIMIT = 9 * 10**17
"""Picodollars that a row column can hold, with margin; beyond it the conversion to dollars is an error."""


def price_requests(
    requests: pl.LazyFrame,
    *,
    book: pl.LazyFrame,
    models: pl.LazyFrame,
    gpu_routes: Collection[str],
    time_zone: str,
    as_known_at: datetime,
    from_hour: datetime,
    to_hour: datetime,
) -> pl.LazyFrame:
    """Price every attempt that is not on a GPU pool and whose pricing instant lies in the window.

    The served model is priced (where a log lacks it: the routed, then the requested one) at the rate valid
    at `started_at` as known at `as_known_at`; the batch tier and sheets that say so at `finished_at`. A
    region without a price of its own takes the price of any region. Amounts are exact to the picodollar;
    `input_usd + output_usd + meters_usd = effective_usd`.

    Unpriced (NULL, never 0) with the reason: `missing_usage`; `unknown_model` (no alias at this provider);
    `no_price_at_time` (none valid and known then, or the served tier is not in the sheet);
    `class_not_priced` (a token class, or a meter that the book prices elsewhere, has no rate here). Then
    `estimated_usd` holds the cost at the nearest sibling's rates: the same model's default tier or first
    price, else the same name at the alphabetically first provider; a class without a rate takes its
    family's at another provider, else the plain rate of its direction.

    Free: declared 0 rates; an error that reports no usage (nobody bills a failed call); a gateway-cache
    hit, whose tokens are 0 and whose cost at the served model is `saved_usd`.

    Args:
        requests: canonical attempts, in the shape of core.requests, providers canonical.
        book: ref.token_prices.
        models: ref.models.
        gpu_routes: routes (deployments) whose attempts are priced by GPU time instead.
        time_zone: IANA zone of business days.
        as_known_at: prices learned later do not count.
        from_hour: first instant of the window, UTC.
        to_hour: end of the window, exclusive.

    Returns:
        Rows of core.request_costs in no particular order.
    """
    cards = arrange(
        book.collect(), models.collect(), as_known_at=as_known_at, from_hour=from_hour, to_hour=to_hour
    )
    started, finished = pl.col("started_at"), pl.col("finished_at")
    attempts = requests.filter(
        ~pl.col("route").fill_null("").is_in(list(gpu_routes)),
        started < to_hour,
        (started >= from_hour) | (finished >= from_hour),
    )
    tier = pl.col("service_tier").fill_null(DEFAULT_TIER)
    served = pl.coalesce("served_model", "routed_model", "requested_model")
    attempts = attempts.with_columns(
        name=served,
        tier=pl.when(tier.is_in(DEFAULT_TIER_NAMES))
        .then(pl.lit(DEFAULT_TIER))
        .when(tier.is_in(cards.tiers))
        .then(tier)
        .otherwise(pl.lit(OTHER_TIER)),
        # A batch job is priced at completion even where its model or tier is unknown.
        is_batch=tier == "batch",
        total_input=pl.sum_horizontal(INPUT_TOKEN_COLUMNS),
    )
    located = _locate(attempts, cards).filter(pl.col("instant") >= from_hour, pl.col("instant") < to_hour)
    costed = _cost(located, cards)
    is_fallback = pl.col("is_fallback").fill_null(value=False)
    usual = costed.filter(~is_fallback).with_columns(requested_usd=pl.lit(None, dtype=ROW_USD))
    fallbacks = _at_requested_model(costed.filter(is_fallback), cards)
    rows = pl.concat([usual, fallbacks], how="vertical")
    return table("core.request_costs").conform(_settle(rows, time_zone=time_zone), fill=True)


def _locate(attempts: pl.LazyFrame, cards: Cards) -> pl.LazyFrame:
    """Add the pricing instant, the slot's model and the card of each attempt.

    An attempt whose name is unknown at its provider takes a sibling's slot: `is_known` is then false.
    """
    key = ["provider", "name", "region_key", "tier"]
    boundaries = [f"at_{n + 1}" for n in range(cards.boundary_count)]
    found = _with_region(attempts, cards).join(cards.keys.lazy(), on=key, how="left")
    is_known = pl.col("first_slot").is_not_null()
    is_finished = pl.col("is_finished").fill_null(value=False) | pl.col("is_batch")
    found = found.with_columns(
        is_known=is_known,
        instant=pl.when(is_finished)
        .then(pl.coalesce("finished_at", "started_at"))
        .otherwise(pl.col("started_at")),
        lost_name=pl.when(~is_known).then(pl.col("name")),
    ).join(
        cards.names.lazy().select("name", "first_slot", *boundaries),
        left_on="lost_name",
        right_on="name",
        how="left",
        suffix="_lost",
    )
    wide = ["first_slot", *boundaries]
    found = found.with_columns(pl.coalesce(column, f"{column}_lost") for column in wide)
    found = found.with_columns(slot=_slot_at(boundaries)).join(cards.slots.lazy(), on="slot", how="left")
    own = [
        pl.when("is_known").then(pl.col(column)).alias(column) for column in ("model", "model_family", "chip")
    ]
    return _with_card(found.with_columns(own), cards)


def _with_region(attempts: pl.LazyFrame, cards: Cards) -> pl.LazyFrame:
    if cards.regional.is_empty():
        return attempts.with_columns(region_key=pl.lit(ANY_REGION))
    regional = cards.regional.lazy().with_columns(region=pl.col("region_key"))
    joined = attempts.join(regional, on=["provider", "name", "region"], how="left")
    return joined.with_columns(pl.col("region_key").fill_null(ANY_REGION))


def _slot_at(boundaries: Iterable[str]) -> pl.Expr:
    passed = ((pl.col("instant") >= pl.col(at)).fill_null(value=False).cast(pl.Int32) for at in boundaries)
    return reduce(add, passed, pl.col("first_slot"))


def _with_card(found: pl.LazyFrame, cards: Cards) -> pl.LazyFrame:
    """Settle schedule and long context, then attach the card's rates."""
    if not cards.weekly.is_empty():
        instant = pl.col("instant")
        minute = (
            (instant.dt.weekday().cast(pl.Int32) - 1) * 1440
            + instant.dt.hour().cast(pl.Int32) * 60
            + instant.dt.minute()
        )
        steps = ((minute >= start).cast(pl.Int32) for start in cards.week_starts[1:])
        found = (
            found.with_columns(week_slot=reduce(add, steps, pl.lit(0, dtype=pl.Int32)))
            .join(cards.weekly.lazy(), on=["slot", "week_slot"], how="left")
            .with_columns(
                card=pl.coalesce("off_card", "card"), long_card=pl.coalesce("off_long_card", "long_card")
            )
        )
    if cards.has_long_context:
        exceeds = (pl.col("total_input") > pl.col("threshold")).fill_null(value=False)
        found = found.with_columns(
            card=pl.when(exceeds & ~pl.col("is_graduated"))
            .then(pl.col("long_card"))
            .otherwise(pl.col("card")),
            graduated_card=pl.when(exceeds & pl.col("is_graduated")).then(pl.col("long_card")),
        )
    found = found.join(cards.cards.lazy(), on="card", how="left")
    if cards.has_graduated:
        beyond = cards.cards.lazy().select(
            pl.col("card").alias("graduated_card"),
            *(pl.col(f"rate_{name}").alias(f"beyond_{name}") for name in INPUT_CLASSES),
        )
        found = found.join(beyond, on="graduated_card", how="left")
    return found


def _cost(located: pl.LazyFrame, cards: Cards) -> pl.LazyFrame:
    """Add integer picodollars by direction, at stated or sibling rates, and whether all was stated."""
    tokens = {name: pl.col(f"{name}_tokens").fill_null(0) for name in TOKEN_CLASSES}
    costs = {name: tokens[name] * pl.col(f"rate_{name}") for name in TOKEN_CLASSES}
    input_cost = reduce(add, (costs[name] for name in INPUT_CLASSES))
    if cards.has_graduated:
        input_cost = input_cost + _beyond_threshold(tokens)
    quantities = [
        pl.col("other_meters").map.get(meter).fill_null(0).cast(pl.Decimal(38, 6)) for meter in cards.meters
    ]
    meter_costs = [
        (quantity * pl.col(f"rate_{meter}").cast(pl.Decimal(38, 0))).round(0).cast(pl.Int64)
        for meter, quantity in zip(cards.meters, quantities, strict=True)
    ]
    amounts = [*tokens.values(), *quantities]
    used = reduce(or_, ((amount > 0).cast(pl.Int64) * (1 << bit) for bit, amount in enumerate(amounts)))
    # A product beyond the row's range is made one that the conversion to dollars refuses.
    total = reduce(add, tokens.values()).cast(pl.Float64) * pl.col("dearest")
    return located.with_columns(
        input_cost=pl.when(total > _ROW_LIMIT).then(pl.lit(9 * 10**18)).otherwise(input_cost),
        output_cost=reduce(add, (costs[name] for name in OUTPUT_CLASSES)),
        meters_cost=reduce(add, meter_costs, pl.lit(0, dtype=pl.Int64)),
        used=used,
    ).with_columns(
        is_covered=(pl.col("used") | pl.col("offered")) == pl.col("offered"),
        is_estimable=(pl.col("used") | pl.col("estimable")) == pl.col("estimable"),
    )


def _beyond_threshold(tokens: dict[str, pl.Expr]) -> pl.Expr:
    """Return the surcharge of the input tokens beyond a graduated threshold, counted in prompt order."""
    surcharges, counted = [], pl.lit(0, dtype=pl.Int64)
    for name in PROMPT_ORDER:
        counted = counted + tokens[name]
        beyond = pl.min_horizontal(tokens[name], (counted - pl.col("threshold")).clip(lower_bound=0))
        surcharges.append(beyond * (pl.col(f"beyond_{name}") - pl.col(f"rate_{name}")))
    return reduce(add, surcharges).fill_null(0)


def _at_requested_model(costed: pl.LazyFrame, cards: Cards) -> pl.LazyFrame:
    """Add `requested_usd`: the attempt's tokens at the model that was asked for, where all are priced.

    Same provider, region and tier, else the default tier of the alphabetically first provider of that name.
    """
    kept = costed.collect_schema().names()
    again = costed.with_row_index("row")
    bare = again.select(
        "row", "provider", "region", "tier", "is_batch", "total_input", "other_meters", *TOKEN_COLUMNS,
        "started_at", "finished_at", name=pl.col("requested_model"),
    )  # fmt: skip
    asked = _cost(_locate(bare, cards), cards).select(
        "row",
        requested_usd=pl.when(pl.col("is_dated") & pl.col("is_covered")).then(_total_usd()),
    )
    return again.join(asked, on="row", how="left").select(*kept, "requested_usd")


def _total_usd() -> pl.Expr:
    cost = pl.col("input_cost") + pl.col("output_cost") + pl.col("meters_cost")
    return usd_from_picodollars(cost, ROW_USD)


def _settle(costed: pl.LazyFrame, *, time_zone: str) -> pl.LazyFrame:
    """Decide the price state and turn picodollars into dollars."""
    has_tokens = pl.any_horizontal(pl.col(name).is_not_null() for name in TOKEN_COLUMNS)
    has_usage = has_tokens | (pl.col("used") > 0).fill_null(value=False)
    has_usage = (pl.col("usage_source") != "missing") & has_usage
    is_dated = pl.col("is_dated").fill_null(value=False) & pl.col("card").is_not_null()
    is_hit = pl.col("is_gateway_cache_hit")
    reason = (
        pl.when(is_hit | ((pl.col("status") == "error") & ~has_usage))
        .then(pl.lit(None, dtype=pl.String))
        .when(~has_usage)
        .then(pl.lit("missing_usage"))
        .when(~pl.col("is_known") | pl.col("model").is_null())
        .then(pl.lit("unknown_model"))
        .when(~is_dated)
        .then(pl.lit("no_price_at_time"))
        .when(~pl.col("is_covered"))
        .then(pl.lit("class_not_priced"))
    )
    rows = costed.with_columns(
        unpriced_reason=reason,
        is_zero=is_hit | ~has_usage,
        is_stated=has_usage & pl.col("is_known") & is_dated & pl.col("is_covered"),
    )
    is_priced = pl.col("unpriced_reason").is_null()
    is_zero = pl.col("is_zero")

    def billed(usd: pl.Expr) -> pl.Expr:
        nothing = pl.lit(0, dtype=ROW_USD)
        return pl.when(is_priced).then(pl.when(is_zero).then(nothing).otherwise(usd))

    total, into, out = pl.col("total"), pl.col("into"), pl.col("out")
    # Conversions to decimals are the dearest step: three a row, the rest are picks and differences.
    rows = rows.with_columns(
        total=_total_usd(),
        into=usd_from_picodollars(pl.col("input_cost"), ROW_USD),
        out=usd_from_picodollars(pl.col("output_cost"), ROW_USD),
    )
    effective = billed(total)
    return rows.with_columns(
        accrued_hour=hour_of(pl.col("instant")),
        accrued_on=business_day_of(pl.col("instant"), time_zone=time_zone),
        model=pl.coalesce("model", "name"),
        is_first_accrual=True,
        is_provisional=False,
        cost_basis=pl.lit("token"),
        price_state=pl.when(~is_priced)
        .then(pl.lit("unpriced"))
        .when(is_zero | pl.col("is_free"))
        .then(pl.lit("free"))
        .otherwise(pl.lit("priced")),
        list_usd=effective,
        contracted_usd=effective,
        effective_usd=effective,
        input_usd=billed(into),
        output_usd=billed(out),
        meters_usd=billed(total - into - out),
        estimated_usd=pl.when(
            ~is_priced & (pl.col("unpriced_reason") != "missing_usage") & pl.col("is_estimable")
        ).then(total),
        saved_usd=pl.when(is_hit & pl.col("is_stated")).then(total),
        fallback_premium_usd=pl.when(is_priced & pl.col("is_stated") & ~is_hit).then(
            total - pl.col("requested_usd")
        ),
        gateway_reported_usd=pl.col("provider_reported_cost_usd"),
        price_id=pl.when(is_priced & pl.col("is_stated")).then(pl.col("price_id")),
        sheet_version=pl.when(is_priced & pl.col("is_stated")).then(pl.col("sheet_version")),
        **{name: pl.when(is_hit).then(0).otherwise(pl.col(name)) for name in TOKEN_COLUMNS},
    )
