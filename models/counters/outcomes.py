"""Finished tasks of one's own records, one a row: what the sessions that led to them are held against.

Columns: `session_id` (conversation or trace, as the logs name it) and `finished_at`; optional `outcome_id`, `outcome`
(kind of task), `is_success`, `value_usd` and `tenant`. A row that comes again with the same `outcome_id` replaces the
earlier one; without an id the session, kind and instant tell rows apart.
"""

import polars as pl

from models.records import Importer, first_reason, instant, money, text

KIND = "outcomes"
_TEXTS = ("outcome_id", "session_id", "outcome", "tenant")
_YES, _NO = (
    ("true", "1", "yes", "t", "success", "ok"),
    ("false", "0", "no", "f", "failure", "failed", "error"),
)
_SELECT = f"""
SELECT line_number, 1::INTEGER AS record_number, {", ".join(f"{text(name)} AS {name}" for name in _TEXTS)},
       {instant("finished_at")} AS finished_at, lower({text("is_success")}) AS said, {text("value_usd")} AS worth,
       {money("value_usd")} AS value_usd
FROM records
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    said = pl.col("said")
    own_key = pl.concat_str(
        "session_id", pl.col("outcome").fill_null(""), pl.col("finished_at").dt.epoch("us"), separator="|"
    )
    return frame.with_columns(
        *first_reason(
            (pl.col("session_id").is_null(), "missing_request_id", "session_id"),
            (pl.col("finished_at").is_null(), "missing_finished_at", "finished_at"),
            (
                said.is_not_null() & ~said.is_in([*_YES, *_NO]),
                "bad_value",
                "is_success is neither true nor false",
            ),
            (pl.col("worth").is_not_null() & pl.col("value_usd").is_null(), "bad_value", "value_usd"),
        ),
        is_success=pl.when(said.is_in(_NO)).then(statement=False).otherwise(statement=True),
        outcome=pl.coalesce("outcome", pl.lit("task")),
        started_at=pl.col("finished_at"),
        dedupe_key=pl.coalesce(pl.concat_str(pl.lit("id|"), "outcome_id"), own_key),
    )


IMPORTER = Importer(
    kind=KIND,
    table="raw.outcomes",
    columns=dict.fromkeys((*_TEXTS, "finished_at", "is_success", "value_usd"), "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl", "csv", "parquet"),
    signature=(frozenset({"session_id", "finished_at", "outcome"}),),
    rank=92,
    takes_columns=True,
)
