"""Bursts of cold starts: recall, false alarms and delay against simple rivals, and the detector's speed.

python -m benchmarks bursts    NANODOLLAR_BENCH_SERIES=300 series a baseline for the tables, and
                               NANODOLLAR_BENCH_SPEED_SERIES=10000 for the speed, by default
"""

import os
import tempfile
from typing import Any

from benchmarks.measure import machine, measured

SERIES = int(os.environ.get("NANODOLLAR_BENCH_SERIES", "300"))
SPEED_SERIES = int(os.environ.get("NANODOLLAR_BENCH_SPEED_SERIES", "10000"))
FEW = 20
"""Series a baseline that the change-point search is judged on."""
FEWER = 100
"""Series that it is timed on."""


def main() -> None:
    print(f"bursts of cold starts, {machine()}")
    speed()
    tables()


def speed() -> None:
    """Judge 90 days of all series from scratch; peers read the same starts."""
    import numpy as np

    from benchmarks.planted_bursts import fleet, kinds

    whole = fleet(series_per_kind=-(-SPEED_SERIES // len(kinds())), seed=3, is_planted=True)
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/starts.npz"
        np.savez(file, series=whole.series, at=whole.at, count=whole.series_count)
        print(f"\n{whole.series_count:,} series x 90 days, {len(whole.at):,} starts, from scratch")
        ours = measured(_judge, file)
        alarmed, processor = ours.result
        print(f"this detector             {_cost(ours)}; {alarmed:,} alarmed starts")
        for name, work in (("z-score of hourly counts", _z_score), ("plain scan", _plain_scan)):
            peer = measured(work, file)
            print(
                f"{name:25} {_cost(peer)}; this one takes {processor / peer.result[1]:.1f} times its processor time"
            )
        peer = measured(_change_points, file)
        needed = peer.result[1] * whole.series_count / FEWER
        print(
            f"ruptures, KernelCPD       {_cost(peer)} for {FEWER} series: {needed:,.0f} s of processor for all, "
            f"{needed / processor:,.1f} times this detector's"
        )


def _cost(work: Any) -> str:
    return f"{work.seconds:6.1f} s ({work.result[1]:.1f} s of processor), {work.peak_mib:,.0f} MiB"


def _load(file: str, series: int | None = None) -> Any:
    import numpy as np

    from benchmarks.planted_bursts import Fleet

    stored = np.load(file)
    count = series or int(stored["count"])
    kept = stored["series"] < count
    return Fleet(
        stored["series"][kept], stored["at"][kept], [""] * count, [], np.zeros((0, 0), dtype=np.bool_)
    )


def _timed(alarms: Any) -> tuple[int, float]:
    """Return how many alarms there are, and the processor time of this process."""
    import time

    height = alarms().height
    return height, time.process_time()


def _judge(file: str) -> tuple[int, float]:
    from benchmarks.burst_rivals import detector

    return _timed(lambda: detector(_load(file), warm_days=0))


def _z_score(file: str) -> tuple[int, float]:
    from benchmarks.burst_rivals import z_score

    return _timed(lambda: z_score(_load(file))(8.0))


def _plain_scan(file: str) -> tuple[int, float]:
    from benchmarks.burst_rivals import plain_scan

    return _timed(lambda: plain_scan(_load(file))(8.0))


def _change_points(file: str) -> tuple[int, float]:
    from benchmarks.burst_rivals import change_points

    return _timed(lambda: change_points(_load(file, FEWER))(60.0))


def tables() -> None:
    """Print recall by size for each baseline, each cause and each rival, with false alarms and delay."""
    import polars as pl

    from benchmarks.burst_rivals import RIVALS, detector, false_per_month, incidents, scored, tuned, unplanted
    from benchmarks.planted_bursts import CAUSES, DAYS, HOUR, MINUTE, SIZES, WARM_DAYS, fleet, kinds

    calm = fleet(series_per_kind=SERIES, seed=1, is_planted=False)
    hurt = fleet(series_per_kind=SERIES, seed=2, is_planted=True)
    ours_calm, ours = detector(calm), detector(hurt)
    found = scored(ours, hurt)
    months = SERIES * (DAYS - WARM_DAYS) / 30.4
    quiet = unplanted(incidents(ours_calm), calm)
    sizes = " | ".join(f"{size} starts" for size in SIZES)
    print(
        f"\n{calm.series_count:,} series x {DAYS} days, judged after {WARM_DAYS}: a calm fleet for false alarms, and "
        f"one with a burst a series and 30 days, {len(hurt.planted):,} in all"
    )
    print(f"\n| baseline | {sizes} | false a series-month | in rushes |")
    print("|---" * (len(SIZES) + 3) + "|")
    for kind in kinds():
        mine = quiet.filter(pl.col("kind") == kind)
        false, rush = mine.filter(~pl.col("in_rush")).height / months, mine.filter("in_rush").height / months
        print(f"| {kind} | {_recalls(found.filter(pl.col('kind') == kind))} | {false:.3f} | {rush:.3f} |")
    print(f"\n| cause | {sizes} | median delay, min |")
    print("|---" * (len(SIZES) + 2) + "|")
    for cause in CAUSES:
        mine = found.filter(pl.col("cause") == cause)
        print(f"| {cause} | {_recalls(mine)} | {mine['delay_minutes'].median():.1f} |")

    print(f"\n| detector | setting | {sizes} | false a series-month | median delay, min |")
    print("|---" * (len(SIZES) + 4) + "|")
    false = false_per_month(ours_calm, calm)
    closed = (pl.col("alarmed_at") // HOUR + 1) * HOUR - pl.col("from_at")
    at_close = found.select((closed / MINUTE).median()).item()
    print(
        f"| this one | p <= 1.4e-5 | {_recalls(found)} | {false:.4f} "
        f"| {found['delay_minutes'].median():.1f} ({at_close:.0f} at the hour's end) |",
        flush=True,
    )
    for rival in RIVALS:
        is_slow = rival.name.startswith("ruptures")
        calm_on, hurt_on = (calm.first(FEW), hurt.first(FEW)) if is_slow else (calm, hurt)
        try:
            settings = ((rival.usual, "usual"), (tuned(rival, calm_on), "tuned"))
        except ImportError:
            print(f"| {rival.name} | not installed |")
            continue
        for setting, name in settings:
            there = scored(rival.make(hurt_on)(setting), hurt_on)
            false = false_per_month(rival.make(calm_on)(setting), calm_on)
            delay = there["delay_minutes"].median()
            print(
                f"| {rival.name} | {name}: {setting:g} | {_recalls(there)} | {false:.4f} "
                f"| {'none found' if delay is None else f'{delay:.0f}'} |",
                flush=True,
            )


def _recalls(found: Any) -> str:
    import polars as pl

    from benchmarks.planted_bursts import SIZES

    recall = dict(found.group_by("size").agg(pl.col("is_found").mean()).iter_rows())
    return " | ".join(f"{recall.get(size, float('nan')):.3f}" for size in SIZES)
