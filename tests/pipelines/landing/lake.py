"""A project whose sources are landed and whose records become attempts, without the rest of the main job."""

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.assets.computed import work_off
from pipelines.landing.drive import LandingResult, land
from pipelines.sources.stored import stored_file
from pipelines.steps.base import Window
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.small import make_project

SETTINGS = """\
[warehouse]
start_on = 2026-11-01
[landing]
memory_mb = {memory_mb}
[[sources]]
name = "calls"
kind = "requests"
path = "landing/calls/**/*"
[[sources]]
name = "replicas"
kind = "replica_events"
path = "landing/replicas/**/*"
"""


@cache
def _empty() -> Path:
    """Return a project with an empty lake, made once: its many tables take a second."""
    folder = Path(tempfile.mkdtemp(prefix="nanodollar-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    warehouse = Warehouse(make_project(folder, SETTINGS.format(memory_mb=1024)))
    warehouse.prepare()
    warehouse.lake.close()
    return folder


def lake(folder: Path, *, memory_mb: int = 1024, more: str = "") -> Warehouse:
    shutil.copytree(_empty(), folder, dirs_exist_ok=True)
    return Warehouse(make_project(folder, SETTINGS.format(memory_mb=memory_mb) + more))


def call(number: int, **changes: Any) -> dict[str, Any]:
    """Return a generic request: one a second from 9 o'clock on, 10 tokens in and `number` out."""
    started_at = datetime(2026, 11, 2, 9, tzinfo=UTC) + timedelta(seconds=number)
    return {
        "request_id": f"resp-{number:08d}", "started_at": started_at.isoformat(), "served_model": "m",
        "provider": "openai", "input_uncached_tokens": 10, "output_text_tokens": number,
    } | changes  # fmt: skip


def put(warehouse: Warehouse, name: str, data: bytes | str, *, is_growing: bool = False) -> Path:
    """Write a file where the source `calls` looks: one that has settled, unless it is growing."""
    path = warehouse.project.folder / "landing" / "calls" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    written_at = time.time() - (0 if is_growing else 10)
    os.utime(path, (written_at, written_at))
    return path


def land_all(warehouse: Warehouse, *names: str) -> LandingResult:
    """Land the sources (by default `calls`), and return what the last one did."""
    for name in names or ("calls",):
        source = next(item for item in warehouse.project.sources if item.name == name)
        done = land(warehouse, source, run_id="test")
    return done


def land_files(warehouse: Warehouse, paths: Iterable[Path], name: str = "calls") -> LandingResult:
    source = next(item for item in warehouse.project.sources if item.name == name)
    files = [stored_file(path, project=warehouse.project.folder) for path in paths]
    return land(warehouse, source, run_id="test", files=files)


def count(warehouse: Warehouse) -> None:
    """Compute the attempts of every hour that has landed."""
    rows = query(warehouse, "SELECT min(touched_hour), max(touched_hour) FROM ops.file_hours")
    if rows[0][0] is None:
        return
    first, last = (instant.astimezone(UTC) for instant in rows[0])
    window = Window(first, last + timedelta(hours=1), datetime.now(UTC), warehouse.project.time_zone)
    work_off(warehouse, ("core.requests", "core.replica_events"), window, run_id="test")


def query(warehouse: Warehouse, sql: str) -> list[tuple[Any, ...]]:
    with warehouse.reading() as con:
        return con.execute(sql).fetchall()


def files(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    """Return path, read, accepted, duplicate, quarantined of every landed file."""
    return query(
        warehouse,
        "SELECT path[15:], read_count, accepted_count, duplicate_count, quarantined_count FROM ops.source_files "
        "ORDER BY landed_at, path",
    )


def reasons(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return query(
        warehouse, "SELECT line_number, record_number, reason, detail FROM ops.quarantine ORDER BY ALL"
    )
