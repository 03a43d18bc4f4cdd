import polars as pl

from models.money import USD
from models.schemas.base import INSTANT, Column, Table

_WORDS = pl.List(pl.String)

TABLE = Table(
    schema="ref",
    name="routing_policy",
    grain="One row per policy clause: what a route may use for a class of work, and when the clause holds",
    columns=(
        Column(
            name="policy_version", dtype=pl.String, comment="Content hash of the policy file", required=True
        ),
        Column(
            name="clause",
            dtype=pl.String,
            comment="Path of the clause in the file, such as routes.support.task_classes.simple",
            required=True,
        ),
        Column(name="route", dtype=pl.String, comment="Route; NULL = every route"),
        Column(name="task_class", dtype=pl.String, comment="Class of work; NULL = every class"),
        Column(name="models", dtype=_WORDS, comment="Eligible model families; NULL = any"),
        Column(name="providers", dtype=_WORDS, comment="Eligible providers; NULL = any"),
        Column(name="regions", dtype=_WORDS, comment="Eligible regions; NULL = any"),
        Column(name="chips", dtype=_WORDS, comment="Eligible chips; NULL = any"),
        Column(name="quality_floor", dtype=pl.Float64, comment="Least quality score; NULL = none"),
        Column(
            name="tenant",
            dtype=pl.String,
            comment="Tenant whose rights the clause states; NULL for a clause of routes",
        ),
        Column(name="routes", dtype=_WORDS, comment="Routes that the tenant may call; NULL = any"),
        Column(
            name="latency_target_seconds",
            dtype=pl.Float64,
            comment="Seconds within which an answer is fast enough; NULL = any measured gain in latency counts",
        ),
        Column(
            name="has_cache_affinity",
            dtype=pl.Boolean,
            comment="Whether a call should stay where its prefix is cached; NULL = yes",
        ),
        Column(
            name="materiality_usd",
            dtype=USD,
            comment="Price mistakes with less regret are counted, not listed; NULL = 0",
        ),
        Column(
            name="warn_above_usd",
            dtype=USD,
            comment="The check warns above this regret of a route and day; NULL = its default",
        ),
        Column(
            name="fail_above_usd",
            dtype=USD,
            comment="The check fails above this regret of a route and day; NULL = never",
        ),
        Column(
            name="fail_above_ratio",
            dtype=pl.Float64,
            comment="The check fails above this share of the spend of a route and day; NULL = its default",
        ),
        Column(name="valid_from", dtype=INSTANT, comment="Clause holds from this instant", required=True),
        Column(name="valid_to", dtype=INSTANT, comment="Clause holds before this instant; NULL = open"),
        Column(name="known_from", dtype=INSTANT, comment="Clause was known from this instant", required=True),
        Column(name="policy_line", dtype=pl.Int64, comment="Line of the clause in the file"),
    ),
    key=("clause", "valid_from", "known_from"),
)
