"""Fleets of cold starts of known rate, with bursts planted in them: sizes, causes, and baselines simulated or real.

The real-shaped baselines are Poisson starts whose rate follows the request rates of production: ServeGen (Alibaba
Cloud Model Studio, per client in windows of ten minutes over 14 days, with the variation of gaps), Azure Functions
2019 (invocations a minute over a day) and 2021 (gaps between invocations). Start costs follow the durations of
Huawei's cold starts. Where these files are absent, the simulated baselines remain.
"""

import csv
import gzip
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
BEGINS = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = 3_600_000_000
MINUTE = 60_000_000
DAYS = 90
WARM_DAYS = 28
SIZES = (3, 5, 8, 12, 20)
CAUSES = ("deploy", "scale_from_zero", "traffic_spike", "crash_loop", "preemption", "node_loss")
SIMULATED = ("steady", "weekly", "over-dispersed", "grouped", "near zero", "drifting")
RUSH = 5.0
REAL = ("ServeGen", "Azure 2019", "Azure 2021")

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fleet:
    """Starts in order of series and time, and the bursts that were planted.

    Attributes:
        series, at: of each start; microseconds since 1970.
        kinds: of each series.
        planted: series, onset, end (us), size and cause of each planted burst.
        rushes: series x ten-minute windows: whether real traffic came at five times its mean rate or more.
    """

    series: Ints
    at: Ints
    kinds: list[str]
    planted: list[tuple[int, int, int, int, str]]
    rushes: npt.NDArray[np.bool_]

    @property
    def series_count(self) -> int:
        return len(self.kinds)

    def first(self, count: int) -> "Fleet":
        """Return the first series of each kind."""
        seen: dict[str, int] = {}
        number = np.full(self.series_count, -1)
        for series, kind in enumerate(self.kinds):
            seen[kind] = seen.get(kind, 0) + 1
            if seen[kind] <= count:
                number[series] = number.max() + 1
        kept = number[self.series] >= 0
        return Fleet(
            number[self.series[kept]],
            self.at[kept],
            [kind for series, kind in enumerate(self.kinds) if number[series] >= 0],
            [(int(number[item[0]]), *item[1:]) for item in self.planted if number[item[0]] >= 0],
            self.rushes[number >= 0],
        )


def kinds() -> tuple[str, ...]:
    """Return the baselines that can be made here."""
    return SIMULATED + (REAL if DATA.exists() else ())


def fleet(*, series_per_kind: int, seed: int, is_planted: bool, days: int = DAYS) -> Fleet:
    """Make a fleet of all kinds together, as a fleet is."""
    rng = np.random.default_rng(seed)
    names = kinds()
    base = int(BEGINS.timestamp()) * 1_000_000
    parts: list[tuple[Ints, Ints]] = []
    rushes = np.zeros((len(names) * series_per_kind, days * 144), dtype=np.bool_)
    planted: list[tuple[int, int, int, int, str]] = []
    for number, kind in enumerate(names):
        series, at, shapes = _starts(kind, series_per_kind, days, rng)
        if shapes is not None:
            rushes[number * series_per_kind : (number + 1) * series_per_kind] = shapes >= RUSH
        parts.append((series + number * series_per_kind, at + base))
    if is_planted:
        for series in range(len(names) * series_per_kind):
            for month in range((days - WARM_DAYS) // 30):
                onset = base + (WARM_DAYS + 30 * month) * 24 * HOUR + int(rng.integers(0, 28 * 24 * HOUR))
                size, cause = int(rng.choice(SIZES)), str(rng.choice(CAUSES))
                at = onset + _burst(cause, size, rng)
                parts.append((np.full(size, series), at))
                planted.append((series, int(at.min()), int(at.max()), size, cause))
    series, at = (np.concatenate([part[side] for part in parts]) for side in range(2))
    kept = at < base + days * 24 * HOUR
    order = np.lexsort((at[kept], series[kept]))
    of_series = [kind for kind in names for _ in range(series_per_kind)]
    return Fleet(series[kept][order], at[kept][order], of_series, planted, rushes)


def _burst(cause: str, size: int, rng: np.random.Generator) -> Ints:
    """Return when the starts of a burst are asked for, after its onset."""
    turn = np.arange(size)
    seconds = {
        # All replicas within a minute; again after ten minutes if there are many.
        "deploy": turn // 10 * 600 + rng.uniform(0, 60, size),
        # One replica, again and again: it loads for minutes, idles and is stopped.
        "scale_from_zero": np.cumsum(rng.uniform(180, 420, size)),
        "traffic_spike": rng.uniform(0, 600, size),
        # Doubling pauses of ten seconds to five minutes.
        "crash_loop": np.cumsum(np.minimum(10.0 * 2.0**turn, 300) + rng.uniform(0, 20, size)),
        # Waves of a few at a time.
        "preemption": turn // 3 * 480 + rng.uniform(0, 90, size),
        "node_loss": rng.uniform(0, 20, size),
    }[cause]
    return (seconds * 1e6).astype(np.int64)


def _starts(kind: str, count: int, days: int, rng: np.random.Generator) -> tuple[Ints, Ints, Floats | None]:
    rate = np.exp(rng.uniform(np.log(0.02), np.log(1.0), count))[:, None]
    if kind in REAL:
        shapes = _shapes(kind, count, days, rng)
        return *_thinned(shapes, rate[:, 0], rng), shapes
    hours = np.ones((count, days * 24))
    if kind in ("weekly", "over-dispersed", "grouped", "drifting"):
        hours = _rhythm(count, days, rng)
    if kind == "over-dispersed":
        hours = hours * rng.gamma(1.0, 1.0, hours.shape)
    if kind == "grouped":
        rate = rate / 2
    if kind == "near zero":
        rate = np.exp(rng.uniform(np.log(0.0005), np.log(0.01), count))[:, None]
    if kind == "drifting":
        walk = np.cumsum(rng.normal(0, 0.12, (count, days)), axis=1)
        walk += np.linspace(0, 1, days) * rng.normal(0, 1, (count, 1))
        hours = hours * np.repeat(np.exp(walk - walk.mean(axis=1, keepdims=True)), 24, axis=1)
    counts = rng.poisson(rate * hours)
    series, hour = np.nonzero(counts)
    repeats = counts[series, hour]
    series, hour = np.repeat(series, repeats), np.repeat(hour, repeats)
    at = hour * HOUR + rng.integers(0, HOUR, len(hour))
    if kind == "grouped":
        group = 1 + rng.poisson(1.0, len(series))
        series, at = np.repeat(series, group), np.repeat(at, group) + rng.integers(0, 90_000_000, group.sum())
    return series, at, None


def _rhythm(count: int, days: int, rng: np.random.Generator) -> Floats:
    hour = np.arange(days * 24)
    depth, peak = rng.uniform(0.5, 0.95, (count, 1)), rng.choice([6, 14, 22], (count, 1))
    hours = 1 + depth * np.sin((hour % 24 - peak) / 24 * 2 * np.pi)
    hours = hours * np.where((hour // 24) % 7 >= 5, rng.uniform(0.1, 0.6, (count, 1)), 1.0)
    return hours / hours.mean(axis=1, keepdims=True)


def _shapes(kind: str, count: int, days: int, rng: np.random.Generator) -> Floats:
    """Return series x ten-minute windows of relative rates, as production had them."""
    windows = days * 144
    if kind == "ServeGen":
        rates, variation = _servegen()
        pick = rng.integers(0, len(rates), count)
        repeat = -(-windows // rates.shape[1])
        whole = np.tile(rates[pick], (1, repeat))[:, :windows]
        cv = np.tile(variation[pick], (1, repeat))[:, :windows]
        # A start follows a run of requests: gaps that vary more than Poisson's make busier and quieter windows.
        shapes = whole * rng.gamma(1.0 / np.maximum(cv - 1.0, 0.05), np.maximum(cv - 1.0, 0.05))
    elif kind == "Azure 2019":
        with (DATA / "azure-functions-2019" / "invocations.csv").open(encoding="utf-8") as file:
            minutes = np.array([[float(cell) for cell in row[4:]] for row in list(csv.reader(file))[1:]])
        of_day = minutes.reshape(len(minutes), 144, 10).sum(axis=2) + 1.0
        rows = of_day[rng.integers(0, len(of_day), count)]
        shift = rng.integers(0, 144, count)
        rolled = np.stack([np.roll(row, by) for row, by in zip(rows, shift, strict=True)])
        shapes = np.tile(rolled, (1, days))
    else:
        with (DATA / "azure-functions-2021" / "Azure2021_200.csv").open(encoding="utf-8") as file:
            ends = np.sort(
                [float(row["end_timestamp"]) - float(row["duration"]) for row in csv.DictReader(file)]
            )
        gaps = np.diff(ends)
        gaps = gaps[gaps > 0] / gaps[gaps > 0].mean()
        # Windows whose rates differ as these gaps do, in runs of an hour.
        shapes = np.repeat(1.0 / (0.2 + rng.choice(gaps, (count, days * 24))), 6, axis=1)
    return shapes / np.maximum(shapes.mean(axis=1, keepdims=True), 1e-12)


def _servegen() -> tuple[Floats, Floats]:
    """Return clients x windows of request rates and of the coefficient of variation of their gaps."""
    rates: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for name in ("language_m-large", "language_m-small"):
        with gzip.open(DATA / "servegen" / f"{name}_trace.csv.gz", "rt", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                rates.setdefault((name, row["client_id"]), []).append(
                    (float(row["rate_req_per_s"]), float(row["cv"]))
                )
    whole = np.array([values for values in rates.values() if sum(rate > 0 for rate, _ in values) >= 500])
    return whole[..., 0], whole[..., 1]


def _thinned(shapes: Floats, rate: Floats, rng: np.random.Generator) -> tuple[Ints, Ints]:
    counts = rng.poisson(rate[:, None] / 6 * shapes)
    series, window = np.nonzero(counts)
    repeats = counts[series, window]
    series, window = np.repeat(series, repeats), np.repeat(window, repeats)
    return series, window * 10 * MINUTE + rng.integers(0, 10 * MINUTE, len(window))


def start_dollars(count: int, rng: np.random.Generator) -> Floats:
    """Return dollars of starts: Huawei's durations of cold starts, a hundred times as long, at $4 an hour."""
    with (DATA / "huawei-cold-starts-2025" / "cold_starts_sample.csv").open(encoding="utf-8") as file:
        seconds = np.array([float(row["totalCost_cold_start"]) for row in csv.DictReader(file)])
    return rng.choice(seconds, count) * 100 * 4 / 3600
