"""What a column counts, and whether its rows may be summed: both follow from the suffix of its name and its dtype."""

import polars as pl

from models.schemas.base import Column

_UNITS = (
    ("_usd_per_mtok", "dollars per million tokens"), ("_usd_per_gpu_hour", "dollars per GPU-hour"),
    ("_usd_per_day", "dollars a day"), ("_usd_per_hour", "dollars an hour"), ("_usd_per_unit", "dollars per unit"),
    ("_unit_price_usd", "dollars per unit"), ("unit_price", "currency of the bill per unit"),
    ("_per_gpu_second", "per GPU-second"), ("_per_second", "per second"), ("_per_gpu_hour", "picodollars per GPU-hour"),
    ("_per_hour", "picodollars an hour"), ("_per_unit", "picodollars per unit"), ("_per_mtok", "per million tokens"),
    ("_gpu_seconds", "GPU-seconds"), ("_tokens", "tokens"), ("_seconds", "seconds"), ("_bytes", "bytes"),
    ("_count", "count"), ("_quantity", "units of the meter"), ("_cost", "currency of the bill"), ("_ratio", "share"),
    ("_percent", "percent"), ("_gib", "GiB"), ("usd", "dollars"),
)  # fmt: skip
_SUMMED = frozenset(
    {"dollars", "tokens", "seconds", "GPU-seconds", "count", "units of the meter", "currency of the bill"}
)


def unit(column: Column) -> str | None:
    """Return what a column counts; None for words and numbers that count nothing, such as a line's number."""
    if column.dtype == pl.Date:
        return "business date" if column.name.endswith("_on") else "date"
    if isinstance(column.dtype, pl.Datetime):
        return "instant, UTC"
    if column.dtype == pl.Boolean:
        return "yes or no"
    if not _is_number(column):
        return None
    return next((unit for suffix, unit in _UNITS if f"_{column.name}".endswith(suffix)), None)


def may_be_summed(column: Column) -> bool:
    """Say whether rows of a column add up: prices, ratios, percentiles and days of a period never do."""
    statistic = (
        column.name.startswith(("p50_", "p95_", "p99_", "expected_", "low_", "high_", "minimum_", "fx_"))
        or column.name.endswith("day_count")
        or "Never summed" in column.comment
    )
    return _is_number(column) and not statistic and unit(column) in _SUMMED


def _is_number(column: Column) -> bool:
    dtype = column.dtype() if isinstance(column.dtype, type) else column.dtype
    return dtype.is_numeric()
