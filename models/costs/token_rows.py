"""Price state, reason and dollars of priced attempts: the rows of core.request_costs for tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import polars as pl

from models.costs.asked import ASKED, TIMES
from models.costs.token_amounts import ROW_LIMIT, Amounts, AttemptUsage
from models.costs.token_cards import Integers, RateCards
from models.costs.token_fx import Dollars
from models.costs.token_slots import Booleans, SlottedAttempts
from models.money import PICODOLLARS_PER_USD, ROW_USD, picodollars_from_usd
from models.schemas import table
from models.schemas.base import INSTANT
from models.schemas.vocabulary import RESERVED_TIERS, TOKEN_CLASSES, TOKEN_COLUMNS

_HOUR = 3600 * 10**6
_REASONS = (None, "missing_usage", "unknown_model", "no_price_at_time", "class_not_priced", "no_fx_rate")
_STATES = ("unpriced", "free", "priced")


@cache
def passed_columns() -> tuple[str, ...]:
    """Return the columns that a row takes from its attempt."""
    own = table("core.request_costs").column_names
    return tuple(name for name in table("core.requests").column_names if name in own)


def asked_columns(attempts: pl.LazyFrame) -> tuple[str, ...]:
    """Return which of ASKED and TIMES the attempts have."""
    names = set(attempts.collect_schema().names())
    return tuple(name for name in (*ASKED, *TIMES) if name in names)


@dataclass(frozen=True)
class Priced:
    """Attempts at one name: their place in the book, and the cost at list and at negotiated prices."""

    located: SlottedAttempts
    accrued_on: Integers
    listed: Amounts
    effective: Amounts
    list_usd: Dollars
    usd: Dollars

    @property
    def is_dated(self) -> Booleans:
        """Whether a rate is valid and known at the attempt's instant, for its tier."""
        return (self.located.values("is_dated") > 0) & (self.effective.card >= 0)

    @property
    def is_stated(self) -> Booleans:
        """Whether every unit used has such a rate in dollars."""
        return self.is_dated & self.effective.is_covered & self.usd.is_convertible


def cost_rows(
    attempts: pl.DataFrame,
    usage: AttemptUsage,
    priced: Priced,
    *,
    at_requested: tuple[Integers, Priced] | None,
    cards: RateCards,
) -> pl.DataFrame:
    """Settle what each attempt cost.

    Args:
        attempts: the attempts, with `name`, the one that was priced.
        usage: what they used.
        priced: their cost.
        at_requested: for the rows that are fallbacks, the cost at the model that was asked for.
        cards: the cards that the numbers mean.

    Returns:
        Rows of core.request_costs.
    """
    located, usd, is_known = priced.located, priced.usd, priced.located.is_known
    is_hit = attempts["is_gateway_cache_hit"].to_numpy()
    has_usage = usage.is_any & (attempts["usage_source"] != "missing").to_numpy()
    is_error = (attempts["status"] == "error").to_numpy()
    tier = attempts["service_tier"].str.to_lowercase()
    is_reserved = tier.is_in(RESERVED_TIERS).fill_null(value=False).to_numpy() & ~is_hit & ~priced.is_dated
    is_stated = has_usage & is_known & priced.is_stated
    reason = np.select(
        [
            is_hit | is_reserved | (is_error & ~has_usage),
            ~has_usage,
            ~(is_known & located.has("model")),
            ~priced.is_dated,
            ~priced.effective.is_covered,
            ~usd.is_convertible,
        ],
        [0, 1, 2, 3, 4, 5],
        0,
    )
    # What the provider says that it charged is the price of what the book has none for.
    bill, is_bill = _bills(attempts)
    is_billed = is_bill & (reason != 0)
    reason = np.where(is_billed, 0, reason)
    is_priced, is_zero = reason == 0, is_hit | is_reserved | (~has_usage & ~is_billed)
    at_card = np.append(cards.is_free, [False])[priced.effective.card]
    is_free = is_priced & np.where(is_billed, bill == 0, is_zero | at_card)
    is_listed = (
        is_priced & ~is_billed & (is_zero | (priced.listed.is_covered & priced.list_usd.is_convertible))
    )
    can_estimate = ~is_priced & (reason != 1) & priced.effective.is_estimable & usd.is_convertible
    is_rated = is_priced & is_stated & ~is_billed & ~is_reserved
    card = np.where(is_rated, priced.effective.card, -1)
    premium = _premium(usd.total, is_priced & is_stated & ~is_hit, at_requested)

    def billed(amount: Integers, known: Booleans) -> pl.Series:
        return _usd(np.where(is_zero, 0, amount), known)

    effective = billed(np.where(is_billed, bill, usd.total), is_priced)
    is_foreign = pl.Series((usd.rate_on >= 0) & is_priced & ~is_zero & ~is_billed)
    rows = attempts.with_columns(
        accrued_hour=pl.Series(located.instant - located.instant % _HOUR).cast(INSTANT),
        accrued_on=pl.Series(priced.accrued_on).cast(pl.Int32).cast(pl.Date),
        model=pl.coalesce(located.known("model"), attempts["name"]),
        model_family=located.known("family"),
        chip=located.known("chip"),
        is_first_accrual=pl.lit(value=True),
        is_provisional=pl.lit(value=False),
        cost_basis=pl.lit("token"),
        price_state=_words(_STATES, is_priced * 2 - is_free),
        unpriced_reason=_words(_REASONS, reason),
        unpriced_meters=_meters(
            np.where(reason == _REASONS.index("class_not_priced"), priced.effective.missing, 0), cards
        ),
        assumed_meters=_assumed(priced, is_rated & ~is_zero, cards),
        list_usd=billed(priced.list_usd.total, is_listed),
        contracted_usd=effective,
        effective_usd=effective,
        input_usd=billed(np.where(is_billed, 0, usd.into), is_priced),
        output_usd=billed(np.where(is_billed, 0, usd.out), is_priced),
        meters_usd=billed(np.where(is_billed, bill, usd.by_meters), is_priced),
        estimated_usd=_usd(usd.total, can_estimate),
        saved_usd=_usd(usd.total, is_hit & is_stated),
        fallback_premium_usd=premium,
        gateway_reported_usd=attempts["provider_reported_cost_usd"],
        deployment=_only(_pool(attempts), pl.Series(is_reserved)),
        price_id=_words([*cards.price_ids, None], card),
        sheet_version=_words([*cards.sheet_versions, None], card),
        fx_usd_per_unit=_only(
            pl.Series(usd.rate).cast(pl.Int128).reinterpret(dtype=pl.Decimal(38, 12)), is_foreign
        ),
        fx_on=_only(pl.Series(usd.rate_on).cast(pl.Int32).cast(pl.Date), is_foreign),
    )
    if is_hit.any():
        hit = pl.lit(pl.Series(is_hit))
        tokens = [pl.when(hit).then(0).otherwise(pl.col(name)).alias(name) for name in TOKEN_COLUMNS]
        rows = rows.with_columns(*tokens, other_meters=_only(rows["other_meters"], pl.Series(~is_hit)))
    return table("core.request_costs").conform(rows.lazy(), fill=True).collect()


def _pool(attempts: pl.DataFrame) -> pl.Series:
    """Return what capacity paid by the hour is called: as deployments.yml says, else by its route or model."""
    return attempts.select(pl.coalesce("provisioned_pool", "route", "name")).to_series()


def _bills(attempts: pl.DataFrame) -> tuple[Integers, Booleans]:
    """Return the picodollars that providers say they charged, and for which attempts one does."""
    bill = attempts.select(
        pl.when(
            pl.col("is_cost_billed")
            & pl.col("provider_reported_cost_usd").is_between(0, ROW_LIMIT // PICODOLLARS_PER_USD)
        ).then(picodollars_from_usd(pl.col("provider_reported_cost_usd")).cast(pl.Int64))
    ).to_series()
    return bill.fill_null(0).to_numpy(), bill.is_not_null().to_numpy()


def _premium(total: Integers, is_stated: Booleans, at_requested: tuple[Integers, Priced] | None) -> pl.Series:
    """Return, for fallbacks, cost taken minus what the requested model would have cost."""
    extra, is_fallback = np.zeros(len(total), dtype=np.int64), np.zeros(len(total), dtype=np.bool_)
    if at_requested is not None:
        rows, asked = at_requested
        extra[rows] = total[rows] - asked.usd.total
        is_fallback[rows] = asked.is_stated
    return _usd(extra, is_stated & is_fallback)


def _usd(picodollars: Integers, known: Booleans) -> pl.Series:
    """Turn picodollars into dollars; NULL where not known. An integer of 1e-12 is what the decimal holds."""
    dollars = pl.Series(picodollars).cast(pl.Int128).reinterpret(dtype=ROW_USD)
    return dollars if known.all() else _only(dollars, pl.Series(known))


def _only(values: pl.Series, known: pl.Series) -> pl.Series:
    if not known.any():
        return pl.Series([None], dtype=values.dtype).new_from_index(0, len(values))
    return values.zip_with(known, pl.Series([None], dtype=values.dtype).new_from_index(0, len(values)))


def _assumed(priced: Priced, is_paid: Booleans, cards: RateCards) -> pl.Series:
    """Return the classes whose rate no sheet states, and `region` where the price is that of a place assumed."""
    classes = _meters(np.where(is_paid, priced.effective.assumed, 0), cards)
    is_place_assumed = (priced.located.values("is_place_assumed") > 0) & is_paid
    if not is_place_assumed.any():
        return classes
    place = pl.Series(["region", None]).gather(pl.Series(np.where(is_place_assumed, 0, 1)))
    return pl.select(
        pl.concat_str(classes, place, separator=", ", ignore_nulls=True).replace("", None)
    ).to_series()


def _meters(bits: Integers, cards: RateCards) -> pl.Series:
    """Write sets of meters, a bit each, as words such as `cache_read, web_search`; NULL for the empty set."""
    order = (*TOKEN_CLASSES, *cards.meters)
    sets, number = np.unique(bits, return_inverse=True)
    words = [
        ", ".join(name for row, name in enumerate(order) if held >> row & 1) or None for held in sets.tolist()
    ]
    return pl.Series(words, dtype=pl.String).gather(pl.Series(number))


def _words(words: Sequence[str | None], number: Integers) -> pl.Series:
    return pl.Series(list(words), dtype=pl.String).gather(pl.Series(number % len(words)))
