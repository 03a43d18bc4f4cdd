"""What the usage APIs have in common: pages of buckets of time, each with counts per group of keys.

A record is a page (`data` holds its buckets) or a bucket. A bucket without results counts nothing and is passed over.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import polars as pl

from models.bucket_pages import BUCKET_PAGE_FIELDS, bucket_results
from models.json_fields import json_field
from models.records import Importer, first_reason, hashed, instant, record_number, text, with_numbers

KEYS = ("model", "service_tier", "project", "user_id", "api_key_id")
INPUT_PARTS = (
    "input_uncached_tokens",
    "cache_read_tokens",
    "cache_write_5m_tokens",
    "cache_write_1h_tokens",
)
COUNTS = ("request_count", "input_tokens", *INPUT_PARTS, "output_tokens")
DAY_SECONDS, HOUR_SECONDS = 86_400, 3_600


@dataclass(frozen=True, kw_only=True)
class UsageApi:
    """One provider's usage API.

    Attributes:
        kind: name in nanodollar.toml.
        provider: whose usage it counts.
        start: field of a bucket's start.
        end: field of its end.
        fields: name of ours -> path in a result; `counter`, keys, counts, and what `amend` asks for.
        signature: what tells a page or a bucket.
        further: names of ours in `fields` that tell counts apart beside KEYS.
        amend: a last word on the fields, as texts and whole numbers, before they are judged.
    """

    kind: str
    provider: str
    start: str
    end: str
    fields: Mapping[str, str]
    signature: tuple[frozenset[str], ...]
    further: tuple[str, ...] = ()
    amend: Callable[[pl.LazyFrame], pl.LazyFrame] = lambda frame: frame


def usage_api(api: UsageApi) -> Importer:
    """Return the importer of a usage API."""
    chosen = ", ".join(
        f"{text(json_field('result', f'$.{path}'))} AS {name}"
        for name, path in api.fields.items()
        if name != "api_key_id"
    )
    key = text(json_field("result", f"$.{api.fields['api_key_id']}"))
    select = f"""
WITH {bucket_results(api.start, api.end, api.fields.values())}
SELECT line_number, is_strange, is_broken, is_empty,
       {instant("started")} AS started_at, {instant("ended")} AS finished_at, {chosen},
       {hashed(key)} AS api_key_id
FROM resulted
"""

    def canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
        names = set(frame.collect_schema().names())
        numbers = [name for name in api.fields if name in COUNTS]
        missing = [
            pl.lit(None, dtype=pl.Int64 if name in COUNTS else pl.String).alias(name)
            for name in (*KEYS, *COUNTS)
            if name not in names
        ]
        frame = frame.with_columns(*missing, provider=pl.lit(api.provider))
        frame = frame.with_columns(record_number=record_number())
        frame = api.amend(with_numbers(frame, numbers))
        has_counts = pl.any_horizontal(pl.col(name).is_not_null() for name in COUNTS)
        is_whole = ~pl.col("is_strange") & ~pl.col("is_broken")
        is_ignored = is_whole & (pl.col("is_empty") | (~has_counts & pl.col("bad").is_null()))
        return judged(
            frame.with_columns(is_ignored=is_ignored),
            (pl.col("is_strange"), "unknown_shape", "it is no page and no bucket of usage"),
            (pl.col("is_broken"), "wrong_shape", "results"),
            further=api.further,
        )

    return Importer(
        kind=api.kind,
        table="raw.usage_counters",
        columns=dict.fromkeys((*BUCKET_PAGE_FIELDS, api.start, api.end), "VARCHAR"),
        select=select,
        canonical=canonical,
        formats=("jsonl",),
        signature=api.signature,
        rank=12,
    )


def judged(
    frame: pl.LazyFrame, *cases: tuple[pl.Expr, str, str], further: tuple[str, ...] = ()
) -> pl.LazyFrame:
    """Say what is wrong with each counted bucket, and what it is known by.

    Args:
        frame: rows with `started_at`, `finished_at`, `counter`, `provider`, keys, counts and `bad`.
        cases: what else may be wrong, with reason and detail; it comes first.
        further: columns of texts that tell counts apart beside KEYS, such as a context window.
    """
    seconds = (pl.col("finished_at") - pl.col("started_at")).dt.total_seconds()
    within = pl.col("started_at").dt.truncate("1h") == (
        pl.col("finished_at") - pl.duration(microseconds=1)
    ).dt.truncate("1h")
    is_day = (seconds == DAY_SECONDS) & (pl.col("started_at") == pl.col("started_at").dt.truncate("1d"))
    parts = pl.sum_horizontal(*INPUT_PARTS, ignore_nulls=False)
    counts = [pl.col(name) for name in COUNTS]
    grouped = pl.concat_str(
        (
            pl.when(
                pl.col(name).is_not_null().any().over("line_number", "counter", "started_at", "finished_at")
            ).then(pl.lit(name))
            for name in (*KEYS, *further)
        ),
        separator=",",
        ignore_nulls=True,
    )
    # What most formats lack leaves the keys of theirs as they are.
    more = [
        pl.when(pl.col(name).is_not_null()).then(pl.concat_str(pl.lit(f"{name}="), name)) for name in further
    ]
    key = [pl.col(name).fill_null("") for name in ("counter", "provider", *KEYS)]
    span = [pl.col(name).dt.epoch("us").cast(pl.String) for name in ("started_at", "finished_at")]
    frame = frame.with_columns(
        dedupe_key=pl.concat_str(
            [pl.concat_str([*span, *key], separator="|"), *more], separator="|", ignore_nulls=True
        )
    )
    # Equal keys in one answer are groups of a key that is not known here.
    place = pl.int_range(pl.len()).over("line_number", "dedupe_key")
    return frame.with_columns(
        *first_reason(
            *cases,
            (pl.col("started_at").is_null(), "missing_started_at", "start of the bucket"),
            (pl.col("finished_at").is_null(), "missing_finished_at", "end of the bucket"),
            (
                ~((within & (seconds > 0)) | is_day).fill_null(value=False),
                "bad_value",
                "the bucket is neither within an hour nor a UTC day",
            ),
            (pl.col("bad").is_not_null(), "bad_value", pl.col("bad")),
            (
                pl.any_horizontal((count < 0).fill_null(value=False) for count in counts),
                "negative_tokens",
                "a count is below zero",
            ),
            (
                (parts != pl.col("input_tokens")).fill_null(value=False),
                "tokens_do_not_add_up",
                "input_tokens",
            ),
        ),
        grouped_by=pl.when(grouped != "").then(grouped),
        dedupe_key=pl.when(place == 0)
        .then("dedupe_key")
        .otherwise(pl.concat_str("dedupe_key", pl.lit("#"), place + 1)),
    )
