"""Maintenance of a lake of many small commits: `python -m benchmarks maintenance`.

Each commit replaces an hour and the one before, as the hourly close does; every 24 commits one lake is maintained, the
other is left alone. Prints files, bytes and the time of a query over everything, as ratios of the two. A year has 8,760
commits.
"""

import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from models.schemas import table
from pipelines.warehouse.maintenance import maintain
from pipelines.warehouse.resource import Warehouse
from pipelines.warehouse.statistics import METADATA
from tests.pipelines.landing.lake import lake

_START = datetime(2025, 1, 1, tzinfo=UTC)
_DAY = 24


def hour(number: int, rows: int) -> pl.DataFrame:
    """Return an hour of requests."""
    at = _START + timedelta(hours=number)
    return table("core.requests").frame(
        [
            {
                "source": "calls", "source_kind": "requests", "request_id": f"{number}-{row}", "started_at": at,
                "started_hour": at, "ingested_at": at, "status": "ok", "usage_source": "provider",
                "is_gateway_cache_hit": False,
                "file_hash": "0", "line_number": row, "record_number": 0, "output_text_tokens": row,
            }
            for row in range(rows)
        ]
    )  # fmt: skip


def commits(warehouse: Warehouse, numbers: range) -> None:
    for number in numbers:
        both = [at for at in (number - 1, number) if at >= 0]
        rows = pl.concat([hour(at, 20 + (at != number)) for at in both])
        with warehouse.committing(run_id=f"{number}", job="facts") as commit:
            commit.replace("core.requests", rows, partitions=[_START + timedelta(hours=at) for at in both])


def measured(warehouse: Warehouse) -> dict[str, float]:
    """Return files, megabytes, snapshots and the seconds of a query over everything."""
    stored = list((warehouse.project.folder / "warehouse/data").rglob("*.parquet"))
    with warehouse.reading() as con:
        begun = time.perf_counter()
        con.execute("SELECT sum(output_text_tokens), count(*) FROM core.requests").fetchall()
        seconds = time.perf_counter() - begun
        ((snapshots,),) = con.execute(f"SELECT count(*) FROM {METADATA}.ducklake_snapshot").fetchall()
    return {
        "files": len(stored),
        "MB": sum(file.stat().st_size for file in stored) / 1e6,
        "snapshots": snapshots,
        "query seconds": seconds,
    }


def main(count: int = 480) -> None:
    with tempfile.TemporaryDirectory(prefix="maintenance-") as name:
        lakes = {kind: lake(Path(name) / kind) for kind in ("maintained", "left alone")}
        taken: list[float] = []
        for first in range(0, count, _DAY):
            for kind, warehouse in lakes.items():
                commits(warehouse, range(first, min(count, first + _DAY)))
                if kind == "maintained":
                    begun = time.process_time()
                    day = timedelta(days=first // _DAY)
                    # The clock of the simulation goes on by a day for each 24 commits.
                    maintain(warehouse, keep=timedelta(days=7), now=datetime.now(UTC) + 8 * day)
                    taken.append(time.process_time() - begun)
        one, other = (measured(lakes[kind]) for kind in ("maintained", "left alone"))
        for what, value in one.items():
            print(
                f"{what}: {value:,.3f}, {other[what] / max(value, 1e-9):,.1f} times as much without maintenance"
            )
        print(f"a maintenance took {sum(taken) / len(taken):.2f} CPU-seconds, the last {taken[-1]:.2f}")
