"""Simple detectors of bursts, to be beaten; their thresholds can be tuned on a fleet without bursts."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import polars as pl

from benchmarks.planted_bursts import BEGINS, DAYS, HOUR, MINUTE, WARM_DAYS, Fleet
from models.cold_starts.alarms import burst_alarms
from models.cold_starts.series import WINDOW_MINUTES, StartSeries, window_counts

BASE = int(BEGINS.timestamp()) * 1_000_000
HISTORY = 28 * 24
FALSE_PER_MONTH = 0.01

Floats = npt.NDArray[np.float64]
Alarms = pl.DataFrame
"""Columns `series, onset_at, ended_at, alarmed_at`: spans of alarms, and when the first was raised."""


def detector(fleet: Fleet, *, warm_days: int = WARM_DAYS) -> Alarms:
    """Return the alarms of models.cold_starts."""
    found = burst_alarms(
        as_series(fleet),
        from_on=BEGINS.date() + timedelta(days=warm_days),
        to_on=BEGINS.date() + timedelta(days=DAYS),
        time_zone="UTC",
        known_from=BEGINS,
    )
    return found.select(
        pl.col("series").cast(pl.Int64), "onset_at", "ended_at", pl.col("ended_at").alias("alarmed_at")
    )


def as_series(fleet: Fleet) -> StartSeries:
    return StartSeries(
        names=pl.DataFrame({"deployment": range(fleet.series_count)}),
        series=fleet.series,
        at=fleet.at,
        counts=window_counts(fleet.series, fleet.at),
        rows=pl.DataFrame(),
    )


def hourly(fleet: Fleet) -> Floats:
    """Return series x hours of counts."""
    hours = DAYS * 24
    key = fleet.series * hours + (fleet.at - BASE) // HOUR
    return np.bincount(key, minlength=fleet.series_count * hours).reshape(-1, hours).astype(np.float64)


def spans(alarmed: npt.NDArray[np.bool_]) -> Alarms:
    """Return alarmed hours after the warm-up as spans; they are raised when the hour is over."""
    series, hour = np.nonzero(alarmed[:, WARM_DAYS * 24 :])
    at = BASE + (hour + WARM_DAYS * 24) * HOUR
    return pl.DataFrame({"series": series, "onset_at": at, "ended_at": at + HOUR, "alarmed_at": at + HOUR})


def standardised(counts: Floats) -> Floats:
    """Return how many standard deviations each hour is above the mean of the 28 days before it."""
    upto = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts, axis=1)], axis=1)
    squares = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts**2, axis=1)], axis=1)
    hour = np.arange(counts.shape[1])
    low, number = np.maximum(hour - HISTORY, 0), np.maximum(np.minimum(hour, HISTORY), 1)
    mean = (upto[:, hour] - upto[:, low]) / number
    spread = (squares[:, hour] - squares[:, low]) / number - mean**2
    return (counts - mean) / np.sqrt(np.maximum(np.maximum(spread, mean), 1.0 / HISTORY))


def fixed_threshold(fleet: Fleet) -> Callable[[float], Alarms]:
    counts = hourly(fleet)
    return lambda limit: spans(counts >= limit)


def z_score(fleet: Fleet) -> Callable[[float], Alarms]:
    score = standardised(hourly(fleet))
    return lambda limit: spans(score >= limit)


def ewma(fleet: Fleet) -> Callable[[float], Alarms]:
    score, weight = standardised(hourly(fleet)), 0.2
    smooth = np.zeros_like(score)
    for hour in range(1, score.shape[1]):
        smooth[:, hour] = weight * score[:, hour] + (1 - weight) * smooth[:, hour - 1]
    smooth /= np.sqrt(weight / (2 - weight))
    return lambda limit: spans(smooth >= limit)


def cusum(fleet: Fleet) -> Callable[[float], Alarms]:
    score = standardised(hourly(fleet))

    def alarms(limit: float) -> Alarms:
        total = np.zeros(len(score))
        alarmed = np.zeros(score.shape, dtype=np.bool_)
        for hour in range(score.shape[1]):
            total = np.maximum(total + score[:, hour] - 0.5, 0.0)
            alarmed[:, hour] = total >= limit
            total[alarmed[:, hour]] = 0.0
        return spans(alarmed)

    return alarms


def plain_scan(fleet: Fleet) -> Callable[[float], Alarms]:
    """Scan the same windows with a negative binomial that is fitted to the hours by its moments, no rhythm."""
    from scipy import special

    counts = hourly(fleet)
    upto = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts, axis=1)], axis=1)
    squares = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts**2, axis=1)], axis=1)
    hour = (fleet.at - BASE) // HOUR
    low, number = np.maximum(hour - HISTORY, 0), np.maximum(np.minimum(hour, HISTORY), 1)
    mean = np.maximum((upto[fleet.series, hour] - upto[fleet.series, low]) / number, 0.5 / HISTORY)
    spread = (squares[fleet.series, hour] - squares[fleet.series, low]) / number - mean**2
    excess = np.maximum(spread - mean, 1e-6)
    width = np.array(WINDOW_MINUTES) / 60.0
    in_window = mean[:, None] * width
    shape = (mean**2 / excess)[:, None]
    seen = window_counts(fleet.series, fleet.at)
    p = np.where(seen >= 3, special.betainc(seen, shape, in_window / (in_window + shape)), 1.0)
    best, least = p.argmin(axis=1), p.min(axis=1)
    size = seen[np.arange(len(seen)), best]

    def alarms(limit: float) -> Alarms:
        rows = np.flatnonzero((-np.log10(np.maximum(least, 1e-300)) >= limit) & (hour >= WARM_DAYS * 24))
        at = fleet.at[rows]
        return pl.DataFrame(
            {
                "series": fleet.series[rows],
                "onset_at": fleet.at[rows - size[rows] + 1],
                "ended_at": at,
                "alarmed_at": at,
            }
        )

    return alarms


def change_points(fleet: Fleet) -> Callable[[float], Alarms]:
    """Alarm where a segment of ruptures' kernel search has a higher mean; it sees the whole series at once."""
    import ruptures

    counts = hourly(fleet)

    def alarms(penalty: float) -> Alarms:
        alarmed = np.zeros(counts.shape, dtype=np.bool_)
        for series, values in enumerate(counts):
            search = ruptures.KernelCPD(kernel="linear", min_size=1).fit(values[:, None])
            edges = [0, *search.predict(pen=penalty)]
            means = [values[low:high].mean() for low, high in pairwise(edges)]
            for place in range(1, len(means)):
                if means[place] > means[place - 1]:
                    alarmed[series, edges[place]] = True
        return spans(alarmed)

    return alarms


@dataclass(frozen=True)
class Rival:
    """A detector with the setting that textbooks give it, and settings to tune it over."""

    name: str
    make: Callable[[Fleet], Callable[[float], Alarms]]
    usual: float
    grid: tuple[float, ...]


RIVALS = (
    Rival("fixed threshold", fixed_threshold, 5, tuple(range(3, 60))),
    Rival("z-score", z_score, 3, tuple(np.arange(3, 60, 0.5))),
    Rival("EWMA", ewma, 3, tuple(np.arange(3, 60, 0.5))),
    Rival("CUSUM", cusum, 5, tuple(np.arange(5, 120, 2.5))),
    Rival("plain scan, negative binomial", plain_scan, 4.854, tuple(np.arange(4, 30, 0.25))),
    Rival(
        "ruptures, kernel change points",
        change_points,
        10,
        (10, 20, 40, 60, 90, 130, 180, 250, 350, 500, 800),
    ),
)


def incidents(alarms: Alarms) -> pl.DataFrame:
    """Merge spans of a series that are ten minutes apart or less."""
    reach = pl.col("ended_at").cum_max().shift(1).over("series")
    return (
        alarms.sort("series", "onset_at", "ended_at")
        .with_columns(
            (reach.is_null() | (pl.col("onset_at") > reach + 10 * MINUTE)).cum_sum().alias("incident")
        )
        .group_by("incident", maintain_order=True)
        .agg(
            pl.col("series").first(),
            pl.col("onset_at").min(),
            pl.col("ended_at").max(),
            pl.col("alarmed_at").min(),
        )
    )


def unplanted(found: pl.DataFrame, fleet: Fleet) -> pl.DataFrame:
    """Keep the incidents that touch no planted burst, with `kind` and whether real traffic was in a rush."""
    planted = pl.DataFrame(
        fleet.planted, schema=["series", "from_at", "to_at", "size", "cause"], orient="row"
    ).select(pl.col("series").cast(pl.Int64), "from_at", "to_at")
    met = found.join(planted, on="series").filter(
        pl.col("onset_at") <= pl.col("to_at") + 10 * MINUTE,
        pl.col("ended_at") >= pl.col("from_at") - 10 * MINUTE,
    )
    rest = found.join(met.select("incident").unique(), on="incident", how="anti")
    in_rush = [
        bool(fleet.rushes[series, (onset - BASE) // (10 * MINUTE) : (end - BASE) // (10 * MINUTE) + 1].any())
        for series, onset, end in rest.select("series", "onset_at", "ended_at").iter_rows()
    ]
    kinds = [fleet.kinds[series] for series in rest["series"]]
    return rest.with_columns(
        pl.Series("in_rush", in_rush, dtype=pl.Boolean), pl.Series("kind", kinds, dtype=pl.String)
    )


def false_per_month(alarms: Alarms, fleet: Fleet) -> float:
    months = fleet.series_count * (DAYS - WARM_DAYS) / 30.4
    return unplanted(incidents(alarms), fleet).filter(~pl.col("in_rush")).height / months


def tuned(rival: Rival, calm: Fleet) -> float:
    """Return the least setting whose false alarms are few enough on a fleet without bursts."""
    alarms = rival.make(calm)
    low, high = 0, len(rival.grid) - 1
    while low < high:
        middle = (low + high) // 2
        if false_per_month(alarms(rival.grid[middle]), calm) <= FALSE_PER_MONTH:
            high = middle
        else:
            low = middle + 1
    return rival.grid[low]


def scored(alarms: Alarms, fleet: Fleet) -> pl.DataFrame:
    """Return the planted bursts with `is_found` and `delay_minutes` from the onset to the first alarm."""
    found = incidents(alarms)
    planted = pl.DataFrame(
        fleet.planted, schema=["series", "from_at", "to_at", "size", "cause"], orient="row"
    ).with_row_index("burst").with_columns(pl.col("series").cast(pl.Int64))  # fmt: skip
    met = (
        planted.join(found, on="series")
        .filter(
            pl.col("onset_at") <= pl.col("to_at") + 10 * MINUTE,
            pl.col("ended_at") >= pl.col("from_at") - 10 * MINUTE,
        )
        .group_by("burst")
        .agg(pl.col("alarmed_at").min())
    )
    kinds = [fleet.kinds[series] for series in planted["series"]]
    return planted.join(met, on="burst", how="left", maintain_order="left").with_columns(
        pl.Series("kind", kinds, dtype=pl.String),
        pl.col("alarmed_at").is_not_null().alias("is_found"),
        ((pl.col("alarmed_at") - pl.col("from_at")) / MINUTE).alias("delay_minutes"),
    )
