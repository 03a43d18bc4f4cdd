"""What LiteLLM's rows and payloads mean.

`prompt_tokens` includes cache reads and writes, `completion_tokens` includes reasoning, for every provider.
`tenant` is what the call's tags or metadata name (`tenant:x`), else organization_id, else team_id; `user_id` is the
key's user, else the end user; the cost is the gateway's own estimate, not an invoice. A row whose id ends
in `-attempt-N` is an earlier billed attempt (N from 0) of the call whose id stands before.
Source: litellm's proxy/spend_tracking and proxy/hooks (1.109).
"""

import polars as pl

from models.logs.bedrock_shape import NAMED_ARN, PROVISIONED
from models.logs.cache_writes import split_writes
from models.logs.dimensions import with_tag_columns
from models.logs.fees import searches
from models.logs.litellm_fields import COUNTS, USAGE_KNOWN
from models.logs.tokens import TokenRule, disjoint, total_tokens
from models.logs.totals import hidden_thoughts
from models.logs.unread import unread_usage
from models.records import METER, first_reason, with_map, with_numbers
from models.schemas.vocabulary import TOOL_FEES

_REGION = r"[./-]((?:us|eu|ap|ca|sa|me|af|il)-[a-z]+-?[0-9])[.-]"
_BEDROCK_WAY = r"^(?:bedrock(?:_converse)?/)?(?:(?:converse|converse_like|invoke|async_invoke)/)?"
_BEDROCK_REGION = r"^([a-z]{2}(?:-gov|-iso[a-z]?)?-[a-z]+-\d)/"
_VERTEX_LOCATION = r"/locations/([a-z0-9-]+)(?:/|$)"
_VERTEX_REGION = r"//([a-z]+-[a-z]+[0-9])-aiplatform"
_OPERATIONS = {
    "embedding": "embedding",
    "text_completion": "completion",
    "image": "image",
    "transcription": "audio",
    "speech": "audio",
    "rerank": "rerank",
    "completion": "chat",
    "responses": "chat",
    "messages": "chat",
    "generate_content": "chat",
}
_TOTALS = frozenset({"prompt", "completion", "total"})
"""What a row counts itself, beside its usage object."""
_ATTEMPT = r"^(.*)-attempt-(\d+)$"
_TASK_CLASS = r'"task_class:([^"]+)"'
_CANCELLED = ("CancelledError", "ClientDisconnect", "ClientDisconnected")


def litellm_canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn selected LiteLLM rows into canonical columns; `is_ignored` marks polls of an unfinished batch."""
    frame = _counted(_placed(frame))
    provider, model = _text("custom_llm_provider"), pl.col("called_model")
    request_id = pl.coalesce("request_id", "call_id")
    attempt = request_id.str.extract(_ATTEMPT, 2).cast(pl.Int32, strict=False)
    before = pl.concat_str(
        request_id.str.extract(_ATTEMPT, 1), pl.lit("-attempt-"), (attempt - 1).cast(pl.String)
    )
    call_id = pl.coalesce(pl.col("call_id").str.extract(_ATTEMPT, 1), "call_id")
    hit = (pl.col("cache_hit").str.to_lowercase() == "true").fill_null(value=False)
    fell_back = pl.col("fallbacks").fill_null(0) > 0
    is_batch = (pl.col("call_type") == "aretrieve_batch").fill_null(value=False)
    is_whole = pl.col("prompt").is_not_null() & pl.col("completion").is_not_null()
    total = pl.col("prompt_tokens") + pl.col("completion_tokens")
    # An exclusive count is recognised by its shape, and its total may include the cache.
    adds_up = (
        (pl.col("total_tokens") == 0)
        | (pl.col("total_tokens") == total)
        | (pl.col("total_tokens") == total_tokens())
        | pl.col("is_exclusive")
    )
    error_class = pl.col("error_class").replace("", None)
    request_tags = pl.col("request_tags").replace(["[]", ""], None)
    # What the caller names a call by comes before what its key is registered under.
    tags = {
        "request_tags": request_tags,
        "end_user": _text("end_user"),
        "team_alias": _text("team_alias"),
        "key_alias": _text("key_alias"),
        "feature": pl.coalesce(pl.col("tag_feature"), "meta_feature"),
        "environment": pl.coalesce(pl.col("tag_environment"), "meta_environment"),
        "deployment_id": _text("model_id"),
        "cache_write_split": pl.when("is_split_assumed").then(pl.lit("assumed")),
    }
    frame = with_map(with_tag_columns(frame), "tags", tags, pl.String, more="tag_entries")
    frame = with_map(frame, "other_meters", _meters(), METER)
    done = frame.with_columns(
        *first_reason(
            (pl.col("started_at").is_null() & pl.col("has_start"), "bad_value", "startTime is no instant"),
            (pl.col("started_at").is_null(), "missing_started_at", "startTime"),
            (pl.col("finished_at").is_null() & pl.col("has_end"), "bad_value", "endTime is no instant"),
            (pl.col("is_metadata_odd").fill_null(value=False), "bad_value", "metadata"),
            (pl.col("bad").is_not_null(), "bad_value", pl.col("bad")),
            (pl.col("negative"), "negative_tokens", "a token class is below zero"),
            (~adds_up.fill_null(value=True), "tokens_do_not_add_up", "total_tokens"),
        ),
        is_ignored=is_batch & ~pl.col("has_usage"),
        request_id=request_id,
        content_hash=pl.when(request_id.is_null()).then(pl.col("row_hash")),
        logical_request_id=pl.when(call_id != request_id).then(call_id),
        attempt_no=pl.when(hit)
        .then(0)
        .otherwise(pl.coalesce(attempt + 1, pl.col("retries").fill_null(0) + 1)),
        retry_of=pl.coalesce("retry_of", pl.when(attempt > 0).then(before)),
        first_token_at=pl.when(pl.col("first_at") != pl.col("finished_at")).then(pl.col("first_at")),
        provider=provider,
        region=pl.coalesce(
            "called_region",
            pl.when(pl.col("geo") != "not_available").then("geo"),
            pl.col("api_base").str.extract(_REGION, 1),
            pl.col("api_base").str.extract(_VERTEX_REGION, 1),
            pl.col("api_base").str.extract(_VERTEX_LOCATION, 1),
        ),
        route=_text("model_group"),
        requested_model=pl.coalesce("requested", "original_group", _text("model_group"), model),
        routed_model=model,
        served_model=model,
        service_tier=pl.when(pl.col("spillover").is_not_null())
        .then(pl.lit("spillover"))
        .when(is_batch)
        .then(pl.lit("batch"))
        .when(pl.col("is_provisioned"))
        .then(pl.lit("provisioned"))
        .when(pl.col("speed") == "fast")
        .then(pl.lit("fast"))
        .otherwise(pl.coalesce("tier", "usage_tier", pl.lit("default"))),
        batch_id=pl.when(is_batch).then(request_id),
        tenant=pl.coalesce(pl.col("tag_tenant"), "meta_tenant", "organization_id", "team"),
        team=pl.coalesce(pl.col("tag_team"), "meta_team", "team", _text("team_alias")),
        user_id=pl.coalesce(
            "user_id",
            pl.col("tag_user_id"),
            *(_text(name) for name in ("end_user", "end_user_id", "user_email")),
        ),
        # Two clocks may put an end before the start: then it is not known.
        finished_at=pl.when(pl.col("finished_at") >= pl.col("started_at")).then(pl.col("finished_at")),
        session_id=_text("session_id"),
        operation=_operation(),
        task_class=pl.coalesce(request_tags.str.extract(_TASK_CLASS, 1), "meta_class"),
        status=pl.when(error_class.is_in(_CANCELLED).fill_null(value=False))
        .then(pl.lit("cancelled"))
        .when(pl.col("status") == "failure")
        .then(pl.lit("error"))
        .otherwise(pl.lit("ok")),
        error_class=error_class,
        usage_source=pl.when((~pl.col("has_usage") | ~is_whole) & pl.col("audio_seconds").is_null())
        .then(pl.lit("missing"))
        .when(pl.col("is_exclusive"))
        .then(pl.lit("estimated"))
        .otherwise(pl.lit("provider")),
        unread_usage=unread_usage("usage_text", "usage_object", USAGE_KNOWN, elsewhere=_TOTALS),
        is_fallback=fell_back,
        fallback_cause=pl.when(fell_back).then(pl.coalesce("fallback_cause", pl.lit("unknown"))),
        is_gateway_cache_hit=hit,
        dedupe_key=pl.concat_str(pl.lit("id:"), request_id),
    )
    return done.drop("tag_entries")


def _counted(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Turn counts into numbers and make them disjoint."""
    totals = ("prompt_tokens", "completion_tokens", "total_tokens")
    frame = frame.with_columns(_text(name).alias(name) for name in totals)
    frame = with_numbers(
        frame, (*totals, *COUNTS, "retries", "fallbacks"), ("queue_seconds", "audio_seconds", "tool_cost")
    )
    total = pl.col("prompt_tokens") + pl.col("completion_tokens")
    # The proxy writes 0 tokens where the provider reported none.
    is_reported = pl.col("usage_prompt").is_not_null() | (total > 0).fill_null(value=False)
    parts = pl.col("cache_write_5m").fill_null(0) + pl.col("cache_write_1h").fill_null(0)
    frame = frame.with_columns(
        prompt=pl.when(is_reported).then(pl.col("prompt_tokens")),
        completion=pl.when(is_reported).then(pl.col("completion_tokens")),
        # Versions that tell the parts alone leave the total at 0.
        written=pl.when((pl.col("created") != 0) | (parts == 0)).then(pl.col("created")),
    )
    # What an image endpoint puts out is image tokens, unless it tells text from images; a chat model's may be text.
    is_drawn = (
        pl.col("call_type").str.contains("image", literal=True)
        & pl.col("image_output").is_null()
        & ~pl.col("called_model").str.contains("gemini", literal=True)
    )
    frame = frame.with_columns(image_output=pl.when(is_drawn).then("completion").otherwise("image_output"))
    return disjoint(_beside(split_writes(frame)), TokenRule(has_exclusive_variant=True, total_decides=True))


def _beside(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Settle what Perplexity counts beside its totals, and the thoughts that Gemini has in the total alone."""
    is_perplexity = (_text("custom_llm_provider") == "perplexity").fill_null(value=False)
    citations = pl.when(is_perplexity).then("citations")
    rest = pl.col("total_tokens") - pl.col("prompt") - pl.col("completion")
    cached = pl.sum_horizontal("cache_read", "cache_write_5m", "cache_write_1h")
    thoughts = hidden_thoughts(rest, model=pl.col("called_model"), reasoning=pl.col("reasoning"))
    return frame.with_columns(
        reasoning=pl.coalesce(pl.when(rest != cached).then(thoughts), "reasoning"),
        prompt=pl.col("prompt") + citations.fill_null(0),
        other_input=citations,
        is_reasoning_beside=is_perplexity,
        total=pl.when(~is_perplexity).then("total_tokens"),
    )


def _placed(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Take the provider, the place and the way of calling out of the model's name: what is left has a price.

    LiteLLM writes `provider/` before the model; for Bedrock `converse/`, a region, a commitment, or an ARN; for Azure
    the zone of the deployment (`eu/`, `us/`, `global-standard/`).
    """
    provider, model = _text("custom_llm_provider"), _text("model")
    own = pl.concat_str(provider, pl.lit("/"))
    model = pl.coalesce(pl.when(model.str.starts_with(own)).then(model.str.strip_prefix(own)), model)
    is_bedrock = provider.str.starts_with("bedrock").fill_null(value=False)
    is_azure = provider.is_in(["azure", "azure_text"]).fill_null(value=False)
    bare = model.str.replace(_BEDROCK_WAY, "")
    region = pl.coalesce(
        bare.str.extract(_BEDROCK_REGION, 1), bare.str.extract(r"^arn:[^:]*:bedrock:([^:]+):", 1)
    )
    named = bare.str.replace(_BEDROCK_REGION, "")
    is_provisioned = named.str.contains(PROVISIONED)
    named = named.str.replace(r"^\d-month-commitment/", "")
    named = pl.coalesce(named.str.extract(NAMED_ARN, 1), named)
    zone = model.str.extract(r"^(eu|us|global|global-standard|data-?zone(?:-standard)?|regional)/", 1)
    called = (
        pl.when(is_bedrock)
        .then(named)
        .when(is_azure & zone.is_not_null())
        .then(model.str.replace(r"^[a-z-]+/", ""))
        .otherwise(model)
    )
    return frame.with_columns(
        called_model=called,
        called_region=pl.when(is_bedrock).then(region).when(is_azure & zone.is_in(["eu", "us"])).then(zone),
        is_provisioned=is_bedrock & is_provisioned.fill_null(value=False),
    )


def _meters() -> dict[str, pl.Expr]:
    """Return what a row counts beside tokens; dollars of tools only where it says not how often they were called."""
    is_perplexity = _text("custom_llm_provider") == "perplexity"
    is_charged = (pl.col("tool_cost") > 0).fill_null(value=False)
    by_name = searches(
        pl.col("searches"), model=pl.col("called_model"), has_usage=pl.col("has_usage") & ~is_charged
    )
    size = pl.when(is_perplexity & ~pl.col("called_model").str.contains("deep-research", literal=True)).then(
        "context_size"
    )
    is_counted = (pl.col("searches") > 0).fill_null(value=False)
    return {
        "web_search": by_name,
        "search_context_medium": pl.when(size == "medium").then(1),
        "search_context_high": pl.when(size == "high").then(1),
        "web_fetch": pl.when(pl.col("fetches") > 0).then("fetches"),
        "live_search_sources": pl.when(pl.col("live_sources") > 0).then("live_sources"),
        "search_units": pl.when(pl.col("search_units") > 0).then("search_units"),
        "audio_seconds": pl.col("audio_seconds"),
        TOOL_FEES: pl.when(~is_counted & (pl.col("tool_cost") > 0)).then("tool_cost"),
    }


def _text(name: str) -> pl.Expr:
    """Return a text whose empty value means absent."""
    return pl.when(pl.col(name) != "").then(pl.col(name))


def _operation() -> pl.Expr:
    operation: pl.Expr = pl.lit("other")
    for word, name in reversed(_OPERATIONS.items()):
        operation = (
            pl.when(pl.col("call_type").str.contains(word, literal=True))
            .then(pl.lit(name))
            .otherwise(operation)
        )
    return operation
