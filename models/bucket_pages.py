"""SQL of what usage and cost APIs answer: pages (`data` holds their buckets) or single buckets, with results."""

from collections.abc import Iterable

from models.json_fields import json_shape

BUCKET_PAGE_FIELDS = ("data", "results")
"""The fields that are read of a record, besides the bounds of a bucket."""


def bucket_results(start: str, end: str, paths: Iterable[str]) -> str:
    """Return the CTEs that end in `resulted`: a row a result, or one where a page or a bucket has none.

    Its columns are `line_number`; `started` and `ended` as texts; `result`, a struct of the paths for `json_field`;
    `is_strange`: neither page nor bucket; `is_broken`: buckets or results are of another shape; `is_empty`: the page
    has no bucket, or the bucket no result.

    Args:
        start: field of a bucket's start.
        end: field of its end.
        paths: JSON paths in a result.
    """
    result = json_shape(paths)
    bucket = f'{{"{start}": "VARCHAR", "{end}": "VARCHAR", "results": [{result}]}}'
    return f"""
parsed AS NOT MATERIALIZED (
  SELECT line_number, data IS NULL AND results IS NULL AS is_strange,
         CASE WHEN data IS NOT NULL THEN TRY(from_json(data, '[{bucket}]'))
              ELSE [{{'{start}': {start}, '{end}': {end},
                      'results': TRY(from_json(results, '[{result}]'))}}] END AS buckets
  FROM records
),
bucketed AS NOT MATERIALIZED (
  SELECT line_number, is_strange, buckets IS NULL AS is_broken, coalesce(len(buckets), 0) = 0 AS is_empty,
         unnest(CASE WHEN len(buckets) > 0 THEN buckets ELSE [NULL] END) AS bucket
  FROM parsed
),
resulted AS NOT MATERIALIZED (
  SELECT line_number, is_strange, is_broken OR (NOT is_empty AND bucket.results IS NULL) AS is_broken,
         coalesce(is_empty OR len(bucket.results) = 0, false) AS is_empty,
         bucket.{start} AS started, bucket.{end} AS ended,
         unnest(CASE WHEN len(bucket.results) > 0 THEN bucket.results ELSE [NULL] END) AS result
  FROM bucketed
)"""
