"""Shared overhead of GPU pools (CPU nodes, storage, network): `overhead.yml`, and its lines in core.other_charges.

An entry is billed as dollars an hour for all pools in its scope together, or as a part of what each was billed.
"""

from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import Field, model_validator

from models.costs.intervals import MICROSECONDS_PER_HOUR, microseconds
from models.documents import Document, Instant, Strict, in_order, read_documents
from models.money import booked_picodollars, half_even, picodollars_from_usd, usd_from_picodollars
from models.schemas import table
from models.schemas.vocabulary import NONE_DEPLOYMENT

POOL = ("provider", "region", "chip", "deployment", "commitment")
_SHARE_UNITS = 10**9
"""A share is a whole number of this fraction."""
_SLOT = ("pool_hour", "accrued_on")


class OverheadEntry(Strict):
    """Overhead of the pools that have all the dimensions given, as a person writes it.

    A later entry of one name and scope ends an earlier one.
    """

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    provider: str | None = None
    region: str | None = None
    chip: str | None = None
    deployment: str | None = None
    commitment: str | None = None
    usd_per_hour: Annotated[Decimal, Field(ge=0, le=10**6, allow_inf_nan=False)] | None = None
    share_of_gpu: Annotated[Decimal, Field(ge=0, le=10, decimal_places=9, allow_inf_nan=False)] | None = None
    valid_from: Instant
    valid_to: Instant | None = None
    known_from: Instant | None = None
    note: str | None = None

    @model_validator(mode="after")
    def _is_billed_in_one_way(self) -> "OverheadEntry":
        if (self.usd_per_hour is None) == (self.share_of_gpu is None):
            raise ValueError("overhead is either usd_per_hour or share_of_gpu; write one of them")
        in_order(self.valid_from, self.valid_to)
        return self

    @property
    def series(self) -> tuple[str | None, ...]:
        """What the entry is for: its name and scope."""
        return (self.name, *(getattr(self, name) for name in POOL))


class OverheadFile(Strict):
    """An `overhead.yml`."""

    version: Literal[1]
    overhead: tuple[OverheadEntry, ...] = ()


def load_overhead(text: str, *, path: str) -> pl.DataFrame:
    """Return ref.overhead.

    Args:
        text: YAML of the file; empty when the project has none.
        path: the file, for messages.

    Raises:
        ConfigurationError: anything wrong, with file, line, key and remedy.
    """
    series: dict[tuple[str | None, ...], list[tuple[OverheadEntry, Document, int]]] = defaultdict(list)
    for document in read_documents(text, path=path):
        for number, entry in enumerate(document.parse(OverheadFile).overhead):
            series[entry.series].append((entry, document, number))
    rows: list[dict[str, Any]] = []
    for entries in series.values():
        followers = [*entries[1:], None]
        for (entry, document, number), following in zip(entries, followers, strict=True):
            ends = entry.valid_to
            if following is not None:
                if following[0].valid_from <= entry.valid_from:
                    raise following[1].error(
                        ("overhead", following[2]),
                        f"{entry.name} is stated for that time above; put its entries in order, newest last",
                    )
                ends = min(ends or following[0].valid_from, following[0].valid_from)
            rate, is_rounded = (
                (None, False) if entry.usd_per_hour is None else booked_picodollars(entry.usd_per_hour)
            )
            rows.append(
                entry.model_dump(exclude={"note", "valid_to"})
                | {
                    "valid_to": ends,
                    "picodollars_per_hour": rate,
                    "is_rounded": is_rounded,
                    **document.place(("overhead", number)),
                }
            )
    return table("ref.overhead").frame(rows)


def other_charges(
    pools: pl.DataFrame, overhead: pl.DataFrame, slots: pl.DataFrame, *, as_known_at: datetime
) -> pl.DataFrame:
    """Return the rows of `core.other_charges` of a window: a line for each entry and pool-hour, to the picodollar.

    Dollars an hour are cut at slots (and where the entry begins or ends) as GPU money is, and split over the pools in
    scope by billed GPU time: order, cumulate, round, difference. Where none was billed the line is that of the
    deployment `(none)`. A share of a pool-hour without a price is NULL.

    Args:
        pools: core.pool_hours of the window.
        overhead: ref.overhead.
        slots: the window's slots.
        as_known_at: entries learned later do not count.
    """
    entries = overhead.filter(pl.col("known_from").is_null() | (pl.col("known_from") <= as_known_at))
    from_at = pl.max_horizontal("slot_started_at", "valid_from")
    to_at = pl.min_horizontal("slot_ended_at", "valid_to")
    due = (
        entries.with_row_index("entry")
        .join(slots.rename({"hour": "pool_hour"}), how="cross")
        .with_columns(from_at=from_at, to_at=to_at)
        .filter(pl.col("from_at") < pl.col("to_at"))
    )
    billed = pools.select(
        *(pl.col(name).alias(f"pool_{name}") for name in POOL),
        *_SLOT,
        "model",
        picodollars_from_usd(pl.col("billed_usd")).alias("billed"),
        (pl.col("billed_gpu_seconds") * 1_000_000).cast(pl.Int128).alias("time"),
    )
    in_scope = pl.all_horizontal(
        pl.col(name).is_null() | (pl.col(name) == pl.col(f"pool_{name}")) for name in POOL
    )
    held = due.join(billed, on=_SLOT).filter(in_scope)
    shares = held.filter(pl.col("share_of_gpu").is_not_null()).with_columns(cost=_share())
    fixed = held.filter(pl.col("picodollars_per_hour").is_not_null(), pl.col("time") > 0)
    nobodys = due.filter(pl.col("picodollars_per_hour").is_not_null()).join(
        fixed, on=["entry", *_SLOT], how="anti"
    )
    lines = [
        shares,
        _split(fixed),
        nobodys.with_columns(
            *(pl.col(name).alias(f"pool_{name}") for name in POOL), cost=_hourly()
        ).with_columns(pool_deployment=pl.lit(NONE_DEPLOYMENT)),
    ]
    names = ("name", *POOL, *(f"pool_{name}" for name in POOL), *_SLOT)
    whole = pl.concat([each.select(*names, pl.col("cost").cast(pl.Int128)) for each in lines])
    models = billed.select(*(f"pool_{name}" for name in POOL), *_SLOT, "model")
    summed = whole.group_by(names).agg(
        pl.when(pl.col("cost").is_not_null().all()).then(pl.col("cost").sum()).alias("cost")
    )
    on = [*(f"pool_{name}" for name in POOL), *_SLOT]
    rows = summed.join(models, on=on, how="left", nulls_equal=True).select(
        pl.concat_str(pl.lit("overhead"), "name", _path(""), _path("pool_"), separator=":").alias(
            "charge_id"
        ),
        *(pl.col(f"pool_{name}").alias(name) for name in ("provider", "region", "chip")),
        pl.col("pool_deployment").alias("route"),
        "model",
        pl.col("name").alias("meter"),
        pl.col("pool_hour").alias("accrued_hour"),
        "accrued_on",
        usd_from_picodollars(pl.col("cost")).alias("effective_usd"),
    )
    return (
        table("core.other_charges")
        .conform(rows.lazy(), fill=True)
        .sort("accrued_hour", "charge_id")
        .collect()
    )


def _path(prefix: str) -> pl.Expr:
    return pl.concat_str((pl.col(f"{prefix}{name}").fill_null("*") for name in POOL), separator="/")


def _share() -> pl.Expr:
    """Return an entry's part of what a pool-hour was billed, for the part of the slot in which it holds."""
    share = (pl.col("share_of_gpu") * _SHARE_UNITS).cast(pl.Int128)
    lasts = microseconds(pl.col("to_at")) - microseconds(pl.col("from_at"))
    slot = microseconds(pl.col("slot_ended_at")) - microseconds(pl.col("slot_started_at"))
    return half_even(pl.col("billed") * share * lasts.cast(pl.Int128), slot.cast(pl.Int128) * _SHARE_UNITS)


def _hourly() -> pl.Expr:
    """Return what an hourly entry costs in a slot: the difference of its rounded cost since the hour began."""
    hour = microseconds(pl.col("pool_hour"))
    rate = pl.col("picodollars_per_hour").cast(pl.Int128)
    begun = pl.max_horizontal(hour, microseconds(pl.col("valid_from")))
    since = [microseconds(pl.col(side)) - begun for side in ("to_at", "from_at")]
    return half_even(rate * since[0], MICROSECONDS_PER_HOUR) - half_even(
        rate * since[1], MICROSECONDS_PER_HOUR
    )


def _split(held: pl.DataFrame) -> pl.DataFrame:
    """Split what hourly entries cost in each slot over the pools in scope, by billed GPU time."""
    slot = ("entry", *_SLOT)
    upto, before = pl.col("time").cum_sum().over(slot), pl.col("time").cum_sum().over(slot) - pl.col("time")
    whole = pl.col("time").sum().over(slot)
    return (
        held.sort(*slot, *(f"pool_{name}" for name in POOL))
        .with_columns(cost=_hourly())
        .with_columns(
            cost=half_even(pl.col("cost") * upto, whole) - half_even(pl.col("cost") * before, whole)
        )
    )
