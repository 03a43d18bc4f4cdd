"""Cost of token-priced attempts: the rate valid at the attempt's instant times its disjoint token classes."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from models.costs.token_amounts import AttemptUsage, amounts, usage_of
from models.costs.token_cards import Integers, RateCards, arrange
from models.costs.token_fx import ExchangeRates, exchange
from models.costs.token_rows import Priced, asked_columns, cost_rows, passed_columns
from models.costs.token_slots import Locator, SlottedAttempts
from models.errors import DataError
from models.periods import business_day_bounds, business_day_of
from models.schemas import table

_ALSO_READ = (
    "finished_at",
    "is_gateway_cache_hit",
    "provider_reported_cost_usd",
    "is_cost_billed",
    "provisioned_pool",
)
_FINE_TUNED = "^((?:[a-z_]+/)?ft:[^:]+):.+"
"""OpenAI's name of a fine-tune, `ft:BASE:ORG:NAME:ID`: it costs what the sheet asks for `ft:BASE`."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def price_requests(
    requests: pl.LazyFrame,
    *,
    book: pl.LazyFrame,
    models: pl.LazyFrame,
    fx: pl.LazyFrame | None = None,
    time_zone: str,
    as_known_at: datetime,
    from_hour: datetime,
    to_hour: datetime,
) -> pl.LazyFrame:
    """Price every attempt that is not on a GPU pool and whose pricing instant lies in the window.

    The served model is priced (where a log lacks it: the routed, then the requested one) at the rate valid
    at `started_at` as known at `as_known_at`; the batch tier and sheets that say so at `finished_at`. A
    region without a price of its own takes the price of any region. `list_usd` is the sheet's cost,
    `contracted_usd` that of a contract where one holds, and `effective_usd` equals it: commitments are
    pools. Amounts are exact to the picodollar; a foreign cost is converted once, at the rate of
    `accrued_on`; `input_usd + output_usd + meters_usd = effective_usd`.

    Unpriced (NULL, never 0) with the reason: `missing_usage`; `unknown_model` (no alias at this provider);
    `no_price_at_time` (none valid and known then, or the served tier is not in the sheet);
    `class_not_priced` (a token class, or a meter that the book prices elsewhere, has no rate here);
    `no_fx_rate`. Then `estimated_usd` holds the cost at the nearest sibling's rates: the same model's
    default tier or first price, else the same name at the alphabetically first provider; a class without a
    rate takes its family's at another provider, else the plain rate of its direction.

    `ft:BASE:ORG:NAME:ID` costs what the sheet asks for `ft:BASE`, unless the sheet names it itself.

    Free: tokens of provisioned or reserved capacity, which is paid by the hour (unless the sheet prices that tier);
    declared 0 rates; an error that reports no usage (nobody bills a failed call); a gateway-cache
    hit, whose tokens are 0 and whose cost at the served model is `saved_usd`.

    Args:
        requests: canonical attempts, in the shape of core.requests, providers canonical.
        book: ref.token_prices.
        models: ref.models.
        fx: ref.fx_rates, for sheets in other currencies than dollars.
        time_zone: IANA zone of business days.
        as_known_at: prices learned later do not count.
        from_hour: first instant of the window, UTC.
        to_hour: end of the window, exclusive.

    Returns:
        Rows of core.request_costs in no particular order.
    """
    rates = table("ref.fx_rates").empty() if fx is None else fx.collect()
    index = arrange(book.collect(), models.collect(), as_known_at=as_known_at)
    pricer = _Pricer(
        locator=Locator(index),
        cards=index.cards,
        exchange=exchange(rates, as_known_at=as_known_at),
        time_zone=time_zone,
        window=(_micros(from_hour), _micros(to_hour)),
    )
    started, finished = pl.col("started_at"), pl.col("finished_at")
    wanted = requests.filter(
        started < to_hour,
        (started >= from_hour) | (finished >= from_hour),
    )
    if "provisioned_pool" not in wanted.collect_schema():
        wanted = wanted.with_columns(provisioned_pool=pl.lit(None, dtype=pl.String))
    wanted = wanted.select(*passed_columns(), *asked_columns(wanted), *_ALSO_READ)
    return wanted.map_batches(
        pricer.price,
        predicate_pushdown=False,
        projection_pushdown=False,
        slice_pushdown=False,
        schema=table("core.request_costs").polars_schema,
        streamable=True,
    )


@dataclass(frozen=True)
class _Pricer:
    """Prices one batch of attempts after another."""

    locator: Locator
    cards: RateCards
    exchange: ExchangeRates
    time_zone: str
    window: tuple[int, int]

    def price(self, attempts: pl.DataFrame) -> pl.DataFrame:
        """Return rows of core.request_costs."""
        served = attempts.select(pl.coalesce("served_model", "routed_model", "requested_model")).to_series()
        name = self._sold_as(served)
        located = self.locator.locate(attempts, name)
        inside = (located.instant >= self.window[0]) & (located.instant < self.window[1])
        if not inside.all():
            attempts, name = attempts.filter(pl.Series(inside)), name.filter(pl.Series(inside))
            located = located.where(inside)
        usage = usage_of(attempts, self.cards.meters)
        priced = self._priced(usage, located)
        too_dear = np.flatnonzero(priced.listed.is_too_dear | priced.effective.is_too_dear)
        if too_dear.size:
            row = attempts.row(int(too_dear[0]), named=True)
            raise DataError(
                f"The attempt {row['request_id']!r} of source {row['source']!r} would cost more than $900,000; "
                "mend its token counts in the log, or take it out."
            )
        return cost_rows(
            attempts.with_columns(name=name),
            usage,
            priced,
            at_requested=self._at_requested_model(attempts, usage),
            cards=self.cards,
        )

    def _sold_as(self, name: pl.Series) -> pl.Series:
        """Return the names to look up: that of a fine-tune, where no sheet has it, without its owner and number."""
        if not name.str.contains("ft:", literal=True).any():
            return name
        base = name.str.extract(_FINE_TUNED)
        is_sold = name.is_in(list(self.locator.index.first_provider))
        return base.zip_with(~is_sold & base.is_not_null(), name)

    def _priced(self, usage: AttemptUsage, located: SlottedAttempts) -> Priced:
        listed, effective = amounts(usage, located, self.cards)
        accrued_on = _business_days(located.instant, self.time_zone)
        list_usd = self.exchange.dollars(listed, self.cards.currencies, accrued_on)
        usd = (
            list_usd
            if effective is listed
            else self.exchange.dollars(effective, self.cards.currencies, accrued_on)
        )
        return Priced(located, accrued_on, listed, effective, list_usd, usd)

    def _at_requested_model(
        self, attempts: pl.DataFrame, usage: AttemptUsage
    ) -> tuple[Integers, Priced] | None:
        """Return which attempts are fallbacks, and their tokens priced at the model that was asked for.

        Same provider, region and tier, else the default tier of the alphabetically first provider of that
        name.
        """
        rows = np.flatnonzero(attempts["is_fallback"].fill_null(value=False).to_numpy())
        if not len(rows):
            return None
        fallbacks = attempts[rows]
        located = self.locator.locate(fallbacks, self._sold_as(fallbacks["requested_model"]))
        return rows, self._priced(usage.where(rows), located)


def _micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _business_days(instant: Integers, time_zone: str) -> Integers:
    """Return business dates as days since 1970: a search among the few days that occur, not a conversion a row."""
    if not len(instant):
        return instant
    ends = pl.Series([int(instant.min()), int(instant.max())]).cast(pl.Datetime("us", "UTC"))
    first, last = ends.to_frame("at").select(business_day_of(pl.col("at"), time_zone=time_zone))["at"]
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    starts = [_micros(business_day_bounds(day, time_zone=time_zone)[0]) for day in days]
    numbers = np.array([(day - _EPOCH.date()).days for day in days], dtype=np.int64)
    return numbers[np.searchsorted(np.array(starts), instant, side="right") - 1]
