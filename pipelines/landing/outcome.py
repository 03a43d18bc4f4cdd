"""Say what became of a landed file's records, before the hours that they touch are computed."""

from typing import Any

import polars as pl

from models.counters.latest import latest
from models.finance.invoices import lines_in_force
from models.importers import importers
from models.lifecycle.dedupe import dedupe_events
from models.logs.dedupe import dedupe
from models.periods import spans
from pipelines.landing.judge import time_column
from pipelines.landing.known import UNREADABLE
from pipelines.warehouse.resource import Warehouse, frame


def outcome(warehouse: Warehouse, file: dict[str, Any]) -> list[str]:
    """Return sentences about one file.

    Args:
        warehouse: the lake, with the file in it.
        file: its row of ops.landed_files.
    """
    if file["file_hash"].startswith(UNREADABLE):
        return [f"{file['note']}; mend it and ingest it again"]
    duplicates = duplicate_count(warehouse, file)
    accepted, quarantined = file["landed_count"] - duplicates, file["quarantined_count"]
    lines = [
        f"read {file['read_count']:,} = accepted {accepted:,} + duplicate {duplicates:,} + quarantined {quarantined:,}"
    ]
    if file["ignored_count"]:
        lines.append(f"{file['ignored_count']:,} records of another grain were passed over")
    if file["quarantined_count"]:
        with warehouse.reading() as con:
            rows = con.execute(
                "SELECT reason, count(*), min(line_number), min_by(detail, line_number) FROM ops.quarantine "
                "WHERE file_hash = ? AND source = ? GROUP BY reason ORDER BY 2 DESC, 1",
                [file["file_hash"], file["source"]],
            ).fetchall()
        lines += [
            f"{count:,} {reason}, first on line {line} ({detail})" for reason, count, line, detail in rows
        ]
    if importers()[file["source_kind"]].table == "raw.replica_events":
        lines += _unnamed(warehouse, file)
    if importers()[file["source_kind"]].table == "raw.requests":
        lines += _unread(warehouse, file)
    if file["note"]:
        lines.append(file["note"])
    return lines


def _unread(warehouse: Warehouse, file: dict[str, Any]) -> list[str]:
    """Say how many of a file's records have usage fields that no rule reads."""
    with warehouse.reading() as con:
        ((count, names, line),) = con.execute(
            "SELECT count(*), mode(unread_usage ORDER BY unread_usage), min(line_number) FROM raw.requests "
            "WHERE file_hash = ? AND source = ? AND unread_usage IS NOT NULL",
            [file["file_hash"], file["source"]],
        ).fetchall()
    return [f"{count:,} have usage fields that are not read: {names}, first on line {line}"] if count else []


def _unnamed(warehouse: Warehouse, file: dict[str, Any]) -> list[str]:
    """Say how many of a file's events are of replicas that no record names."""
    with warehouse.reading() as con:
        ((events, replicas),) = con.execute(
            "SELECT count(*), count(DISTINCT replica_id) FROM raw.replica_events WHERE file_hash = ? AND source = ? "
            "AND replica_id NOT IN (SELECT replica_id FROM raw.replica_events WHERE deployment IS NOT NULL)",
            [file["file_hash"], file["source"]],
        ).fetchall()
    if not events:
        return []
    return [
        f"{events:,} of them are of {replicas:,} pods that no other record names: they count once one does"
    ]


def _replaced_count(warehouse: Warehouse, file: dict[str, Any]) -> int:
    """Return how many lines of a file of bills another delivery or another line replaces."""
    with warehouse.reading() as con:
        landed = frame(
            con,
            "SELECT * FROM raw.invoice_lines WHERE source = $source AND billing_period_start IN "
            "(SELECT billing_period_start FROM raw.invoice_lines WHERE file_hash = $hash AND source = $source)",
            {"source": file["source"], "hash": file["file_hash"]},
        )
    is_mine = pl.col("file_hash") == file["file_hash"]
    return landed.filter(is_mine).height - lines_in_force(landed).filter(is_mine).height


def duplicate_count(warehouse: Warehouse, file: dict[str, Any]) -> int:
    """Return how many of a file's records lose to another record, as computing their hours will find."""
    if importers()[file["source_kind"]].table == "raw.invoice_lines":
        return _replaced_count(warehouse, file)
    if importers()[file["source_kind"]].table == "raw.outcomes":
        return 0
    with warehouse.reading() as con:
        hours = [
            row[0]
            for row in con.execute(
                "SELECT touched_hour FROM ops.file_hours WHERE file_hash = ? AND source = ? ORDER BY 1",
                [file["file_hash"], file["source"]],
            ).fetchall()
        ]
    window = warehouse.project.dedupe_window
    importer = importers()[file["source_kind"]]
    began = time_column(importer)
    count = 0
    for from_hour, to_hour in spans(hours):
        for start, end in warehouse.chunks(from_hour, to_hour):
            with warehouse.reading() as con:
                landed = frame(
                    con,
                    f"SELECT * FROM {importer.table} WHERE {began} >= ? AND {began} < ?",
                    [start - 2 * window, end + window],
                ).lazy()
            if importer.table == "raw.requests":
                _, losers = dedupe(landed, window=window, from_hour=start, to_hour=end)
            elif importer.table == "raw.usage_counters":
                # The range that is read reaches beyond the hours that are told of.
                _, losers = latest(landed)
                losers = losers.filter(pl.col("started_hour").is_between(start, end, closed="left"))
            else:
                _, losers = dedupe_events(landed, from_hour=start, to_hour=end)
            lost = losers.filter(
                (pl.col("file_hash") == file["file_hash"]) & (pl.col("source") == file["source"])
            )
            count += lost.select(pl.len()).collect().item()
    return count
