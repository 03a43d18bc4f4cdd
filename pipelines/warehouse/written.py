"""Which business days of each table a run has computed, as the lake knows it."""

from dataclasses import dataclass
from datetime import date, timedelta

from pipelines.warehouse.resource import Warehouse

_WRITTEN = """
SELECT table_name, list(partition_key ORDER BY partition_key), sum(row_count)::BIGINT FROM ops.partitions
WHERE run_id = ? AND try_cast(partition_key AS DATE) >= ? GROUP BY table_name
"""


@dataclass(frozen=True)
class WrittenDays:
    """The days of a table that a run was the last to compute, in order, and their rows."""

    keys: list[str]
    row_count: int

    @property
    def bounds(self) -> tuple[date, date]:
        """The half-open range from the first of them to the last."""
        return date.fromisoformat(self.keys[0]), date.fromisoformat(self.keys[-1]) + timedelta(days=1)


def days_written_by(warehouse: Warehouse, run_id: str) -> dict[str, WrittenDays]:
    """Return what a run has computed of each daily table since the first partition."""
    with warehouse.reading() as con:
        rows = con.execute(_WRITTEN, [run_id, warehouse.project.start_on]).fetchall()
    return {name: WrittenDays(keys, count) for name, keys, count in rows}
