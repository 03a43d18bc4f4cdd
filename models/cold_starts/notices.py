"""What to tell people of bursts while they happen: a sentence each, and none twice."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import polars as pl

QUIET = timedelta(hours=2)
"""A burst that begins this soon after the last one that was told of the series goes on with it."""
_HOUR = 3600
_MINUTE = 60


@dataclass(frozen=True, kw_only=True)
class Notice:
    """A burst to tell of: the series it belongs to, its end so far, and the sentence."""

    series: str
    ended_at: datetime
    text: str


def burst_notices(bursts: pl.DataFrame, told: Mapping[str, datetime]) -> list[Notice]:
    """Return what is new in `mart.cold_start_bursts` of the open hour.

    Args:
        bursts: rows of the table, finished or not.
        told: by series, the end of the last burst that was told; store the `ended_at` of what is returned there.
    """
    notices: dict[str, Notice] = {}
    for burst in bursts.sort("onset_at").iter_rows(named=True):
        series = f"{burst['provider']}|{burst['region']}|{burst['chip']}|{burst['deployment']}"
        last = notices[series].ended_at if series in notices else told.get(series)
        if last is None or burst["onset_at"] > last + QUIET:
            notices[series] = Notice(series=series, ended_at=burst["ended_at"], text=_sentence(burst))
    return list(notices.values())


def _sentence(burst: dict[str, Any]) -> str:
    length = _duration((burst["ended_at"] - burst["onset_at"]).total_seconds())
    cost = "not priced" if burst["burst_usd"] is None else f"${burst['burst_usd']:,.2f}"
    started = (
        f"{burst['deployment']} on {burst['chip']} in {burst['region']} started {burst['start_count']} replicas "
        f"in {length} from {burst['onset_at']:%Y-%m-%d %H:%M} UTC, {burst['expected_count']:.2g} expected"
    )
    parts = [started, f"{burst['cause'].replace('_', ' ')} ({burst['evidence']})", cost]
    if burst["delayed_request_count"]:
        parts.append(
            f"{burst['delayed_request_count']:,} requests waited {_duration(burst['added_seconds'])} in all"
        )
    if burst["cure_replica_count"] is not None and burst["cure_usd_per_day"] is not None:
        parts.append(
            f"{burst['cure_replica_count']} more warm replicas at ${burst['cure_usd_per_day']:,.2f} a day would have "
            "absorbed it"
        )
    return "; ".join(parts) + "."


def _duration(seconds: float) -> str:
    if seconds >= _HOUR:
        return f"{seconds / _HOUR:.1f} h"
    return f"{seconds / _MINUTE:.0f} min" if seconds >= _MINUTE else f"{seconds:.0f} s"
