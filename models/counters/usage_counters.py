"""Generic counts whose columns are those of raw.usage_counters: a gateway's totals, or any other independent count."""

import polars as pl

from models.counters.buckets import COUNTS, KEYS, judged
from models.records import Importer, hashed, instant, text, with_numbers

KIND = "usage_counters"

_TEXTS = ("counter", "provider", *(name for name in KEYS if name != "api_key_id"))
_SELECT = f"""
SELECT line_number, 1::INTEGER AS record_number, {", ".join(f"{text(name)} AS {name}" for name in _TEXTS)},
       {instant("started_at")} AS started_at, {instant("finished_at")} AS finished_at,
       {", ".join(f"{text(name)} AS {name}" for name in COUNTS)},
       {hashed(text("api_key_id"))} AS api_key_id
FROM records
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    has_none = ~pl.any_horizontal(pl.col(name).is_not_null() for name in COUNTS)
    return judged(
        with_numbers(frame.with_columns(counter=pl.coalesce("counter", pl.lit(KIND))), COUNTS),
        (pl.col("provider").is_null(), "missing_provider", "provider"),
        (has_none & pl.col("bad").is_null(), "bad_value", "it counts neither calls nor tokens"),
    )


IMPORTER = Importer(
    kind=KIND,
    table="raw.usage_counters",
    columns=dict.fromkeys((*_TEXTS, "api_key_id", "started_at", "finished_at", *COUNTS), "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl", "csv", "parquet"),
    signature=(frozenset({"started_at", "finished_at", "provider", "request_count"}),),
    rank=91,
    takes_columns=True,
)
