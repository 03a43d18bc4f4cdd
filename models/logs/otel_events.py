"""Events of coding agents, as OTLP log records: which of them are calls, and what their counts include.

Claude Code's counts are disjoint and the event is written at the end of a request. Codex' input includes what was
cached, its output reasoning; `tool_token_count` is its total. Gemini CLI's input includes what was cached; thoughts and
the prompts of tools stand beside. Source: Claude Code's monitoring page, openai/codex docs and otel_event_manager,
google-gemini/gemini-cli docs/cli/telemetry.md.
"""

import polars as pl


def as_calls(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Give the log records that tell of a call the fields of a span; others keep none that says so.

    Args:
        frame: columns `is_event, event_name, event_body, event_kind, provider, operation_name, prompt, completion,
            reasoning, cache_read, written, tool_input, total` as texts.
    """
    name = pl.coalesce("event_name", "event_body")
    is_claude = pl.col("is_event") & name.str.contains(r"^(claude_code\.)?api_request$")
    is_codex = (
        pl.col("is_event")
        & name.str.contains(r"^codex\.(sse_event|websocket_event)$")
        & (pl.col("event_kind") == "response.completed")
    )
    is_gemini = pl.col("is_event") & name.str.contains(r"^(gemini_cli|qwen-code)\.api_response$")
    is_claude, is_codex, is_gemini = (
        is_it.fill_null(value=False) for is_it in (is_claude, is_codex, is_gemini)
    )
    is_call = is_claude | is_codex | is_gemini
    number = {
        column: pl.col(column).cast(pl.Int64, strict=False).fill_null(0)
        for column in ("prompt", "completion", "reasoning", "cache_read", "written", "tool_input")
    }
    prompt = (
        pl.when(is_claude)
        .then(number["prompt"] + number["cache_read"] + number["written"])
        .when(is_gemini)
        .then(number["prompt"] + number["tool_input"])
    )
    # Counts that are no number stay, and are refused.
    is_odd = pl.any_horizontal(
        pl.col(column).is_not_null() & pl.col(column).cast(pl.Int64, strict=False).is_null()
        for column in number
    )
    settled = pl.when(~is_odd & pl.col("prompt").is_not_null())
    return frame.with_columns(
        operation_name=pl.when(is_call)
        .then(pl.lit("chat"))
        .when("is_event")
        .then(pl.lit("framework"))
        .otherwise("operation_name"),
        provider=pl.when(is_claude)
        .then(pl.lit("anthropic"))
        .when(is_codex)
        .then(pl.lit("openai"))
        .when(is_gemini & name.str.starts_with("gemini"))
        .then(pl.lit("gcp.gemini"))
        .otherwise("provider"),
        prompt=pl.coalesce(settled.then(prompt.cast(pl.String)), "prompt"),
        completion=pl.when(is_gemini & ~is_odd & pl.col("completion").is_not_null())
        .then((number["completion"] + number["reasoning"]).cast(pl.String))
        .otherwise("completion"),
        tool_input=pl.when(~pl.col("is_event")).then("tool_input"),
        total=pl.when(~pl.col("is_event")).then("total"),
        tier=pl.when(is_claude & (pl.col("speed") == "fast")).then(pl.lit("fast")).otherwise("tier"),
    )
