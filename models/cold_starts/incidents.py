"""Incidents: alarms that touch are one burst; its size, dollars, who was hurt, and its likely cause."""

import polars as pl

from models.cold_starts.series import SERIES, StartSeries
from models.periods import INSTANT

TOUCH = pl.duration(minutes=10)
"""Windows this near to each other touch."""
HISTORY_IS_SHORT_DAYS = 14


def incidents(alarms: pl.DataFrame, found: StartSeries) -> pl.DataFrame:
    """Merge alarmed windows of a series that touch and sum up the starts between their first and their last.

    Returns:
        One row per incident: `series`, its dimensions and the columns of `mart.cold_start_bursts` but for
        `started_on` and the cures.
    """
    spans = alarms.with_columns(pl.col("onset_at", "ended_at").cast(INSTANT)).sort(
        "series", "onset_at", "ended_at"
    )
    reach = pl.col("ended_at").cum_max().shift(1).over("series")
    merged = (
        spans.with_columns(
            (reach.is_null() | (pl.col("onset_at") > reach + TOUCH)).cum_sum().alias("incident")
        )
        .group_by("incident", maintain_order=True)
        .agg(
            pl.col("series").first(),
            pl.col("onset_at").min(),
            pl.col("ended_at").max(),
            pl.col("p_value").min(),
            pl.col("expected_count").sort_by("p_value").first(),
            pl.col("history_days").first(),
        )
    )  # fmt: skip
    members = found.rows.join(merged, on="series").filter(
        pl.col("requested_at") >= pl.col("onset_at"), pl.col("requested_at") <= pl.col("ended_at")
    )
    facts = (
        members.sort("requested_at", "replica_id")
        .group_by("incident", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("start_count"),
            pl.col("start_usd").drop_nulls().sum().alias("usd"),
            pl.col("start_usd").is_not_null().any().alias("is_priced"),
            (pl.col("outcome") == "failed").sum().cast(pl.Int64).alias("failed_count"),
            pl.col("is_inferred").sum().cast(pl.Int64).alias("inferred_count"),
            pl.col("delayed_request_count").sum(),
            pl.col("abandoned_request_count").fill_null(0).sum(),
            pl.col("added_seconds").sum(),
            pl.col("delayed_users").drop_nulls().explode(empty_as_null=False).n_unique().cast(pl.Int64).alias("delayed_user_count"),
            pl.col("requested_at").alias("asked"),
        )
        .drop("asked")
    )  # fmt: skip
    return (
        merged.join(facts, on="incident")
        .join(_causes(members), on="incident")
        .join(found.names, on="series")
        .with_columns(
            pl.when("is_priced").then("usd").alias("burst_usd"),
            (pl.col("history_days") < HISTORY_IS_SHORT_DAYS).alias("is_history_short"),
            pl.concat_str(
                "deployment", "chip", "region", pl.col("onset_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ"), separator="|"
            ).alias("burst_id"),
        )
        .sort(*SERIES, "onset_at")
    )  # fmt: skip


def _causes(members: pl.DataFrame) -> pl.DataFrame:
    """Return the cause that most starts of each incident have, with how many and one start's evidence."""
    counted = (
        members.with_columns(pl.col("cause").fill_null("unknown"))
        .sort("requested_at", "replica_id")
        .group_by("incident", "cause", maintain_order=True)
        .agg(pl.len().alias("votes"), pl.col("evidence").first().fill_null("no evidence"))
        .with_columns(pl.col("votes").sum().over("incident").alias("all_votes"))
    )
    return (
        counted.with_columns((pl.col("cause") == "unknown").alias("is_unknown"))
        .sort("incident", "is_unknown", "votes", descending=[False, False, True], maintain_order=True)
        .group_by("incident", maintain_order=True)
        .first()
        .select(
            "incident",
            "cause",
            pl.format("{} of {} starts: {}", "votes", "all_votes", "evidence").alias("evidence"),
        )
    )  # fmt: skip
