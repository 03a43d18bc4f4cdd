"""The built-in sheets against an independent list, model by model."""

from datetime import UTC, datetime
from decimal import Decimal

import polars as pl
import pytest

from models.costs.token_costs import price_requests
from models.prices.builtin import builtin_token_sheets
from models.prices.sheets import load_token_sheets
from models.prices.token_book import model_aliases, token_book
from models.schemas import table

genai_prices = pytest.importorskip("genai_prices", reason="genai_prices is not installed")

ON = datetime(2026, 7, 24, 12, tzinfo=UTC)
THEIR_PROVIDER = {
    "openai": "openai", "anthropic": "anthropic", "gcp.gemini": "google", "aws.bedrock": "aws",
    "azure.ai.openai": "azure", "together": "together", "fireworks": "fireworks", "groq": "groq",
    "cerebras": "cerebras", "deepseek": "deepseek", "mistral_ai": "mistral", "openrouter": "openrouter",
}  # fmt: skip
SHAPES = (
    {"input_uncached": 12_345, "output_text": 678},
    {"input_uncached": 2_000, "cache_read": 8_000, "output_text": 500},
    {"input_uncached": 250_000, "output_text": 1_000},
)
KNOWN_DIFFERENCES = {
    # Ours keeps the surcharge above 200,000 input tokens; theirs dropped it.
    ("anthropic", "claude-sonnet-4-20250514"),
    ("aws.bedrock", "anthropic.claude-sonnet-4-20250514-v1:0"),
    ("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
    # Theirs takes a regional endpoint (10 % dearer) for the plain id; ours the global one.
    ("aws.bedrock", "anthropic.claude-haiku-4-5-20251001-v1:0"),
    ("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    # Ours is the data-zone or regional rate, theirs the global one (10 % cheaper).
    ("azure.ai.openai", "gpt-4o-2024-11-20"),
    ("azure.ai.openai", "gpt-4o-mini"),
    # Theirs was last checked before the cut of September 2025.
    ("deepseek", "deepseek-chat"),
    ("deepseek", "deepseek-reasoner"),
    # Cached input at $0.015 here, $0.014 there.
    ("fireworks", "accounts/fireworks/models/gpt-oss-120b"),
}


def theirs(provider: str, model: str, shape: dict[str, int]) -> Decimal | None:
    cached = shape.get("cache_read", 0)
    usage = genai_prices.Usage(
        input_tokens=shape["input_uncached"] + cached,
        cache_read_tokens=cached or None,
        output_tokens=shape["output_text"],
    )
    try:
        found = genai_prices.calc_price(
            usage, model, provider_id=THEIR_PROVIDER[provider], genai_request_timestamp=ON
        )
    except LookupError:
        return None
    return Decimal(found.total_price)


def test_builtin_sheets_agree_with_an_independent_list() -> None:
    sheets = load_token_sheets(builtin_token_sheets())
    models = [
        (sheet.provider, model.model)
        for sheet in sheets
        for model in sheet.models
        if sheet.provider in THEIR_PROVIDER
    ]
    asked = [(provider, model, shape) for provider, model in models for shape in SHAPES]
    requests = table("core.requests").frame(
        {
            "source": "s", "source_kind": "requests", "request_id": str(number), "provider": provider,
            "served_model": model, "started_at": ON, "status": "ok", "usage_source": "provider",
            "is_gateway_cache_hit": False,
        } | {f"{name}_tokens": count for name, count in shape.items()}
        for number, (provider, model, shape) in enumerate(asked)
    )  # fmt: skip
    costs = price_requests(
        requests.lazy(), book=token_book(sheets).lazy(), models=model_aliases(sheets).lazy(), gpu_routes=[],
        time_zone="UTC", as_known_at=datetime(2026, 11, 1, tzinfo=UTC), from_hour=ON.replace(minute=0),
        to_hour=ON.replace(hour=13),
    ).collect()  # fmt: skip
    ours = dict(costs.select(pl.col("request_id").cast(pl.Int64), "effective_usd").rows())
    compared = 0
    different: dict[tuple[str, str], list[object]] = {}
    for number, (provider, model, shape) in enumerate(asked):
        expected = theirs(provider, model, shape)
        if expected is None or ours[number] is None:
            continue
        compared += 1
        if abs(ours[number] - expected) > Decimal("1e-12"):
            different.setdefault((provider, model), []).append((shape, ours[number], expected))
    assert compared > 100
    assert set(different) == KNOWN_DIFFERENCES, different
