"""Commitments: accelerators bought for a term. What runs on them, and what of them nobody used.

A purchase is so many GPU-seconds of every clock hour at its own rate, whoever uses them, as AWS bills reserved capacity
("the benefit applies to all concurrent instances up to 3,600 seconds a clock-hour"; AWS whitepaper Amazon EC2
Reservation Models, "Usage billing", docs.aws.amazon.com/whitepapers/latest/cost-optimization-reservation-models).
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import Field

from models.costs.intervals import microseconds
from models.costs.rates import COST_UNITS, FRACTION_UNITS, PHASES_WITHOUT_SHEET
from models.documents import Document, Instant, Strict, read_documents
from models.errors import ConfigurationError
from models.money import booked_picodollars, half_even
from models.periods import hour_of
from models.schemas import table
from models.schemas.vocabulary import NONE_DEPLOYMENT

SCOPE = ("provider", "region", "chip", "commitment")
BEYOND = "on_demand"
"""What replicas run on that a commitment does not cover."""
Usd = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
Word = Annotated[str, Field(min_length=1)]


class CommitmentEntry(Strict):
    """One commitment as a person writes it."""

    provider: Word
    region: Word
    chip: Word
    commitment: Literal["reserved", "committed"] = "committed"
    gpu_count: Annotated[int, Field(ge=1)]
    usd_per_gpu_hour: Usd
    upfront_usd: Usd = Decimal(0)
    valid_from: Instant
    valid_to: Instant
    known_from: Instant | None = None
    note: str | None = None


class CommitmentFile(Strict):
    """A `commitments.yml`."""

    version: Literal[1]
    commitments: tuple[CommitmentEntry, ...] = ()


def load_commitments(text: str, *, path: str) -> pl.DataFrame:
    """Return ref.commitments.

    Args:
        text: YAML of the file; empty when the project has none.
        path: the file, for messages.

    Raises:
        ConfigurationError: anything wrong, with file, line, key and remedy.
    """
    rows: list[dict[str, Any]] = []
    version = hashlib.sha256(text.encode()).hexdigest()[:16]
    for document in read_documents(text, path=path):
        for number, entry in enumerate(document.parse(CommitmentFile).commitments):
            rows.append(_row(document, number, entry) | {"sheet_version": version})
    return table("ref.commitments").frame(rows)


def _row(document: Document, number: int, entry: CommitmentEntry) -> dict[str, Any]:
    where = ("commitments", number)
    if entry.valid_to <= entry.valid_from:
        raise _wrong(document, where, "ends before it starts; mend `valid_to`")
    hours = Decimal((entry.valid_to - entry.valid_from) // timedelta(microseconds=1)) / 3_600_000_000
    rate = entry.usd_per_gpu_hour + entry.upfront_usd / (hours * entry.gpu_count)
    return {
        "provider": entry.provider,
        "region": entry.region,
        "chip": entry.chip,
        "commitment": entry.commitment,
        "gpu_count": entry.gpu_count,
        "hourly_usd": entry.usd_per_gpu_hour,
        "upfront_usd": entry.upfront_usd,
        "picodollars_per_gpu_hour": booked_picodollars(rate)[0],
        "valid_from": entry.valid_from,
        "valid_to": entry.valid_to,
        "known_from": entry.known_from or entry.valid_from,
        **document.place(where),
    }


def _wrong(document: Document, where: tuple[Any, ...], message: str) -> ConfigurationError:
    return document.error(where, f"the commitment {message}")


def commitment_prices(commitments: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of ref.gpu_prices that show what each purchase costs: its own rate, all but the wait."""
    return table("ref.gpu_prices").frame(
        {
            "price_id": price_id,
            "provider": row["provider"],
            "chip": row["chip"],
            "region": row["region"],
            "commitment": row["commitment"],
            "usd_per_gpu_hour": row["hourly_usd"],
            "picodollars_per_gpu_hour": row["picodollars_per_gpu_hour"],
            "is_rounded": False,
            "granularity_seconds": 1,
            "minimum_seconds": 0,
            "billed_phases": list(PHASES_WITHOUT_SHEET),
            "valid_from": row["valid_from"],
            "valid_to": row["valid_to"],
            "known_from": row["known_from"],
            "known_to": None,
            "sheet_version": row["sheet_version"],
            "sheet_path": row["sheet_path"],
            "sheet_line": row["sheet_line"],
            "source_url": "file:" + row["sheet_path"],
        }
        for row, price_id in zip(commitments.iter_rows(named=True), _price_ids(commitments), strict=True)
    )


def _price_ids(commitments: pl.DataFrame) -> list[str]:
    """Name each purchase by what it is; equal ones, by their order."""
    named = commitments.select(
        pl.concat_str(
            [pl.col(name).cast(pl.String) for name in (*SCOPE, "gpu_count", *_TERMS)], separator="|"
        ).alias("name")
    ).with_columns(pl.int_range(pl.len()).over("name").alias("ordinal"))
    return [
        "commitment-" + hashlib.sha256(f"{name}|{ordinal}".encode()).hexdigest()[:16]
        for name, ordinal in named.iter_rows()
    ]


_TERMS = ("valid_from", "valid_to", "known_from", "picodollars_per_gpu_hour")
_SLOT = (*SCOPE, "slot")


@dataclass(frozen=True)
class Coverage:
    """What purchases cover in some slots.

    Attributes:
        intervals: of the slots, each on one purchase or on none. Of one on a purchase, `price_id, rate` are the
            purchase's, and `line_from, line_to` lie on the line of what it sells in the hour, in parts x microseconds.
        bought: what each purchase sells in each slot: `line_starts, line_ends`.
    """

    intervals: pl.DataFrame
    bought: pl.DataFrame


def covered(
    intervals: pl.DataFrame, commitments: pl.DataFrame, slots: pl.DataFrame, *, as_known_at: datetime
) -> Coverage:
    """Lay what runs on commitments over what was bought; what no purchase covers is `on_demand`.

    Replicas and nodes say which commitment they run on. A slot's GPU-seconds are used by replicas before nodes that
    nobody holds, the one that started first before the next in every hour, each in order of time, and they use the
    purchase that began first before the next. Where a purchase ends within an interval the interval is cut, to the
    microsecond; what ran before one began, or after it ended, is on none of it, so that an hour in which a purchase of
    the scope begins or ends is two slots there. The wait for a machine uses nothing. Scopes without a commitment on
    file stay as they are.

    Args:
        intervals: as `replica_intervals` and `unheld` return them.
        commitments: ref.commitments.
        slots: the window's slots.
        as_known_at: commitments learned later do not count.
    """
    known = commitments.with_columns(pl.Series("price_id", _price_ids(commitments), dtype=pl.String)).filter(
        pl.col("known_from") <= as_known_at
    )
    slots = _cut_at_bounds(slots, known)
    bought = _bought(known, slots)
    scopes = known.select(SCOPE).unique()
    inside = intervals.join(scopes, on=SCOPE, how="semi")
    if inside.is_empty():
        return Coverage(intervals.with_columns(NO_PURCHASE), bought)
    others = intervals.join(scopes, on=SCOPE, how="anti").with_columns(NO_PURCHASE)
    used = _used(inside, slots)
    settled = _laid(used, bought)
    waits = _in_slots(inside.filter(pl.col("phase") == "waiting"), slots).with_columns(NO_PURCHASE)
    columns = [*intervals.columns, *_PURCHASE]
    whole = pl.concat([others.select(columns), settled.select(columns), waits.select(columns)])
    return Coverage(whole.sort("replica", "life", "started_at"), bought)


_PURCHASE = {"price_id": pl.String, "rate": pl.Int64, "line_from": pl.Int128, "line_to": pl.Int128}
NO_PURCHASE = [pl.lit(None, dtype=dtype).alias(name) for name, dtype in _PURCHASE.items()]
"""The columns of an interval that lies on no purchase."""
_LENGTH = microseconds(pl.col("ended_at")) - microseconds(pl.col("started_at"))


def _cut_at_bounds(slots: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Return the slots of each scope, cut where a purchase begins or ends."""
    of_scopes = known.select(SCOPE).unique().join(slots, how="cross")
    at = pl.col("slot_started_at")
    bounds = pl.concat(
        known.select(*SCOPE, pl.col(side).alias("at")) for side in ("valid_from", "valid_to")
    ).unique()
    cuts = (
        of_scopes.join(bounds, on=SCOPE)
        .filter(pl.col("at") > at, pl.col("at") < pl.col("slot_ended_at"))
        .with_columns(pl.col("at").alias("slot_started_at"))
    )
    slot = (*SCOPE, "slot")
    return (
        pl.concat([of_scopes, cuts.select(of_scopes.columns)])
        .sort(*slot, at)
        .with_columns(at.shift(-1).over(slot).fill_null(pl.col("slot_ended_at")).alias("slot_ended_at"))
        .with_columns(pl.int_range(pl.len(), dtype=pl.Int64).alias("slot"))
    )


def _in_slots(intervals: pl.DataFrame, slots: pl.DataFrame) -> pl.DataFrame:
    """Cut intervals at the slots of their scope; of those that still run, at the last one's end."""
    ends = pl.col("ended_at").fill_null(slots["slot_ended_at"].max())
    return (
        intervals.with_columns(ends.alias("ends"))
        .join(slots, on=SCOPE)
        .filter(pl.col("started_at") < pl.col("slot_ended_at"), pl.col("ends") > pl.col("slot_started_at"))
        .with_columns(
            pl.max_horizontal("started_at", "slot_started_at").alias("started_at"),
            pl.min_horizontal("ends", "slot_ended_at").alias("ended_at"),
            (pl.col("is_last") & (pl.col("ends") <= pl.col("slot_ended_at"))).alias("is_last"),
        )
    )


def _used(inside: pl.DataFrame, slots: pl.DataFrame) -> pl.DataFrame:
    """Return the intervals of each slot that use GPU time, with where they lie on the line of a scope's use."""
    use = pl.col("units").cast(pl.Int128) * _LENGTH
    return (
        _in_slots(inside.filter(pl.col("phase") != "waiting"), slots)
        .sort(
            *_SLOT,
            pl.col("deployment") == NONE_DEPLOYMENT,
            "life_started_at",
            "replica",
            "life",
            "started_at",
            nulls_last=True,
        )
        .with_columns(use.cum_sum().over(_SLOT).alias("use_to"))
        .with_columns((pl.col("use_to") - use).alias("use_from"))
    )


def _bought(known: pl.DataFrame, slots: pl.DataFrame) -> pl.DataFrame:
    """Return what each purchase sells in each slot, in parts x microseconds.

    `line_starts, line_ends` count from the hour's start, so that a whole hour costs what a whole hour does;
    `bound_from, bound_to` lie on the line of the use of the scope in the slot.
    """
    starts = pl.max_horizontal(microseconds(pl.col("slot_started_at")), microseconds(pl.col("valid_from")))
    ends = pl.min_horizontal(microseconds(pl.col("slot_ended_at")), microseconds(pl.col("valid_to")))
    begun = pl.max_horizontal(microseconds(pl.col("hour")), microseconds(pl.col("valid_from")))
    parts = pl.col("gpu_count").cast(pl.Int128) * FRACTION_UNITS
    return (
        known.join(slots, on=SCOPE)
        .filter(starts < ends)
        .with_columns(
            (parts * (starts - begun)).alias("line_starts"), (parts * (ends - begun)).alias("line_ends")
        )
        .sort(*_SLOT, "valid_from", "sheet_line", "price_id")
        .with_columns((pl.col("line_ends") - pl.col("line_starts")).cum_sum().over(_SLOT).alias("bound_to"))
        .with_columns(
            (pl.col("bound_to") - (pl.col("line_ends") - pl.col("line_starts"))).alias("bound_from")
        )
        .select(
            *_SLOT,
            pl.col("hour").alias("pool_hour"),
            "accrued_on",
            "price_id",
            pl.col("picodollars_per_gpu_hour").alias("rate"),
            *("line_starts", "line_ends", "bound_from", "bound_to"),
        )
    )


def _laid(used: pl.DataFrame, bought: pl.DataFrame) -> pl.DataFrame:
    """Cut the intervals of use at the bounds of purchases; what lies beyond them all is on demand."""
    row = used.with_row_index("row")
    # The last stretch of each slot is what nobody bought.
    beyond = used.select(_SLOT).unique().join(
        bought.group_by(_SLOT).agg(pl.col("bound_to").max().alias("bound_from")), on=_SLOT, how="left"
    ).select(*_SLOT, pl.col("bound_from").fill_null(0))  # fmt: skip
    stretches = pl.concat([bought, beyond], how="diagonal")
    low = pl.max_horizontal("use_from", "bound_from")
    high = pl.min_horizontal("use_to", "bound_to")
    begun, length = microseconds(pl.col("started_at")), _LENGTH
    first, last = pl.int_range(pl.len()).over("row"), pl.len().over("row") - 1

    def instant(at: pl.Expr) -> pl.Expr:
        """Return the instant at which a line of use is reached, within the interval."""
        return begun + ((at - pl.col("use_from")) // pl.col("units")).cast(pl.Int64)

    cut = (
        row.join(stretches, on=_SLOT)
        .with_columns(low.alias("low"), high.alias("high"))
        .filter(pl.col("low") < pl.col("high"))
        .sort("row", "low")
        .with_columns(first.alias("first"), last.alias("last"))
        .with_columns(
            pl.when(pl.col("first") == 0)
            .then(begun)
            .otherwise(
                pl.min_horizontal(
                    pl.max_horizontal(instant(pl.col("low")), begun + pl.col("first")), begun + length
                )
            )
            .alias("from"),
            (begun + length).alias("until"),
        )
        .with_columns(
            pl.col("from").shift(-1).over("row").fill_null(pl.col("until")).alias("to"),
            (pl.col("is_last") & (pl.col("first") == pl.col("last"))).alias("is_last"),
        )
        .filter(pl.col("from") < pl.col("to"))
    )
    offset = pl.col("line_starts") - pl.col("bound_from")
    is_bought = pl.col("price_id").is_not_null()
    return cut.with_columns(
        pl.from_epoch("from", time_unit="us").dt.replace_time_zone("UTC").alias("started_at"),
        pl.from_epoch("to", time_unit="us").dt.replace_time_zone("UTC").alias("ended_at"),
        pl.when(is_bought).then(pl.col("low") + offset).alias("line_from"),
        pl.when(is_bought).then(pl.col("high") + offset).alias("line_to"),
        pl.when(is_bought).then("commitment").otherwise(pl.lit(BEYOND)).alias("commitment"),
    )


def unused(coverage: Coverage) -> pl.DataFrame:
    """Return what nobody used of every purchase in each slot, as a pool of its own: paid, less billed.

    Returns:
        Pool dimensions (deployment `(none)`), `pool_hour, accrued_on, unused_usd` (picodollars) and `unused_gpu`
        (parts x microseconds); slots without any are left out.
    """

    def cost(place: str) -> pl.Expr:
        return half_even(pl.col("rate").cast(pl.Int128) * pl.col(place), COST_UNITS)

    billed = (
        coverage.intervals.filter(pl.col("line_from").is_not_null())
        .with_columns(hour_of(pl.col("started_at")).alias("pool_hour"))
        .join(
            coverage.bought.select("price_id", "slot", "pool_hour", "line_starts", "line_ends"),
            on=["price_id", "pool_hour"],
        )
        .filter(pl.col("line_from") >= pl.col("line_starts"), pl.col("line_to") <= pl.col("line_ends"))
        .group_by("price_id", "slot")
        .agg(
            (cost("line_to") - cost("line_from")).sum().alias("billed"),
            (pl.col("line_to") - pl.col("line_from")).sum().alias("used"),
        )
    )
    return (
        coverage.bought.join(billed, on=["price_id", "slot"], how="left")
        .with_columns(
            (cost("line_ends") - cost("line_starts") - pl.col("billed").fill_null(0)).alias("unused_usd"),
            (pl.col("line_ends") - pl.col("line_starts") - pl.col("used").fill_null(0)).alias("left"),
        )
        .group_by(*SCOPE, "pool_hour", "accrued_on")
        .agg(pl.col("unused_usd").sum(), pl.col("left").sum().alias("unused_gpu"))
        .filter((pl.col("unused_usd") > 0) | (pl.col("unused_gpu") > 0))
        .with_columns(pl.lit(NONE_DEPLOYMENT).alias("deployment"))
    )
