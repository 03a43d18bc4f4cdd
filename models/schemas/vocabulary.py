"""The words that several tables share: token classes, meters, states, kinds.

Token classes are disjoint and sum to the provider's totals; a class is also a meter of the price book.
"""

import polars as pl

from models.schemas.base import INSTANT, Column
from models.schemas.columns import (
    CHIP,
    COMMITMENT,
    INGESTED_AT,
    IS_FALLBACK,
    LOGICAL_REQUEST_ID,
    MODEL_OF_REPLICA,
    NODE,
    PAYING_TENANT,
    PREFIX_HASH,
    PROVIDER,
    PROVIDER_OF_CHIPS,
    REGION_OF_CALL,
    REGION_OF_CHIPS,
    ROUTE_CHOSEN,
    ROUTED_MODEL,
    SERVICE_TIER,
    SESSION_ID,
    SOURCE_KIND,
    SOURCE_OF_ROW,
    STARTED_AT,
    TASK_CLASS,
    TEAM,
)

INPUT_CLASSES = (
    "input_uncached",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "audio_input",
    "image_input",
    "video_input",
    "cache_read_audio",
    "cache_read_image",
    "other_input",
)
PROMPT_ORDER = (
    "cache_read",
    "cache_read_audio",
    "cache_read_image",
    "cache_write_1h",
    "cache_write_5m",
    "input_uncached",
    "audio_input",
    "image_input",
    "video_input",
    "other_input",
)
"""Order in which a graduated rule counts input up to its threshold: the cached prefix comes first."""
OUTPUT_CLASSES = ("output_text", "reasoning", "audio_output", "image_output", "other_output")
TOKEN_CLASSES = INPUT_CLASSES + OUTPUT_CLASSES

INPUT_TOKEN_COLUMNS = tuple(f"{name}_tokens" for name in INPUT_CLASSES)
OUTPUT_TOKEN_COLUMNS = tuple(f"{name}_tokens" for name in OUTPUT_CLASSES)
TOKEN_COLUMNS = INPUT_TOKEN_COLUMNS + OUTPUT_TOKEN_COLUMNS

PRICE_STATES = ("priced", "free", "unpriced")
USAGE_SOURCES = ("provider", "estimated", "missing")
STATUSES = ("ok", "error", "cancelled")
OPERATIONS = ("chat", "embedding", "completion", "image", "audio", "rerank", "other")
REPLICA_EVENTS = (
    "requested",
    "scheduled",
    "image_pulled",
    "weights_loaded",
    "ready",
    "draining",
    "stopped",
    "failed",
)
REPLICA_STATES = ("waiting", "pulling", "loading", "ready", "draining", "failed")
STARTING_STATES = ("waiting", "pulling", "loading")
POOL_PARTS = ("serving", "starting", "idle", "draining", "failed", "padding", "unheld", "unused_commitment")
"""The parts that sum to a pool-hour's bill, in the order of the table."""
MISTAKE_KINDS = (
    "policy_violation",
    "wrong_region",
    "underpowered",
    "fallback_storm",
    "idle_capacity",
    "stale_price",
    "overpowered",
    "wrong_chip",
    "dearer_provider",
    "cache_affinity_lost",
    "hedge_lost",
)
"""Routing mistakes in their order of precedence."""
BURST_CAUSES = (
    "deploy",
    "scale_from_zero",
    "traffic_spike",
    "crash_loop",
    "preemption",
    "node_loss",
    "unknown",
)
FEE_METERS = (
    "web_search",
    "web_search_preview",
    "x_search",
    "document_search",
    "file_search",
    "visit_website",
    "browser_automation",
    "code_interpreter",
    "image_generation",
    "server_side_tools",
    "maps_grounding",
    "live_search_sources",
    "search_context_medium",
    "search_context_high",
    "audio_seconds",
    "video_seconds",
    "search_units",
    "pages",
    "annotated_pages",
)
"""Meters that providers charge for: an attempt that used one has a price only where its card states the fee."""
TOOL_FEES = "tool_fees_usd"
"""Meter of dollars for tools that a source states without saying how often they were called."""
RESERVED_TIERS = ("provisioned", "reserved", "provisioned_throughput", "ptu", "gsu", "scale")
"""Tiers, in lower case, whose tokens cost nothing themselves: the hours of the capacity that was bought are the bill."""
GLOBAL_REGION = "global"
PLACED_PROVIDERS = ("gcp.vertex_ai",)
"""Providers of which every call is made at a place that its address names, `global` being one of them."""
SAME_TAGS: dict[str, tuple[str, ...]] = {
    "environment": (
        "environment", "deployment.environment.name", "deployment.environment", "langfuse.environment", "env",
    ),
    "feature": ("feature", "feature.name", "feature_name"),
}  # fmt: skip
"""A tag that has one name in marts, and the names that logs give it."""
TAGGED = ("feature", "environment", "agent")
"""Dimensions of costs that attempts hold as tags."""
NONE_DEPLOYMENT = "(none)"
UNALLOCATED = "(unallocated)"
CAPACITY_CHIP = "capacity_unit"
"""The chip of provisioned throughput: its pools have a tier of their own."""

_CLASS_COMMENTS = {
    "input_uncached": "text input that was neither read from nor written to a cache",
    "cache_read": "input read from the provider's prompt cache",
    "cache_write_5m": "input written to the prompt cache for 5 minutes (or with no stated lifetime)",
    "cache_write_1h": "input written to the prompt cache for 1 hour",
    "audio_input": "audio input, not cached",
    "image_input": "image input, not cached",
    "video_input": "video input, not cached",
    "cache_read_audio": "audio input read from the cache",
    "cache_read_image": "image input read from the cache",
    "other_input": "input of a class that this list lacks",
    "output_text": "visible text output, reasoning excluded",
    "reasoning": "hidden reasoning output",
    "audio_output": "audio output",
    "image_output": "image output",
    "other_output": "output of a class that this list lacks",
}


def token_columns(note: str = "") -> tuple[Column, ...]:
    """Return one column per disjoint token class; NULL means that the source did not report it."""
    return tuple(
        Column(
            name=f"{name}_tokens",
            dtype=pl.Int64,
            comment=f"Tokens: {_CLASS_COMMENTS[name]}{note}",
            at_least=0,
        )
        for name in TOKEN_CLASSES
    )


def place_columns(record: str = "1-based record in that line") -> tuple[Column, ...]:
    """Return the columns that say where in the landed files a row was read; `record` describes `record_number`."""
    return (
        Column(
            name="file_hash",
            dtype=pl.String,
            comment="Landed file (ops.source_files) that holds the row",
            required=True,
        ),
        Column(
            name="line_number",
            dtype=pl.Int64,
            comment="1-based line or row in that file",
            required=True,
            at_least=1,
        ),
        Column(name="record_number", dtype=pl.Int32, comment=record, required=True, at_least=1),
    )


def canonical_request_columns() -> tuple[Column, ...]:
    """Return the canonical columns that every request-log importer produces."""
    return (
        SOURCE_OF_ROW,
        SOURCE_KIND,
        Column(
            name="request_id",
            dtype=pl.String,
            comment="One provider call (attempt) in the source",
            required=True,
        ),
        Column(
            name="attempt_no",
            dtype=pl.Int32,
            comment="1-based try inside the logical request; 0 for a gateway-cache hit, which called nobody",
            at_least=0,
        ),
        LOGICAL_REQUEST_ID,
        STARTED_AT,
        Column(
            name="first_token_at",
            dtype=INSTANT,
            comment="First token, UTC; NULL when unknown or not streamed",
        ),
        Column(name="finished_at", dtype=INSTANT, comment="When the attempt ended, UTC; NULL when unknown"),
        Column(name="provider", dtype=pl.String, comment="Who ran it (OpenTelemetry gen_ai.provider.name)"),
        REGION_OF_CALL,
        ROUTE_CHOSEN,
        Column(name="requested_model", dtype=pl.String, comment="Model as asked by the caller"),
        ROUTED_MODEL,
        Column(name="served_model", dtype=pl.String, comment="Model as returned; the one that is priced"),
        Column(name="replica_id", dtype=pl.String, comment="Serving replica, if known"),
        Column(
            name="service_tier",
            dtype=pl.String,
            comment="Served tier: default, priority, flex, batch, provisioned, spillover; NULL: not stated",
        ),
        Column(name="batch_id", dtype=pl.String, comment="Batch job"),
        Column(name="tenant", dtype=pl.String, comment="Paying tenant or organisation"),
        TEAM,
        Column(name="user_id", dtype=pl.String, comment="Calling user"),
        Column(name="api_key_id", dtype=pl.String, comment="Keyed hash of the API key, never the key"),
        Column(name="tags", dtype=pl.Map(pl.String, pl.String), comment="Attribution tags"),
        Column(name="operation", dtype=pl.String, comment="Kind of call", one_of=OPERATIONS),
        Column(name="task_class", dtype=pl.String, comment="Class of work for the routing policy"),
        Column(
            name="status", dtype=pl.String, comment="How the attempt ended", required=True, one_of=STATUSES
        ),
        Column(name="error_class", dtype=pl.String, comment="Error family"),
        *token_columns(),
        Column(
            name="other_meters",
            dtype=pl.Map(pl.String, pl.Decimal(18, 6)),
            comment="Meter -> quantity: searches, seconds, characters, images",
        ),
        SESSION_ID,
        Column(name="trace_id", dtype=pl.String, comment="Trace"),
        PREFIX_HASH,
        Column(
            name="usage_source",
            dtype=pl.String,
            comment="Who counted the tokens",
            required=True,
            one_of=USAGE_SOURCES,
        ),
        Column(
            name="provider_reported_cost_usd",
            dtype=pl.Decimal(38, 12),
            comment="Cost stated by the source; a gateway's is its own estimate",
        ),
        Column(
            name="is_cost_billed",
            dtype=pl.Boolean,
            comment="Whether that cost is what the provider charged for the call, not an estimate of it",
        ),
        Column(
            name="unread_usage",
            dtype=pl.String,
            comment="Usage fields that hold a number and that no rule reads, comma-separated: paths, never values",
        ),
        IS_FALLBACK,
        Column(
            name="fallback_cause",
            dtype=pl.String,
            comment="Why it fell back",
            one_of=("outage", "rate_limit", "policy", "unknown"),
        ),
        Column(name="retry_of", dtype=pl.String, comment="request_id of the attempt that this one repeats"),
        Column(
            name="queue_seconds", dtype=pl.Float64, comment="Seconds waited before work began", at_least=0
        ),
        Column(
            name="is_gateway_cache_hit",
            dtype=pl.Boolean,
            comment="Whether the gateway answered from its own cache: a logical request with no attempt",
            required=True,
        ),
        INGESTED_AT,
        *place_columns("1-based record in that line (an OTLP line holds many spans)"),
    )


def canonical_event_columns() -> tuple[Column, ...]:
    """Return the canonical columns that every replica-event importer produces."""
    return (
        SOURCE_OF_ROW,
        SOURCE_KIND,
        Column(
            name="replica_id",
            dtype=pl.String,
            comment="One replica: a pod, a worker, an endpoint copy",
            required=True,
        ),
        Column(
            name="deployment",
            dtype=pl.String,
            comment="Deployment that the replica belongs to; requests name it as route. NULL: the record tells what "
            "happened to a replica that other records name",
        ),
        MODEL_OF_REPLICA,
        Column(name="chip", dtype=pl.String, comment="Accelerator (ref.chips)"),
        Column(
            name="chip_count",
            dtype=pl.Int32,
            comment="Accelerators that the replica holds; 0 for the head of a group that holds none itself",
            at_least=0,
        ),
        Column(
            name="fraction",
            dtype=pl.Decimal(9, 6),
            comment="Share of each accelerator (MIG, several models on one); 1 = whole",
        ),
        Column(
            name="replica_group",
            dtype=pl.String,
            comment="Group of pods that serve as one replica over several nodes (LeaderWorkerSet, Ray, JobSet, Grove)",
        ),
        Column(
            name="is_group_head",
            dtype=pl.Boolean,
            comment="Whether it is the pod of its group that serves for all of it; NULL without a group",
        ),
        Column(name="provider", dtype=pl.String, comment="Who bills the accelerator"),
        Column(name="region", dtype=pl.String, comment="Where it runs"),
        Column(
            name="cluster",
            dtype=pl.String,
            comment="Cluster that the replica lives in; tells replicas apart that bear one id",
        ),
        Column(name="commitment", dtype=pl.String, comment="on_demand, spot, reserved, committed"),
        NODE,
        Column(
            name="event", dtype=pl.String, comment="Lifecycle event", required=True, one_of=REPLICA_EVENTS
        ),
        Column(name="event_at", dtype=INSTANT, comment="When it happened, UTC", required=True),
        Column(
            name="reason",
            dtype=pl.String,
            comment="scale_from_zero, scale_up, deploy, preempted, crash, or NULL",
        ),
        INGESTED_AT,
        *place_columns(),
    )


def attempt_dimensions() -> tuple[Column, ...]:
    """Return the dimensions that cost facts carry from the request."""
    return (
        PROVIDER,
        REGION_OF_CALL,
        ROUTE_CHOSEN,
        Column(name="requested_model", dtype=pl.String, comment="Model as asked"),
        ROUTED_MODEL,
        Column(name="served_model", dtype=pl.String, comment="Model as returned"),
        Column(
            name="model",
            dtype=pl.String,
            comment="Served model after the dated alias table; the served name where no alias is known",
        ),
        Column(
            name="model_family",
            dtype=pl.String,
            comment="Weights shared across providers; NULL when the book does not know the model",
        ),
        Column(
            name="chip",
            dtype=pl.String,
            comment="Accelerator: the pool's, or that of a provider whose chip is known",
        ),
        Column(
            name="commitment", dtype=pl.String, comment="Commitment of the pool; NULL for token-priced rows"
        ),
        PAYING_TENANT,
        TEAM,
        SERVICE_TIER,
        TASK_CLASS,
        SESSION_ID,
        PREFIX_HASH,
    )


def pool_dimensions() -> tuple[Column, ...]:
    """Return what identifies a pool."""
    return (
        PROVIDER_OF_CHIPS,
        REGION_OF_CHIPS,
        CHIP,
        Column(
            name="deployment",
            dtype=pl.String,
            comment="Deployment; (none) for what no replica holds",
            required=True,
        ),
        COMMITMENT,
    )
