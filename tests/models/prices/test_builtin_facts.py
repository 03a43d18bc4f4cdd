"""What the built-in sheets charge at instants at which prices changed, worked out by hand from the vendors' pages."""

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl

from models.costs.token_costs import price_requests
from models.prices.builtin import builtin_token_sheets
from models.prices.sheets import load_token_sheets
from models.prices.token_book import model_aliases, token_book
from models.schemas import table

MILLION = 1_000_000
FACTS: tuple[tuple[str, str, str, str | None, str | None, str, str], ...] = (
    # api-docs.deepseek.com: pricing and updates
    ("deepseek", "deepseek-chat", "2025-02-08T15:59", None, None, "input_uncached", "0.14"),
    ("deepseek", "deepseek-chat", "2025-02-08T16:00", None, None, "input_uncached", "0.27"),
    ("deepseek", "deepseek-chat", "2025-02-25T18:00", None, None, "input_uncached", "0.27"),
    ("deepseek", "deepseek-reasoner", "2025-03-09T18:00", None, None, "input_uncached", "0.135"),
    ("deepseek", "deepseek-reasoner", "2025-09-05T15:59", None, None, "output_text", "2.19"),
    ("deepseek", "deepseek-reasoner", "2025-09-05T16:31", None, None, "output_text", "1.68"),
    ("deepseek", "deepseek-chat", "2026-04-23T12:00", None, None, "output_text", "0.42"),
    ("deepseek", "deepseek-chat", "2026-04-24T12:00", None, None, "output_text", "0.28"),
    ("deepseek", "deepseek-v4-flash", "2026-04-25T12:00", None, None, "cache_read", "0.028"),
    ("deepseek", "deepseek-v4-pro", "2026-04-25T12:00", None, None, "output_text", "3.48"),
    ("deepseek", "deepseek-v4-pro", "2026-06-25T12:00", None, None, "output_text", "0.87"),
    ("deepseek", "deepseek-v4-pro", "2026-08-20T02:00", None, None, "output_text", "3.96"),
    ("deepseek", "deepseek-v4-flash", "2026-08-22T02:00", None, None, "input_uncached", "0.44"),
    ("deepseek", "deepseek-v4-flash", "2026-08-29T02:00", None, None, "input_uncached", "0.22"),
    ("deepseek", "deepseek-flash", "2026-09-14T02:00", None, None, "input_uncached", "0.3"),
    ("deepseek", "deepseek-flash", "2026-09-14T05:00", None, None, "input_uncached", "0.15"),
    ("deepseek", "deepseek-flash", "2026-10-01T02:00", None, None, "input_uncached", "0.15"),
    ("deepseek", "deepseek-flash", "2026-10-08T02:00", None, None, "input_uncached", "0.3"),
    # platform.claude.com: pricing; the rise that was announced for September 2026 was cancelled
    ("anthropic", "claude-sonnet-5", "2026-10-01T12:00", None, None, "output_text", "10"),
    ("anthropic", "claude-opus-5-5", "2026-11-20T12:00", "fast", None, "output_text", "40"),
    ("aws.bedrock", "eu.anthropic.claude-opus-4-7", "2026-06-01T12:00", None, None, "cache_write_1h", "11"),
    ("aws.bedrock", "jp.anthropic.claude-opus-4-7", "2026-06-01T12:00", None, None, "cache_write_1h", "11"),
    ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", "2026-01-15T12:00", None, "europe-west1", "input_uncached", "6.6"),
    ("gcp.vertex_ai", "claude-sonnet-4-5@20250929", "2026-01-15T12:00", None, "global", "input_uncached", "6"),
    # the names of answers (`msg_bdrk_`, `msg_vrtx_`), where no profile and no place chooses the price
    ("aws.bedrock", "claude-3-5-sonnet-20241022", "2025-06-01T12:00", None, None, "output_text", "15"),
    ("aws.bedrock", "claude-opus-4-1-20250805", "2025-10-01T12:00", None, None, "output_text", "75"),
    ("gcp.vertex_ai", "claude-3-5-sonnet-20241022", "2025-06-01T12:00", None, None, "output_text", "15"),
    ("gcp.vertex_ai", "claude-sonnet-4-20250514", "2025-06-01T12:00", None, "us-east5", "output_text", "15"),
    ("gcp.vertex_ai", "claude-haiku-4-5-20251001", "2026-02-01T12:00", None, None, "output_text", "5"),
    # azure.microsoft.com: the global deployment, and a data zone
    ("azure.ai.openai", "gpt-4o-2024-11-20", "2026-02-01T12:00", None, None, "input_uncached", "2.5"),
    ("azure.ai.openai", "gpt-4o-mini", "2026-02-01T12:00", None, "eu", "output_text", "0.66"),
    # developers.openai.com, ai.google.dev, docs.x.ai: pricing
    ("openai", "gpt-5.6-sol", "2026-08-01T12:00", None, None, "input_uncached", "10"),
    ("openai", "gpt-5.6-sol", "2026-09-01T12:00", None, None, "input_uncached", "8"),
    ("openai", "gpt-5", "2026-10-20T12:00", "priority", None, "input_uncached", "2.5"),
    ("openai", "gpt-5", "2026-10-20T12:00", "flex", None, "output_text", "5"),
    ("gcp.vertex_ai", "gemini-2.5-flash", "2026-05-01T12:00", "batch", None, "input_uncached", "0.15"),
    ("gcp.vertex_ai", "gemini-3.6-flash", "2026-10-01T12:00", None, None, "output_text", "3.75"),
    ("gcp.gemini", "gemini-2.5-flash-native-audio-preview-09-2025", "2026-02-01T12:00", None, None, "audio_output",
     "12"),
    ("x_ai", "grok-4.5", "2026-11-01T12:00", None, None, "cache_read", "0.6"),
    # platform.openai.com/docs/pricing: a picture is all of gpt-image-1's output
    ("openai", "gpt-image-1", "2025-06-01T12:00", None, None, "image_output", "40"),
    ("openai", "gpt-image-2", "2026-09-01T12:00", None, None, "image_output", "30"),
    # aws.amazon.com/bedrock/pricing: a region's own rate
    ("aws.bedrock", "meta.llama3-70b-instruct-v1:0", "2026-06-01T12:00", None, "ap-south-1", "input_uncached", "3.18"),
    ("aws.bedrock", "meta.llama3-70b-instruct-v1:0", "2026-06-01T12:00", None, "us-west-2", "input_uncached", "2.65"),
    ("aws.bedrock", "amazon.nova-pro-v1:0", "2026-10-01T12:00", None, "us-gov-west-1", "output_text", "3.84"),
    # azure.microsoft.com/pricing: a data zone is a tenth dearer than the global deployment
    ("azure.ai.openai", "gpt-4o-2024-08-06", "2026-06-01T12:00", None, None, "input_uncached", "2.5"),
    ("azure.ai.openai", "gpt-4o-2024-08-06", "2026-06-01T12:00", None, "eu", "input_uncached", "2.75"),
    ("azure.ai.openai", "gpt-5-mini-2025-08-07", "2026-06-01T12:00", None, "us", "output_text", "2.2"),
    ("azure.ai.openai", "gpt-4.1", "2026-06-01T12:00", None, "eu", "output_text", "8.8"),
    # docs.together.ai states no rate of cached input
    ("together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "2026-05-01T12:00", None, None, "cache_read", "0.88"),
)  # fmt: skip
"""Provider, model, start (UTC), tier, region, class of a million tokens, and dollars.

A million tokens is a long prompt where that has a rate of its own.
"""


def test_built_in_sheets_charge_what_the_vendors_pages_say() -> None:
    sheets = [
        sheet
        for sheet in load_token_sheets(builtin_token_sheets())
        if sheet.provider in {row[0] for row in FACTS}
    ]
    plain = {
        "source": "s", "source_kind": "r", "status": "ok", "usage_source": "provider", "is_gateway_cache_hit": False,
    }  # fmt: skip
    rows = []
    for number, (provider, model, at, tier, region, token_class, _) in enumerate(FACTS):
        started = datetime.fromisoformat(at).replace(tzinfo=UTC)
        rows.append(
            plain
            | {"request_id": str(number), "provider": provider, "served_model": model, "service_tier": tier}
            | {
                "region": region,
                "started_at": started,
                "finished_at": started,
                f"{token_class}_tokens": MILLION,
            }
        )
    costs = price_requests(
        table("core.requests").frame(rows).lazy(), book=token_book(sheets).lazy(), models=model_aliases(sheets).lazy(),
        time_zone="UTC", as_known_at=datetime(2026, 11, 30, tzinfo=UTC),
        from_hour=datetime(2025, 1, 1, tzinfo=UTC), to_hour=datetime(2026, 11, 30, tzinfo=UTC),
    ).collect()  # fmt: skip
    found = dict(costs.select(pl.col("request_id").cast(pl.Int64), "effective_usd").iter_rows())
    wrong = [
        (*fact, found[number]) for number, fact in enumerate(FACTS) if found[number] != Decimal(fact[-1])
    ]
    assert wrong == []
    # Where the place chooses the price and none that the book knows is told, the row says so.
    told = {(row[0], row[1], row[4]) for row in FACTS}
    assumed = {
        (row["provider"], row["served_model"], row["region"])
        for row in costs.filter(pl.col("assumed_meters").str.contains("region")).iter_rows(named=True)
    }
    assert assumed == {("gcp.vertex_ai", "claude-haiku-4-5-20251001", None)} <= told
