"""Work of a project whose every durable step can be made to fail, and what must be equal after it is done again."""

import errno
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from pipelines.durable import watched
from pipelines.warehouse.backup import backup
from pipelines.warehouse.maintenance import maintain
from pipelines.warehouse.publish import publish
from pipelines.warehouse.resource import Warehouse
from tests.content_hashes import content_hashes
from tests.pipelines.landing.lake import count, land_all


class Killed(BaseException):
    """The process ends here, as far as whoever catches errors knows."""


FAULTS: dict[str, Callable[[], BaseException]] = {
    "ENOSPC": lambda: OSError(errno.ENOSPC, "No space left on device"),
    "EIO": lambda: OSError(errno.EIO, "Input/output error"),
    "timeout": lambda: TimeoutError(errno.ETIMEDOUT, "Connection timed out"),
    "503": lambda: duckdb.IOException("HTTP GET error: HTTP 503 Service Unavailable"),
    "kill": Killed,
}


def work(warehouse: Warehouse) -> None:
    """Land, compute, publish, maintain and back up."""
    land_all(warehouse)
    count(warehouse)
    publish(warehouse.project, warehouse.lake)
    maintain(warehouse, keep=timedelta(days=1), now=datetime.now(UTC))
    backup(warehouse.project, str(warehouse.project.folder / "backups"), now=datetime.now(UTC))


def failing_at(number: int, fault: BaseException) -> Callable[[str], None]:
    """Return a watcher of durable steps that lets the N-th fail."""
    seen = 0

    def watch(_: str) -> None:
        nonlocal seen
        if seen == number:
            seen += 1
            raise fault
        seen += 1

    return watch


def steps_of(warehouse: Warehouse) -> list[str]:
    """Do the work undisturbed and return the names of its durable steps in order."""
    told: list[str] = []
    with watched(told.append):
        work(warehouse)
    return told


def figures(folder: Path) -> list[str]:
    """Return the business columns of the lake by their hash, and rows of the published file."""
    published = folder / "warehouse/warehouse.duckdb"
    with duckdb.connect(str(published), read_only=True) as con:
        rows = con.execute("SELECT request_id, output_text_tokens FROM core.requests ORDER BY ALL").fetchall()
    return [*content_hashes(folder), f"published {rows}"]


def failed_and_done_again(folder: Path, number: int, fault: BaseException) -> list[str]:
    """Let the N-th step fail, do the work again, and return the figures."""
    from pipelines.project import find_project

    warehouse = Warehouse(find_project(folder))
    try:
        with watched(failing_at(number, fault)):
            work(warehouse)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
    finally:
        warehouse.lake.close()
    again = Warehouse(find_project(folder))
    work(again)
    again.lake.close()
    return figures(folder)
