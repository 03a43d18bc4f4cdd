"""What became of the sample company's conversations, as its own ticket system tells it."""

import polars as pl

_KINDS = {"support": "ticket", "coding": "pull_request"}
"""Route of a conversation -> the task that it leads to."""
_FAILS, _LOST = 7, 40
"""Every so manieth task was not done; every so manieth names a conversation that no log has."""


def day_of_outcomes(calls: pl.DataFrame) -> pl.DataFrame:
    """Return the finished tasks of a day, a minute after the last call of each conversation.

    Args:
        calls: the gateway's attempts: `route, session_id, started_at, tenant`.
    """
    place = pl.int_range(pl.len())
    return (
        calls.filter(pl.col("route").is_in(list(_KINDS)), pl.col("session_id").str.starts_with("s-"))
        .group_by("session_id", maintain_order=True)
        .agg(pl.col("route").first(), pl.col("started_at").max(), pl.col("tenant").first())
        .sort("started_at", "session_id")
        .select(
            outcome_id=pl.format("{}-{}", pl.col("route").replace(_KINDS), "session_id"),
            session_id=pl.when(place % _LOST == _LOST - 1)
            .then(pl.format("lost-{}", "session_id"))
            .otherwise("session_id"),
            outcome=pl.col("route").replace(_KINDS),
            is_success=place % _FAILS != _FAILS - 1,
            finished_at=pl.col("started_at") + pl.duration(minutes=1),
            tenant="tenant",
        )
    )
