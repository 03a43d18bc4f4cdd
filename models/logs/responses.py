"""Response objects as providers return them: the shared reading of the formats `*_response`.

A record is the response object itself, or an envelope that holds it (or the events of a stream) under `response`;
canonical columns may stand beside in both cases and are read where the response itself does not say. The start is
`started_at`, else the response's own time; a record with neither is quarantined.
"""

from collections.abc import Mapping

import polars as pl

from models.logs.response_format import ResponseFormat
from models.logs.response_sql import (
    BESIDE_INSTANTS,
    BESIDE_TEXTS,
    USAGE_TEXT,
    response_columns,
    response_select,
    usage_objects,
)
from models.logs.served_by import marked_by, owner_of, served_by
from models.logs.tokens import disjoint, total_tokens
from models.logs.unread import unread_usage
from models.records import METER, Importer, first_reason, with_map
from models.tiers import DEFAULT_TIER

_FIRST_ERROR_CODE = 400
_NAMES = ("model", "beside_served_model", "beside_routed_model", "beside_requested_model")
"""Columns that name the model, the served one first."""


def response_importer(form: ResponseFormat) -> Importer:
    """Return the importer of a response format."""
    inside = (
        frozenset(f"response.{sign}" for sign in signs) for signs in form.signature if "response" not in signs
    )
    return Importer(
        kind=form.kind,
        table="raw.requests",
        columns=dict.fromkeys(response_columns(form), "VARCHAR"),
        select=response_select(form),
        canonical=lambda frame: _canonical(frame, form),
        formats=("jsonl", "parquet"),
        signature=(*form.signature, *inside),
        rank=form.rank,
        takes_columns=True,
        own_counts=form.own_counts[1] if form.own_counts is not None else None,
        served_by=served_by if form.provider is None else None,
    )


def _canonical(frame: pl.LazyFrame, form: ResponseFormat) -> pl.LazyFrame:
    present = set(frame.collect_schema().names())
    missing = {
        name: pl.lit(None, dtype=pl.Int64)
        for name in ("prompt", "completion", "total")
        if name not in present
    }
    frame = form.amend(
        frame.with_columns(
            **missing,
            is_estimated=pl.lit(value=False),
            is_cancelled=pl.lit(value=False),
            is_split_assumed=pl.lit(value=False),
            is_gateway_cache_hit=pl.lit(value=False),
            provider=_provider(form),
        )
    )
    operation = pl.col("object").replace_strict(
        list(form.operations), list(form.operations.values()), default=form.operation, return_dtype=pl.String
    )
    is_batch = pl.col("custom_id").is_not_null() | pl.col("batch_key").is_not_null()
    names = list(dict.fromkeys([*form.meters, *form.meters_sql]))
    meters = [pl.col(f"meter_{name}") for name in names]
    has_meter = pl.any_horizontal(meter.is_not_null() for meter in meters) if meters else pl.lit(value=False)
    frame = disjoint(frame.with_columns(operation=operation), form.rule)
    # A chat answer whose usage lacks one side is no full count.
    is_whole = (pl.col("prompt").is_not_null() & pl.col("completion").is_not_null()) | (
        pl.col("operation").is_in(["embedding", "rerank", "audio"])
    )
    is_counted = (pl.col("has_usage") & is_whole) | (~pl.col("has_usage") & has_meter)
    created = pl.col("created")
    seconds = {name: pl.col(f"seconds_{name}") / form.seconds_scale for name in form.seconds}
    whole = _sum(seconds, form.finished_after)
    if form.created_at_end:
        started, finished = pl.coalesce("beside_started_at", created - _duration(whole), created), created
    else:
        started = pl.coalesce("beside_started_at", "created")
        # Two clocks may put an end before the start: then it is not known.
        ended = pl.when(pl.col("ended") >= started).then(pl.col("ended"))
        finished = pl.coalesce(ended, started + _duration(whole))
    frame = frame.with_columns(
        started_at=started,
        status_code=pl.coalesce(
            "outer_status_code", pl.col("inner_status_code").cast(pl.Int64, strict=False)
        ),
    )
    failed = (
        pl.col("state").is_in(["failed", "errored"])
        | (pl.col("status_code") >= _FIRST_ERROR_CODE)
        | pl.col("outer_error").is_not_null()
    )
    cancelled = pl.col("state").is_in(["cancelled", "canceled", "expired"]) | pl.col("is_cancelled")
    unreadable = pl.any_horizontal(
        *(pl.col(f"has_{name}") & pl.col(f"beside_{name}").is_null() for name in BESIDE_INSTANTS),
        *(pl.col(f"has_{name}") & pl.col(name).is_null() for name in ("created", "ended")),
    )
    whole_id = pl.coalesce(
        pl.when(pl.col("response_id").str.contains(form.id_pattern)).then(pl.col("response_id")),
        "beside_request_id",
    )
    is_further = pl.col("record_number") > 1
    numbered = pl.concat_str(whole_id, pl.lit("#"), "record_number")
    request_id = pl.when(is_further).then(pl.coalesce("call_id", numbered)).otherwise(whole_id)
    tier = pl.coalesce("tier", "beside_service_tier")
    tags = {name: pl.col(f"tag_{name}") for name in form.tags}
    tags["cache_write_split"] = pl.when("is_split_assumed").then(pl.lit("assumed"))
    tags["counts_differ"] = pl.col("differing_counts")
    frame = with_map(frame, "tags", tags, pl.String)
    if names:
        counted = {name: pl.when(meter > 0).then(meter) for name, meter in zip(names, meters, strict=True)}
        frame = with_map(frame, "other_meters", counted, METER)
    return frame.with_columns(
        *first_reason(
            (~pl.col("is_readable"), "bad_value", "response"),
            (~pl.col("is_known").fill_null(value=False), "unknown_shape", "no field of a response"),
            (unreadable, "bad_value", "a time is no instant"),
            (pl.col("started_at").is_null(), "missing_started_at", "started_at"),
            (pl.col("odd_parts").is_not_null(), "bad_value", pl.col("odd_parts")),
            *(
                (pl.col(name).is_not_null(), "bad_value", pl.col(name))
                for name in ("bad_counts", "bad_meters", "bad_durations", "bad_queue")
            ),
            (pl.col("negative"), "negative_tokens", "a token class is below zero"),
            ((pl.col("total") != total_tokens()).fill_null(value=False), "tokens_do_not_add_up", "total"),
        ),
        request_id=request_id,
        content_hash=pl.when(request_id.is_null()).then(pl.col("row_hash")),
        dedupe_key=pl.concat_str(pl.lit("id:"), request_id),
        logical_request_id=pl.coalesce(
            "beside_logical_request_id", "custom_id", "batch_key", pl.when(is_further).then(whole_id)
        ),
        attempt_no=pl.col("beside_attempt_no").fill_null(1),
        finished_at=pl.coalesce("beside_finished_at", finished),
        first_token_at=pl.coalesce(
            "beside_first_token_at", pl.col("started_at") + _duration(_sum(seconds, form.first_token_after))
        ),
        region=pl.coalesce("beside_region", "region"),
        provider=_provider(form),
        requested_model=pl.coalesce(
            "beside_requested_model", "beside_routed_model", "model", "beside_served_model"
        ),
        routed_model=pl.coalesce(
            "beside_routed_model", "beside_requested_model", "model", "beside_served_model"
        ),
        served_model=pl.coalesce(*_NAMES),
        service_tier=pl.when(is_batch)
        .then(pl.lit("batch"))
        .otherwise(pl.coalesce(tier.replace(dict(form.tiers)), pl.lit(DEFAULT_TIER))),
        status=pl.when(failed.fill_null(value=False))
        .then(pl.lit("error"))
        .when(cancelled.fill_null(value=False))
        .then(pl.lit("cancelled"))
        .otherwise(pl.lit("ok")),
        error_class=pl.coalesce(
            "error_class",
            "outer_error",
            pl.when(pl.col("status_code") >= _FIRST_ERROR_CODE).then(
                pl.concat_str(pl.lit("http_"), "status_code")
            ),
        ),
        usage_source=pl.when(~is_counted)
        .then(pl.lit("missing"))
        .when(pl.col("is_exclusive") | pl.col("is_estimated") | pl.col("differing_counts").is_not_null())
        .then(pl.lit("estimated"))
        .otherwise(pl.lit("provider")),
        unread_usage=_unread(form),
        is_fallback=pl.col("beside_is_fallback"),
        queue_seconds=pl.coalesce(
            "beside_queue_seconds", seconds.get("queue", pl.lit(None, dtype=pl.Float64))
        ),
        **{
            name: pl.col(f"beside_{name}")
            for name in BESIDE_TEXTS
            if name not in ("request_id", "logical_request_id", "provider", "service_tier", "region")
            and not name.endswith("_model")
        },
    )


def _provider(form: ResponseFormat) -> pl.Expr:
    stated = pl.coalesce("beside_provider", marked_by(pl.col("sign_provider"), pl.coalesce(*_NAMES)))
    if form.provider is not None:
        return pl.coalesce(stated, pl.lit(form.provider))
    return pl.coalesce(stated, owner_of(pl.coalesce(*_NAMES)))


def _unread(form: ResponseFormat) -> pl.Expr:
    place, pattern = form.own_counts or (None, "")
    found = [
        unread_usage(
            f"{USAGE_TEXT}{number}",
            path.replace('"', "").removeprefix("$"),
            known,
            pattern=pattern if place in (path, f"$.{path}") else None,
        )
        for number, (path, known) in enumerate(usage_objects(form).items())
    ]
    if len(found) > 1:
        found = [pl.concat_str(found, separator=",", ignore_nulls=True).replace("", None)]
    return found[0] if found else pl.lit(None, dtype=pl.String)


def _sum(seconds: Mapping[str, pl.Expr], names: tuple[str, ...]) -> pl.Expr:
    if not names:
        return pl.lit(None, dtype=pl.Float64)
    return pl.sum_horizontal((seconds[name] for name in names), ignore_nulls=False)


def _duration(seconds: pl.Expr) -> pl.Expr:
    return pl.duration(microseconds=(seconds * 1e6).round(0).cast(pl.Int64, strict=False))
