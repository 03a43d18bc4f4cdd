"""Hash the business columns of every partition of a project, to show that a change of the code moved no figure.

    python -m tests.content_hashes PROJECT > before          with the code as it was
    python -m tests.content_hashes PROJECT --against before  with the code as it is; exit 1 where a partition differs

Each line is table, partition, rows and a hash that does not know the order of rows. What only says when or by which run
a row was written is left out, and so is `raw`, which holds what was delivered.
"""

import argparse
import sys
from pathlib import Path

from models.schemas import tables
from pipelines.project import find_project
from pipelines.warehouse.connect import connect_read_only

WHEN = ("ingested_at", "quarantined_at", "landed_at", "is_provisional", "booked_on", "late_count")
"""Columns that depend on the clock."""
BOOKKEEPING = (
    "ops.check_results", "ops.closed_periods", "ops.file_hours", "ops.file_paths", "ops.landed_files", "ops.partitions",
    "ops.progress", "ops.runs",
)  # fmt: skip


def content_hashes(folder: Path) -> list[str]:
    """Return a line for each partition that has rows, in order."""
    lines: list[str] = []
    with connect_read_only(find_project(folder)) as con:
        for table in tables().values():
            if table.schema == "raw" or table.select is not None or table.dotted in BOOKKEEPING:
                continue
            columns = [name for name in table.column_names if name not in WHEN]
            partition = f"{table.partition}::VARCHAR" if table.partition else "'all'"
            rows = con.execute(
                f"WITH digests AS (SELECT {partition} AS part, md5(row({', '.join(columns)})::VARCHAR) AS digest "
                f"FROM {table.dotted}) SELECT part, count(*), md5(string_agg(digest, '' ORDER BY digest)) FROM digests "
                "GROUP BY part ORDER BY part"
            ).fetchall()
            lines += [f"{table.dotted} {part} {count} {digest}" for part, count, digest in rows]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("project", type=Path)
    parser.add_argument("--against", type=Path, metavar="FILE", help="hashes of before")
    given = parser.parse_args()
    now = content_hashes(given.project)
    if given.against is None:
        print("\n".join(now))
        return
    before = given.against.read_text(encoding="utf-8").splitlines()
    for line in sorted(set(before) ^ set(now)):
        print(f"{'-' if line in before else '+'} {line}")
    print(f"{len(set(before) & set(now))} partitions of {len(now)} are as they were.", file=sys.stderr)
    raise SystemExit(int(sorted(before) != sorted(now)))


if __name__ == "__main__":
    main()
