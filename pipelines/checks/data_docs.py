"""Let Great Expectations judge what was looked at last of every table, so that its results of all of them are kept."""

from models.schemas import tables
from pipelines.checks.domain import CheckOutcome, keep_results
from pipelines.checks.expectations import SUITE_CHECK, expect
from pipelines.checks.rules import Slice
from pipelines.warehouse.commit import partition_value
from pipelines.warehouse.resource import Warehouse

_LATEST = """
SELECT table_name, max_by((partition_from, partition_to, is_passed), checked_at)
FROM ops.check_results WHERE check_name = ? GROUP BY ALL ORDER BY ALL
"""


def judge_all_tables(warehouse: Warehouse, *, run_id: str) -> int:
    """Judge the rows of the last result of each table by Great Expectations, and keep what it finds.

    A table that is found otherwise than its last result says gets another result.

    Returns:
        How many tables were judged.
    """
    docs = warehouse.project.reports / "data_docs"
    slices, were_passed = [], []
    with warehouse.reading() as con:
        for dotted, (first, last, is_passed) in con.execute(_LATEST, [SUITE_CHECK]).fetchall():
            if dotted in tables():
                bounds = None if first is None else (partition_value(first), partition_value(last))
                slices.append(Slice(table=tables()[dotted], bounds=bounds))
                were_passed.append(is_passed)
        outcomes = expect(con, slices, docs=docs)
    found = [
        CheckOutcome(name=SUITE_CHECK, table=one.table.dotted, bounds=one.bounds, outcome=outcome)
        for one, outcome, was_passed in zip(slices, outcomes, were_passed, strict=True)
        if outcome.is_passed != was_passed
    ]
    keep_results(warehouse, found, run_id=run_id)
    return len(slices)
