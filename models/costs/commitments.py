"""Commitments: accelerators bought for a term. Which replicas run on them, and what of them nobody used."""

import hashlib
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

import polars as pl
from pydantic import Field

from models.costs.intervals import half_even, microseconds
from models.costs.rates import COST_UNITS, FRACTION_UNITS, PHASES_WITHOUT_SHEET
from models.documents import Document, Instant, Strict, read_documents
from models.errors import ConfigurationError
from models.money import booked_picodollars
from models.schemas import table
from models.schemas.vocabulary import NONE_DEPLOYMENT

SCOPE = ("provider", "region", "chip", "commitment")
BEYOND = "on_demand"
"""What replicas run on that a commitment does not cover."""
Usd = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]
Word = Annotated[str, Field(min_length=1)]


class Entry(Strict):
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


class File(Strict):
    """A `commitments.yml`."""

    version: Literal[1]
    commitments: tuple[Entry, ...] = ()


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
        for number, entry in enumerate(document.parse(File).commitments):
            rows.append(_row(document, number, entry) | {"sheet_version": version, "sheet_path": path})
    return table("ref.commitments").frame(rows)


def _row(document: Document, number: int, entry: Entry) -> dict[str, Any]:
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
        "sheet_line": document.line(where),
    }


def _wrong(document: Document, where: tuple[Any, ...], message: str) -> ConfigurationError:
    return document.error(where, f"the commitment {message}")


def commitment_prices(commitments: pl.DataFrame) -> pl.DataFrame:
    """Return rows of ref.gpu_prices at which replicas on a commitment are billed: its own rate, all but the wait."""
    return table("ref.gpu_prices").frame(
        {
            "price_id": "commitment-"
            + hashlib.sha256(
                "|".join(
                    str(row[name]) for name in (*SCOPE, "valid_from", "picodollars_per_gpu_hour")
                ).encode()
            ).hexdigest()[:16],
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
        for row in commitments.unique((*SCOPE, "valid_from"), keep="last", maintain_order=True).iter_rows(
            named=True
        )
    )


def covered(
    intervals: pl.DataFrame, commitments: pl.DataFrame, slots: pl.DataFrame, *, as_known_at: datetime
) -> pl.DataFrame:
    """Return the intervals of the slots; in scopes with a commitment, what it does not cover is `on_demand`.

    Replicas say which commitment they run on. As vendors settle by the hour, a commitment has so many GPU-seconds a
    slot, which the earliest-started replica uses first, then the next, whole replicas at a time. Scopes without a
    commitment on file stay as they are.

    Args:
        intervals: as `replica_intervals` returns them.
        commitments: ref.commitments.
        slots: the window's slots.
        as_known_at: commitments learned later do not count.
    """
    known = commitments.filter(pl.col("known_from") <= as_known_at)
    inside = intervals.join(known.select(SCOPE).unique(), on=SCOPE, how="semi")
    if inside.is_empty():
        return intervals
    others = intervals.join(known.select(SCOPE).unique(), on=SCOPE, how="anti")
    ends = pl.col("ended_at").fill_null(slots["slot_ended_at"].max())
    parts = (
        inside.with_columns(ends.alias("ends"))
        .join(slots, how="cross")
        .filter(pl.col("started_at") < pl.col("slot_ended_at"), pl.col("ends") > pl.col("slot_started_at"))
        .with_columns(
            pl.max_horizontal("started_at", "slot_started_at").alias("started_at"),
            pl.min_horizontal("ends", "slot_ended_at").alias("ended_at"),
            (pl.col("is_last") & (pl.col("ends") <= pl.col("slot_ended_at"))).alias("is_last"),
        )
    )
    begun = inside.group_by("replica_id").agg(pl.col("started_at").min().alias("begun_at"))
    used = (
        parts.group_by(*SCOPE, "slot", "replica_id")
        .agg((_SIZE * _LENGTH).filter(pl.col("phase") != "waiting").sum().alias("used"))
        .join(begun, on="replica_id")
        .sort("slot", "begun_at", "replica_id")
        .with_columns(pl.col("used").cum_sum().over(*SCOPE, "slot").alias("upto"))
        .join(_bought(known, slots).select(*SCOPE, "slot", "bought"), on=[*SCOPE, "slot"], how="left")
        .with_columns((pl.col("upto") <= pl.col("bought").fill_null(0)).alias("is_covered"))
    )
    settled = parts.join(
        used.select(*SCOPE, "slot", "replica_id", "is_covered"), on=[*SCOPE, "slot", "replica_id"], how="left"
    ).with_columns(pl.when("is_covered").then("commitment").otherwise(pl.lit(BEYOND)).alias("commitment"))
    return pl.concat([others, settled.select(intervals.columns)]).sort("replica_id", "life", "started_at")


_SIZE = pl.col("chip_count").cast(pl.Int128) * (pl.col("fraction") * FRACTION_UNITS).cast(pl.Int128)
_LENGTH = microseconds(pl.col("ended_at")) - microseconds(pl.col("started_at"))


def _bought(known: pl.DataFrame, slots: pl.DataFrame) -> pl.DataFrame:
    """Return what was bought of each scope in each slot: millionths of GPU-microseconds, and that times its rate."""
    starts = pl.max_horizontal(microseconds(pl.col("slot_started_at")), microseconds(pl.col("valid_from")))
    ends = pl.min_horizontal(microseconds(pl.col("slot_ended_at")), microseconds(pl.col("valid_to")))
    count = pl.col("gpu_count").cast(pl.Int128) * FRACTION_UNITS
    return (
        known.join(slots, how="cross")
        .filter(starts < ends)
        .with_columns((count * (ends - starts)).alias("bought"))
        .group_by(*SCOPE, "slot", pl.col("hour").alias("pool_hour"), "accrued_on")
        .agg(
            pl.col("bought").sum(),
            (pl.col("bought") * pl.col("picodollars_per_gpu_hour").cast(pl.Int128)).sum().alias("paid"),
        )
    )


def unused(
    slices: pl.DataFrame, commitments: pl.DataFrame, slots: pl.DataFrame, *, as_known_at: datetime
) -> pl.DataFrame:
    """Return what nobody used of every commitment in each slot, as a pool of its own.

    Several commitments of one scope are one purchase at their mean rate.

    Args:
        slices: priced slices of replicas (`priced_slices`).
        commitments: ref.commitments.
        slots: the window's slots.
        as_known_at: those learned later do not count.

    Returns:
        Pool dimensions (deployment `(none)`), `pool_hour, accrued_on, unused_usd` (picodollars) and `unused_gpu`
        (GPU-microseconds); slots without any are left out.
    """
    used = (
        slices.filter("is_billed")
        .group_by(*SCOPE, pl.col("hour").alias("pool_hour"), "accrued_on")
        .agg((_SIZE * _LENGTH).sum().alias("used"))
    )
    rate = half_even(pl.col("paid"), pl.col("bought"))
    return (
        _bought(commitments.filter(pl.col("known_from") <= as_known_at), slots)
        .join(used, on=[*SCOPE, "pool_hour", "accrued_on"], how="left")
        .with_columns((pl.col("bought") - pl.col("used").fill_null(0)).alias("left"))
        .filter(pl.col("left") > 0)
        .select(
            *SCOPE,
            pl.lit(NONE_DEPLOYMENT).alias("deployment"),
            "pool_hour",
            "accrued_on",
            half_even(rate * pl.col("left"), COST_UNITS).alias("unused_usd"),
            half_even(pl.col("left"), FRACTION_UNITS).alias("unused_gpu"),
        )
    )
