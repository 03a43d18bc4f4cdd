"""The built-in book against the installed genai-prices: every current rate, tier and fee, and every price to come.

A raised dependency brings newer prices; what then differs is appended to the sheets, or explained here.
"""

import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from models.prices.builtin import builtin_token_sheets
from models.prices.outside.genai_prices import CLASSES, PROVIDERS
from models.prices.sheet_schema import TokenSheet
from models.prices.sheets import load_token_sheets
from models.prices.token_book import token_book

genai_prices = pytest.importorskip("genai_prices", reason="genai_prices is not installed")
types = genai_prices.types

THEIRS = {own: theirs for theirs, own in PROVIDERS.items()} | {
    "gcp.vertex_ai": "google",
    "azure.ai.inference": "azure",
}
"""Their id of a provider where it is not ours."""
FEES = {
    "web_searches_kcount": ("web_search", 1000),
    "storage_searches_kcount": ("file_search", 1000),
    "requests_kcount": ("request", 1000),
    "audio_hours": ("audio_seconds", 3600),
}
"""Their fees: the meter of ours, and how many of its units a fee is for."""
PAGES = {
    "aws.bedrock": "https://aws.amazon.com/bedrock/pricing/",
    "azure.ai.openai": "https://azure.microsoft.com/pricing/details/azure-openai/",
    "deepseek": "https://api-docs.deepseek.com/quick_start/pricing",
    "gcp.gemini": "https://ai.google.dev/gemini-api/docs/pricing",
    "gcp.vertex_ai": "https://cloud.google.com/vertex-ai/generative-ai/pricing",
    "groq": "https://groq.com/pricing",
    "mistral_ai": "https://mistral.ai/pricing",
    "openai": "https://developers.openai.com/api/docs/pricing",
    "perplexity": "https://docs.perplexity.ai/getting-started/pricing",
    "together": "https://www.together.ai/pricing",
}
"""Where the reasons below were read."""
EXPLAINED: tuple[tuple[str, str, str], ...] = (
    (
        "aws.bedrock",
        r"^(anthropic\.)?claude-",
        "a plain id is the global endpoint here, the dearer one there",
    ),
    ("databricks", "^", "in DBU, which they turn into dollars at its list price"),
    ("aws.bedrock", r"^us-gov\.", "GovCloud has rates of its own, which their rule takes for us."),
    ("aws.bedrock", r"^(eu|apac|us)\.(amazon|meta)", "profiles have rates of their own; theirs has one"),
    ("azure.ai.openai", r"^o1-mini$", "the data zone's rate here, the global there; retired"),
    (
        "deepseek",
        r"^deepseek-(chat|reasoner|r1|v3\.2)$",
        "theirs has rates of early 2025; retired on 2026-07-24",
    ),
    ("openai", r"^gpt-4o-mini-search-preview", "theirs is gpt-4o-mini, whose search tool has another fee"),
    ("gcp.gemini", r"gemini-(1\.|pro$)", "retired; the lists kept rates of different days"),
    ("gcp.gemini", r"gemini-2\.5-.*(preview|exp)-0[3-6]", "a retired preview had other rates than the model"),
    ("gcp.vertex_ai", r"gemini-(1\.|pro$)", "retired; the lists kept rates of different days"),
    (
        "gcp.vertex_ai",
        r"gemini-2\.5-.*(preview|exp)-0[3-6]",
        "a retired preview had other rates than the model",
    ),
    ("gcp.vertex_ai", r"gemini-2\.0-flash", "Vertex AI asks more for it than the Gemini API"),
    ("groq", r"^gemma-7b-it$", "retired; two lists, two figures"),
    (
        "mistral_ai",
        r"^mistral-(large-latest|medium)$",
        "a floating name that means another model on each list",
    ),
    (
        "openai",
        r"^ft:gpt-4o-2024-05-13$",
        "another snapshot's fine-tune, which their prefix rule takes for it",
    ),
    ("openai", r"^gpt-4o-realtime-preview-2024-10-01$", "the first snapshot was dearer"),
    ("openai", r"^gpt-4o-mini-tts$", "speech has no text output"),
    (
        "perplexity",
        r"^sonar(-pro|-reasoning|-reasoning-pro)?$",
        "the fee of a low search context; there of a high one",
    ),
    ("together", r"Mixtral-8x7B", "retired; two lists, two figures"),
)
"""Models whose rates differ from theirs for a reason: provider, pattern of the model, and why."""


@pytest.fixture(scope="module")
def sheets() -> list[TokenSheet]:
    return load_token_sheets(builtin_token_sheets())


@pytest.fixture(scope="module")
def today(sheets: list[TokenSheet]) -> datetime:
    """Noon of the day on which the book was last read."""
    return max(sheet.checked_on for sheet in sheets).replace(hour=12)


def split(rates: dict[str, Decimal]) -> dict[str, Decimal]:
    """Write `output` as the two classes that it is short for."""
    if (both := rates.pop("output", None)) is not None:
        rates = {"output_text": both, "reasoning": both} | rates
    return rates


def stated(price: Any) -> tuple[dict[str, Decimal], dict[str, Decimal], dict[str, Decimal]]:
    """Return a price of theirs by class of ours: below the threshold, beyond it, and fees a unit."""
    base: dict[str, Decimal] = {}
    beyond: dict[str, Decimal] = {}
    fees: dict[str, Decimal] = {}
    for key, value in vars(price).items():
        if key in FEES and value is not None:
            meter, per = FEES[key]
            fees[meter] = value / per
        elif key in CLASSES and isinstance(value, types.TieredPrices):
            base[CLASSES[key]], beyond[CLASSES[key]] = value.base, value.tiers[0].price
        elif key in CLASSES and value is not None:
            base[CLASSES[key]] = value
    return split(base), split(beyond), fees


def starts_on(item: Any) -> date:
    constraint = item.constraint
    return constraint.start_date if isinstance(constraint, types.StartDateConstraint) else date.min


def dated(model: Any) -> list[tuple[date, Any]]:
    """Return their prices of a model with the day on which each begins, without those of some hours."""
    if not isinstance(model.prices, list):
        return [(date.min, model.prices)]
    plain = [item for item in model.prices if not isinstance(item.constraint, types.TimeOfDateConstraint)]
    return [(starts_on(item), item.prices) for item in plain]


def tiers(model: Any, day: date) -> dict[str, Any]:
    """Return their tiers of a model on a day, under our names."""
    found = {}
    for variant in sorted(model.price_variants or (), key=starts_on):
        when = dict(variant.when)
        tier = {"batch": "batch", "fast": "fast"}.get(when.get("processing") or when.get("speed") or "")
        tier = tier or (when.get("service_tier") if when.get("service_tier") != "default" else None)
        if tier and starts_on(variant) <= day:
            found[tier] = variant.prices
    return found


Card = tuple[str, bool, str]


def their_rates(model: Any, day: date) -> dict[Card, Decimal]:
    """Return their rates on a day by tier, whether beyond the threshold, and class or meter."""
    base, beyond, fees = stated([price for start, price in dated(model) if start <= day][-1])
    found: dict[Card, Decimal] = {("default", False, meter): rate for meter, rate in {**base, **fees}.items()}
    if beyond:
        found |= {("default", True, meter): rate for meter, rate in {**base, **beyond}.items()}
    for tier, price in tiers(model, day).items():
        own, own_beyond, _ = stated(price)
        found |= {(tier, False, meter): rate for meter, rate in {**base, **own}.items()}
        if beyond:
            others = {meter: rate for meter, rate in {**base, **beyond}.items() if meter not in own}
            found |= {(tier, True, meter): rate for meter, rate in {**own, **others, **own_beyond}.items()}
    return found


def our_rates(sheets: list[TokenSheet], at: datetime) -> dict[tuple[str, str], dict[Card, Decimal]]:
    rows = token_book(sheets).filter(
        pl.col("valid_from") <= at,
        pl.col("valid_to").is_null() | (pl.col("valid_to") > at),
        pl.col("known_to").is_null(),
        pl.col("region").is_null(),
        pl.col("schedule").is_null(),
        pl.col("usd_per_mtok").is_not_null(),
        ~pl.col("is_assumed"),
    )
    found: dict[tuple[str, str], dict[Card, Decimal]] = {}
    columns = (
        "provider",
        "model",
        "service_tier",
        "above_input_tokens",
        "long_context_mode",
        "meter",
        "unit",
        "usd_per_mtok",
    )
    for provider, model, tier, above, mode, meter, unit, rate in rows.select(columns).iter_rows():
        if mode != "graduated":
            price = rate if unit == "token" else rate / 1_000_000
            found.setdefault((provider, model), {})[tier, above is not None, meter] = price
    return found


def both(sheets: list[TokenSheet]) -> Iterator[tuple[TokenSheet, Any, Any]]:
    """Yield every model of ours that theirs finds too, unless the difference is explained."""
    providers = {provider.id: provider for provider in genai_prices.data_snapshot.get_snapshot().providers}
    for sheet in sheets:
        theirs = providers.get(THEIRS.get(sheet.provider, sheet.provider))
        for model in sheet.models if theirs else ():
            known = any(
                provider == sheet.provider and re.search(name, model.model) for provider, name, _ in EXPLAINED
            )
            other = None if known else theirs.find_model(model.model.lower())
            if other is not None:
                yield sheet, model, other


def test_every_current_rate_tier_and_fee_is_that_of_genai_prices_or_explained(
    sheets: list[TokenSheet], today: datetime
) -> None:
    ours = our_rates(sheets, today)
    compared, different = 0, []
    for sheet, model, other in both(sheets):
        own = ours.get((sheet.provider, model.model), {})
        for card, rate in their_rates(other, today.date()).items():
            compared += 1
            held = own.get(card)
            if held is None or abs(held - rate) > max(rate, Decimal("1e-9")) * Decimal("1e-6"):
                different.append((sheet.provider, model.model, *card, held, rate))
    assert different == []
    assert compared > 6_000


def test_a_price_that_genai_prices_announces_stands_in_the_sheet(
    sheets: list[TokenSheet], today: datetime
) -> None:
    missing = [
        (sheet.provider, model.model, start)
        for sheet, model, other in both(sheets)
        for start, _ in dated(other)
        if start > today.date() and start not in {entry.valid_from.date() for entry in model.prices}
    ]
    assert missing == []
    unconfirmed = [
        (sheet.provider, model.model, entry.valid_from)
        for sheet in sheets
        for model in sheet.models
        for entry in model.prices
        if entry.valid_from > today and not entry.announced
    ]
    assert unconfirmed == []


def test_an_announced_price_prices_nothing_and_a_cancelled_rise_is_gone(sheets: list[TokenSheet]) -> None:
    book = token_book(sheets).filter(pl.col("known_to").is_null())
    sonnet = book.filter(
        pl.col("provider") == "anthropic", pl.col("model") == "claude-sonnet-5", pl.col("region").is_null(),
        pl.col("service_tier") == "default", pl.col("meter") == "output_text",
    )  # fmt: skip
    assert set(sonnet["usd_per_mtok"]) == {Decimal(10)}
    announced = {
        (sheet.provider, model.model, entry.valid_from)
        for sheet in sheets
        for model in sheet.models
        for entry in model.prices
        if entry.announced
    }
    assert announced
    assert announced.isdisjoint(set(book.select("provider", "model", "valid_from").iter_rows()))
