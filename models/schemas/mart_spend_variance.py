import polars as pl

from models.money import USD
from models.schemas.base import Column, Table

VARIANCE_CAUSES = {
    "volume": "more or fewer tokens, or units of another meter",
    "mix": "other models, providers, regions, tiers and chips, and another share of output",
    "rate": "another price for the same tokens; of GPUs another use of the time that served",
    "cache": "another share of input that was read from or written to caches",
    "new": "models, places and meters that the earlier month has not",
    "idle": "GPU time that waited",
    "cold_start": "GPU time of cold starts",
    "commitment": "committed GPUs that no replica used",
    "other": "draining, failed and unheld GPUs, the vendor's rounding, overhead, and usage without a quantity",
    "correction": "corrections of closed months that are booked in the month",
    "currency": "other exchange rates, of prices and of bills",
    "bill": "fees, taxes, credits and other true-ups of bills",
}
"""What parts the spend of two months, in the order of a bridge."""

TABLE = Table(
    schema="mart",
    name="spend_variance",
    grain="One row per month x earlier month x cell x cause: the bridge from one month's spend to another's",
    columns=(
        Column(name="month_on", dtype=pl.Date, comment="First business day of the later month; the partition", required=True),
        Column(name="against_on", dtype=pl.Date, comment="First business day of the earlier month: the month before, or a year before", required=True),
        Column(name="cause", dtype=pl.String, comment="Why the spend differs", required=True, one_of=tuple(VARIANCE_CAUSES)),
        Column(name="provider", dtype=pl.String, comment="Who bills it; NULL: not known"),
        Column(name="model", dtype=pl.String, comment="Model; NULL: none, or not known"),
        Column(name="region", dtype=pl.String, comment="Where it ran; NULL: not known"),
        Column(name="service_tier", dtype=pl.String, comment="Served tier; NULL: none"),
        Column(name="chip", dtype=pl.String, comment="Accelerator of a pool; NULL: tokens"),
        Column(name="meter", dtype=pl.String, comment="Meter that is not tokens; NULL: tokens, or no usage"),
        Column(name="difference_usd", dtype=USD, comment="Dollars of the later month less those of the earlier; the rows of a pair sum to the difference of their bills exactly", required=True),
        Column(name="earlier_usd", dtype=USD, comment="What the earlier month has of it; of usage on the row of volume or new, so that it is summed once", required=True),
        Column(name="later_usd", dtype=USD, comment="What the later month has of it, on the same row", required=True),
        Column(name="earlier_tokens", dtype=pl.Int64, comment="Priced tokens of the earlier month, on the same row; NULL: no usage"),
        Column(name="later_tokens", dtype=pl.Int64, comment="Priced tokens of the later month, on the same row"),
    ),
    key=("month_on", "against_on", "cause", "provider", "model", "region", "service_tier", "chip", "meter"),
    partition="month_on",
    overlaps="A month stands once against each earlier one: filter by against_on; earlier_* and later_* stand in the rows of every cause.",
)  # fmt: skip
