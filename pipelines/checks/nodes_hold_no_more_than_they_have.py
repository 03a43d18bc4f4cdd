"""Replicas on a node hold no more of its accelerators than it has, else one accelerator is billed twice."""

import duckdb

from pipelines.checks.domain import Bound, DomainCheck, Outcome

_QUERY = """
SELECT node, min(state_hour), string_agg(DISTINCT replica_id, ', ' ORDER BY replica_id)
FROM core.replica_states
WHERE contains(repair, 'over_held_node') AND state_hour >= $start AND state_hour < $end
GROUP BY node ORDER BY node
"""


def _judge(con: duckdb.DuckDBPyConnection, start: Bound, end: Bound) -> Outcome:
    rows = con.execute(_QUERY, {"start": start, "end": end}).fetchall()
    return Outcome(
        is_passed=not rows,
        severity="warn",
        failed_count=len(rows),
        failed_ids=[f"{node} from {hour:%Y-%m-%dT%H:%MZ}: {replicas}" for node, hour, replicas in rows],
        summary=(
            f"On {len(rows)} nodes replicas hold more accelerators than the node has, so that some are billed twice; "
            "mend `chip_count` or `fraction` of their events."
            if rows
            else "No node is held by more than it has."
        ),
    )


CHECK = DomainCheck(
    name="nodes_hold_no_more_than_they_have",
    table="core.replica_states",
    grain="hourly",
    description="replicas on a node hold no more accelerators than it has",
    judge=_judge,
)
