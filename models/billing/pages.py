"""What the cost APIs have in common: pages of buckets of a day, each with amounts per group of keys."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from models.billing.lines import completed
from models.json_fields import json_field
from models.records import Importer, instant, text


@dataclass(frozen=True, kw_only=True)
class CostApi:
    """One provider's cost API.

    Attributes:
        kind: name in nanodollar.toml.
        start, end: fields of a bucket's bounds.
        shape: a result's fields, nested as in the answer.
        fields: name of ours -> path in a result.
        signature: what tells a page or a bucket.
        amend: from the fields as texts to those of a line.
        key: what a line is known by when its day is asked for again.
    """

    kind: str
    start: str
    end: str
    shape: Mapping[str, object]
    fields: Mapping[str, str]
    signature: tuple[frozenset[str], ...]
    amend: Callable[[pl.LazyFrame], pl.LazyFrame]
    key: tuple[str, ...]


def cost_api(api: CostApi) -> Importer:
    """Return the importer of a cost API; a bucket without results bills nothing and is passed over."""
    shape = json.dumps(api.shape)
    bucket = f'{{"{api.start}": "VARCHAR", "{api.end}": "VARCHAR", "results": [{shape}]}}'
    chosen = ", ".join(
        f"{text(json_field('result', f'$.{path}'))} AS {name}" for name, path in api.fields.items()
    )
    select = f"""
WITH parsed AS NOT MATERIALIZED (
  SELECT line_number, data IS NULL AND results IS NULL AS is_strange,
         CASE WHEN data IS NOT NULL THEN TRY(from_json(data, '[{bucket}]'))
              ELSE [{{'{api.start}': {api.start}, '{api.end}': {api.end},
                      'results': TRY(from_json(results, '[{shape}]'))}}] END AS buckets
  FROM records
),
bucketed AS NOT MATERIALIZED (
  SELECT line_number, is_strange, buckets IS NULL AS is_broken,
         unnest(CASE WHEN len(buckets) > 0 THEN buckets ELSE [NULL] END) AS bucket
  FROM parsed
),
resulted AS NOT MATERIALIZED (
  SELECT line_number, is_strange, is_broken, bucket.{api.start} AS started, bucket.{api.end} AS ended,
         unnest(CASE WHEN len(bucket.results) > 0 THEN bucket.results ELSE [NULL] END) AS result
  FROM bucketed
)
SELECT line_number, is_strange, is_broken, result IS NULL AS is_empty,
       {instant("started")} AS charge_period_start, {instant("ended")} AS charge_period_end, {chosen}
FROM resulted
"""

    def canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
        row = pl.int_range(pl.len(), dtype=pl.Int32)
        is_first = (pl.col("line_number") != pl.col("line_number").shift()).fill_null(value=True)
        frame = frame.with_columns(
            record_number=row - pl.when(is_first).then(row).forward_fill() + 1,
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
        columns=dict.fromkeys(("data", api.start, api.end, "results"), "VARCHAR"),
        select=select,
        canonical=canonical,
        formats=("jsonl",),
        signature=api.signature,
        rank=11,
    )
