"""Incidents: alarms that touch are one burst, with its size, dollars, who was hurt and why it was."""

from datetime import timedelta
from decimal import Decimal

import polars as pl

from models.cold_starts.series import SERIES, StartSeries
from models.periods import business_day_of
from models.schemas.base import INSTANT

TOUCH = timedelta(minutes=10)
"""Windows this near to each other touch."""
HISTORY_IS_SHORT_DAYS = 14
LONGEST = timedelta(hours=24)
"""An incident that has lasted this long ends with the business day; what goes on is the next one."""
FLOOR_USD = Decimal("0.10")
"""Bursts that cost less are not told, unless requests waited or nothing in them has a price."""


def incidents(alarms: pl.DataFrame, found: StartSeries, *, time_zone: str) -> pl.DataFrame:
    """Merge alarmed windows of a series that touch and sum up the starts of each incident.

    Args:
        alarms: as `burst_alarms` returns them.
        found: the starts that they are about.
        time_zone: IANA reporting zone, whose midnights end what lasts too long.

    Returns:
        One row per incident: `incident`, `series`, its dimensions and the columns of `mart.cold_start_bursts` but
        for the cures.
    """
    spans = _spans(_pieces(_chains(alarms), time_zone=time_zone), found.rows)
    members = (
        found.rows.join(spans.select("series", "incident", "onset_at", "ended_at"), on="series")
        .filter(pl.col("requested_at") >= pl.col("onset_at"), pl.col("requested_at") <= pl.col("ended_at"))
        .sort("incident", "requested_at", "replica_id")
    )
    facts = members.group_by("incident", maintain_order=True).agg(
        pl.len().cast(pl.Int64).alias("start_count"),
        (pl.col("outcome") == "failed").sum().cast(pl.Int64).alias("failed_count"),
        pl.col("is_inferred").sum().cast(pl.Int64).alias("inferred_count"),
        pl.col("start_usd").drop_nulls().sum().alias("usd"),
        pl.col("start_usd").is_not_null().any().alias("is_priced"),
        pl.col("delayed_request_count").sum(),
        pl.col("abandoned_request_count").fill_null(0).sum(),
        pl.col("added_seconds").sum(),
        pl.col("delayed_users").drop_nulls().explode(empty_as_null=False).n_unique().cast(pl.Int64).alias("delayed_user_count"),
    )  # fmt: skip
    is_material = ~pl.col("is_priced") | (pl.col("usd") >= FLOOR_USD) | (pl.col("delayed_request_count") > 0)
    stamp = pl.col("onset_at").dt.strftime("%Y-%m-%dT%H:%M:%S%.fZ")
    return (
        spans.join(facts, on="incident")
        .filter(is_material)
        .join(_causes(members), on="incident")
        .join(found.names, on="series")
        .with_columns(
            business_day_of(pl.col("onset_at"), time_zone=time_zone).alias("started_on"),
            pl.when("is_priced").then("usd").alias("burst_usd"),
            (pl.col("history_days") < HISTORY_IS_SHORT_DAYS).alias("is_history_short"),
            pl.concat_str("deployment", "chip", "region", stamp, separator="|").alias("burst_id"),
        )
        .sort(*SERIES, "onset_at")
    )


def _chains(alarms: pl.DataFrame) -> pl.DataFrame:
    """Number the runs of windows that touch (`chain`), with the onset of the first."""
    spans = alarms.with_columns(pl.col("onset_at", "ended_at").cast(INSTANT)).sort(
        "series", "onset_at", "ended_at"
    )
    reach = pl.col("ended_at").cum_max().shift(1).over("series")
    is_new = reach.is_null() | (pl.col("onset_at") > reach + TOUCH)
    return spans.with_columns(is_new.cum_sum().alias("chain")).with_columns(
        pl.col("onset_at").min().over("chain").alias("chain_from")
    )


def _pieces(chains: pl.DataFrame, *, time_zone: str) -> pl.DataFrame:
    """Cut chains that last too long at business midnights: `piece`, and the instants within which it lies."""
    last = business_day_of(pl.col("chain_from") + LONGEST - timedelta(microseconds=1), time_zone=time_zone)
    day = business_day_of(pl.col("ended_at"), time_zone=time_zone)
    cut = chains.with_columns(pl.when(day > last).then(day).alias("day"))
    midnight = pl.col("day").cast(pl.Datetime("us")).dt.replace_time_zone(time_zone, ambiguous="earliest")
    from_at = pl.max_horizontal("onset_at", midnight.dt.convert_time_zone("UTC"))
    keys = cut.select("chain", "day").unique().sort("chain", "day").with_row_index("piece")
    within = cut.with_columns(from_at.alias("onset_at"))
    return within.join(keys, on=["chain", "day"], nulls_equal=True).drop("chain", "day")


def _spans(windows: pl.DataFrame, starts: pl.DataFrame) -> pl.DataFrame:
    """Return the span of each incident: where its starts are densest against the baseline.

    The rarest window of a piece moves its onset and its end to where Kulldorff's likelihood ratio is largest, so
    that a lone start an hour later is no part of it. Windows outside of the span are another incident.
    """
    found: list[pl.DataFrame] = [windows.clear()]
    left = windows
    while not left.is_empty():
        rarest = (
            left.sort("piece", "p_value", "ended_at", "onset_at")
            .group_by("piece", maintain_order=True)
            .first()
        )
        reach = left.group_by("piece").agg(
            pl.col("onset_at").min().alias("from_at"), pl.col("ended_at").max().alias("to_at")
        )
        near = (
            starts.select("series", "requested_at")
            .join(rarest.join(reach, on="piece"), on="series")
            .filter(pl.col("requested_at") >= pl.col("from_at"), pl.col("requested_at") <= pl.col("to_at"))
            .sort("piece", "requested_at")
        )
        for _ in range(2):
            near = _moved(_moved(near, "onset_at"), "ended_at")
        span = near.group_by("piece", maintain_order=True).first().select(windows.columns)
        found.append(span)
        edges = span.select("piece", span_from="onset_at", span_to="ended_at")
        is_later = pl.col("onset_at") > pl.col("span_to")
        left = (
            left.join(edges, on="piece")
            .filter(is_later | (pl.col("ended_at") < pl.col("span_from")))
            .with_columns((pl.col("piece") * 2 + is_later).rank("dense").alias("piece"))
            .select(windows.columns)
        )
    return pl.concat(found).sort("series", "onset_at").drop("piece").with_row_index("incident")


def _moved(near: pl.DataFrame, side: str) -> pl.DataFrame:
    """Move one side of each piece's span to the start that makes n log(n / expected) - (n - expected) largest."""
    at = pl.col("requested_at")
    is_onset = side == "onset_at"
    inside = near.filter(at <= pl.col("ended_at") if is_onset else at >= pl.col("onset_at"))
    length = (pl.col("ended_at") - at) if is_onset else (at - pl.col("onset_at"))
    count = at.cum_count(reverse=is_onset).over("piece").cast(pl.Float64)
    hours = pl.max_horizontal(length.dt.total_microseconds(), 60_000_000) / 3.6e9
    expected = pl.max_horizontal(pl.col("rate") * hours, 1e-9)
    ratio = (
        pl.when(count > expected).then(count * (count / expected).log() - (count - expected)).otherwise(0.0)
    )
    best = (
        inside.with_columns(ratio.alias("ratio"))
        .sort("piece", "ratio", "requested_at", descending=[False, True, is_onset is False])
        .group_by("piece", maintain_order=True)
        .agg(pl.col("requested_at").first().alias("moved_to"))
    )
    return near.join(best, on="piece").with_columns(pl.col("moved_to").alias(side)).drop("moved_to")


def _causes(members: pl.DataFrame) -> pl.DataFrame:
    """Return the cause that most starts of each incident have, with how many and the first one's evidence."""
    votes = (
        members.with_columns(pl.col("cause").fill_null("unknown"))
        .group_by("incident", "cause", maintain_order=True)
        .agg(pl.len().alias("votes"), pl.col("evidence").first().fill_null("no evidence"))
        .with_columns(pl.col("votes").sum().over("incident").alias("all_votes"))
        .with_columns((pl.col("cause") == "unknown").alias("is_unknown"))
    )
    return (
        votes.sort("incident", "is_unknown", "votes", descending=[False, False, True], maintain_order=True)
        .group_by("incident", maintain_order=True)
        .first()
        .select(
            "incident",
            "cause",
            pl.format("{} of {} starts: {}", "votes", "all_votes", "evidence").alias("evidence"),
        )
    )
