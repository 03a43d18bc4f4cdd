"""Databricks' `system.serving.endpoint_usage`, joined with `system.serving.served_entities` where it can be.

One row a call of a serving endpoint: input and output, no classes. The model, its provider and the endpoint's name
stand in `served_entities`; without them a row has no model and no price. Characters are counted where tokens are not.
Source: docs.databricks.com/admin/system-tables/model-serving, read 2026-11-29.
"""

import polars as pl

from models.logs.call_log import CallLog
from models.logs.call_logs import call_log_importer


def _amend(frame: pl.LazyFrame) -> pl.LazyFrame:
    entity = pl.col("entity_type").str.to_uppercase()
    is_external = entity.str.contains("EXTERNAL").fill_null(value=False)
    return frame.with_columns(
        provider=pl.coalesce(
            "provider",
            pl.when(~is_external & (entity.is_not_null() | pl.col("served_model").is_not_null())).then(
                pl.lit("databricks")
            ),
        ),
    )


IMPORTER = call_log_importer(
    CallLog(
        kind="databricks_endpoint_usage",
        texts={
            "request_id": ("databricks_request_id",),
            "logical_request_id": ("client_request_id",),
            "provider": ("external_model_config$.provider", "provider"),
            "entity_type": ("entity_type",),
            "served_model": (
                "external_model_config$.name",
                "foundation_model_config$.name",
                "entity_name",
                "served_entity_name",
            ),
            "requested_model": ("endpoint_name", "served_entity_name"),
            "route": ("endpoint_name", "served_entity_id"),
            "replica_id": ("served_entity_id",),
            "tenant": ("workspace_id",),
            "user_id": ("requester",),
            "operation_name": ("task", "foundation_model_config$.task", "external_model_config$.task"),
            "code": ("status_code",),
        },
        instants={"started": ("request_time",)},
        durations={"latency": ("execution_duration_ms",)},
        counts={
            "input_tokens": ("input_token_count",),
            "output_tokens": ("output_token_count",),
            "total_tokens": ("total_token_count",),
        },
        metadata="usage_context",
        amend=_amend,
        signature=(
            frozenset({"databricks_request_id", "input_token_count"}),
            frozenset({"served_entity_id", "input_token_count"}),
        ),
        rank=18,
    )
)
