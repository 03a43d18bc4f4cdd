"""What the cost APIs have in common: pages of buckets of a day, each with amounts per group of keys."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from models.billing.lines import completed
from models.bucket_pages import BUCKET_PAGE_FIELDS, bucket_results
from models.json_fields import json_field
from models.records import Importer, instant, record_number, text


@dataclass(frozen=True, kw_only=True)
class CostApi:
    """One provider's cost API.

    Attributes:
        kind: name in nanodollar.toml.
        start, end: fields of a bucket's bounds.
        fields: name of ours -> path in a result.
        signature: what tells a page or a bucket.
        amend: from the fields as texts to those of a line.
        key: what a line is known by when its day is asked for again.
    """

    kind: str
    start: str
    end: str
    fields: Mapping[str, str]
    signature: tuple[frozenset[str], ...]
    amend: Callable[[pl.LazyFrame], pl.LazyFrame]
    key: tuple[str, ...]


def cost_api(api: CostApi) -> Importer:
    """Return the importer of a cost API; a bucket without results bills nothing and is passed over."""
    chosen = ", ".join(
        f"{text(json_field('result', f'$.{path}'))} AS {name}" for name, path in api.fields.items()
    )
    select = f"""
WITH {bucket_results(api.start, api.end, api.fields.values())}
SELECT line_number, is_strange, is_broken, is_empty,
       {instant("started")} AS charge_period_start, {instant("ended")} AS charge_period_end, {chosen}
FROM resulted
"""

    def canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
        frame = frame.with_columns(
            record_number=record_number(),
            is_ignored=pl.col("is_empty") & ~pl.col("is_strange") & ~pl.col("is_broken"),
        )
        return completed(
            api.amend(frame),
            key=("charge_period_start", *api.key),
            cases=(
                (pl.col("is_strange"), "unknown_shape", "it is no page and no bucket of costs"),
                (pl.col("is_broken"), "wrong_shape", "results"),
            ),
        )

    return Importer(
        kind=api.kind,
        table="raw.invoice_lines",
        columns=dict.fromkeys((*BUCKET_PAGE_FIELDS, api.start, api.end), "VARCHAR"),
        select=select,
        canonical=canonical,
        formats=("jsonl",),
        signature=api.signature,
        rank=11,
    )
