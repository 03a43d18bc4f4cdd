import polars as pl

from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import FIRST_READ_AT, SOURCE, SOURCE_KIND
from models.schemas.vocabulary import place_columns

TABLE = Table(
    schema="raw",
    name="usage_counters",
    grain="One row per usable count of a landed file: of a bucket of time, or a running counter as it was read",
    columns=(
        SOURCE,
        SOURCE_KIND,
        Column(
            name="started_at",
            dtype=INSTANT,
            comment="Start of the bucket; of a running counter, when it was read",
            required=True,
        ),
        Column(
            name="finished_at", dtype=INSTANT, comment="End of the bucket, exclusive; NULL: running counter"
        ),
        Column(
            name="series",
            dtype=pl.String,
            comment="Hash of a running counter's name and labels; NULL for a bucket",
        ),
        Column(
            name="engine",
            dtype=pl.String,
            comment="Hash of the labels that name a running counter's engine; NULL for a bucket",
        ),
        Column(
            name="replica_id",
            dtype=pl.String,
            comment="Replica that the engine runs on, as labelled; NULL: not labelled",
        ),
        Column(name="counter", dtype=pl.String, comment="Endpoint or metric that counted", required=True),
        Column(
            name="grouped_by",
            dtype=pl.String,
            comment="Keys that the bucket was asked to be split by, as far as it shows; NULL: none",
        ),
        Column(name="provider", dtype=pl.String, comment="Who ran it", required=True),
        Column(name="model", dtype=pl.String, comment="Model as the counter names it; NULL: all models"),
        Column(name="service_tier", dtype=pl.String, comment="Served tier; NULL: all tiers"),
        Column(name="project", dtype=pl.String, comment="Project or workspace; NULL: not given"),
        Column(name="user_id", dtype=pl.String, comment="User or account; NULL: not given"),
        Column(name="api_key_id", dtype=pl.String, comment="Keyed hash of the API key's id; NULL: not given"),
        Column(name="request_count", dtype=pl.Int64, comment="Calls; NULL: not counted", at_least=0),
        Column(
            name="input_tokens",
            dtype=pl.Int64,
            comment="Input of all classes; the next columns are parts of it",
            at_least=0,
        ),
        Column(
            name="input_uncached_tokens",
            dtype=pl.Int64,
            comment="Input neither read from nor written to a cache, any modality",
            at_least=0,
        ),
        Column(name="cache_read_tokens", dtype=pl.Int64, comment="Input read from a cache", at_least=0),
        Column(
            name="cache_write_5m_tokens",
            dtype=pl.Int64,
            comment="Input written for 5 minutes, or with no stated lifetime",
            at_least=0,
        ),
        Column(name="cache_write_1h_tokens", dtype=pl.Int64, comment="Input written for 1 hour", at_least=0),
        Column(
            name="output_tokens",
            dtype=pl.Int64,
            comment="Output of all classes, reasoning included",
            at_least=0,
        ),
        Column(
            name="running_count",
            dtype=pl.Int64,
            comment="Requests that the engine was working on when it was read; NULL: the row counts something else",
            at_least=0,
        ),
        FIRST_READ_AT,
        *place_columns("1-based count in that line"),
        Column(
            name="dedupe_key",
            dtype=pl.String,
            comment="What was counted: counter, time and every key. Of equal ones the latest counts",
            required=True,
        ),
    ),
    key=("file_hash", "line_number", "record_number"),
)
