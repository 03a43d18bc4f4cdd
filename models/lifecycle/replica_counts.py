"""How many replicas of a deployment there were, poll by poll: for vendors that tell no replica by itself.

Columns: `deployment`, `observed_at`, `ready_count`, and where known `starting_count` and the facts of a replica.
"""

from models.lifecycle.objects import count_importer

_FACTS = ("deployment", "model", "chip", "chip_count", "provider", "region", "cluster", "commitment", "node")

IMPORTER = count_importer(
    "replica_counts",
    columns=dict.fromkeys((*_FACTS, "observed_at", "ready_count", "starting_count", "reason"), "VARCHAR"),
    facts={name: name for name in _FACTS},
    observed_at="observed_at",
    ready="ready_count",
    starting="nullif(starting_count, '')",
    reason="nullif(reason, '')",
    signature=(frozenset({"deployment", "observed_at", "ready_count"}),),
    formats=("jsonl", "csv", "parquet"),
    takes_columns=True,
    rank=89,
)
