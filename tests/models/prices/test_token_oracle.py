"""genai-prices as an oracle: its arithmetic on its own data of three days, and its newest data against our sheets."""

import gzip
import json
import re
import warnings
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from models.costs.token_costs import price_requests
from models.prices.builtin import builtin_token_sheets
from models.prices.outside.genai_prices import PROVIDERS, _offers
from models.prices.sheets import load_token_sheets
from models.prices.token_book import model_aliases, token_book
from models.schemas import table
from tests.models.prices.oracle import Case, instants_of, our_costs, shapes_of

genai_prices = pytest.importorskip("genai_prices", reason="genai_prices is not installed")

DATA = Path("../shared/data/genai-prices")
PICO = Decimal("1e-12")
USAGE = {
    "input_tokens": ("input_uncached", "cache_read", "cache_write_5m", "cache_write_1h", "audio_input"),
    "output_tokens": ("output_text", "reasoning", "audio_output"),
    "cache_read_tokens": ("cache_read",),
    "cache_write_tokens": ("cache_write_5m", "cache_write_1h"),
    "cache_write_1h_tokens": ("cache_write_1h",),
    "input_audio_tokens": ("audio_input",),
    "output_audio_tokens": ("audio_output",),
    "output_reasoning_tokens": ("reasoning",),
}
"""Their totals, which include one another, by classes of ours, which do not."""


def usage(used: dict[str, int]) -> Any:
    counts = {name: sum(used.get(part, 0) for part in parts) for name, parts in USAGE.items()}
    return genai_prices.Usage(**{name: count for name, count in counts.items() if count})


@pytest.mark.parametrize("name", ["data_v1_2025-08-06", "data_v1_2026-02-04", "data_v2_2026-08-21"])
def test_costs_equal_genai_prices_to_the_picodollar_on_its_own_data(name: str) -> None:
    file = DATA / f"{name}.json.gz"
    if not file.exists():
        pytest.skip("the shared data folder is not here")
    content = gzip.decompress(file.read_bytes())
    providers = genai_prices.types._providers_from_raw(json.loads(content))
    raw = json.loads(content, parse_float=Decimal)
    offers, cases, asked = {}, [], []
    for p, provider in enumerate(raw):
        for m, model in enumerate(provider["models"]):
            own = list(_offers(provider["id"], model, []))
            if own:
                offers[f"{p}/{m}"] = own
                for at in instants_of(own):
                    for used in shapes_of(own):
                        for size in (1, 7, 13):
                            scaled = {part: count * size for part, count in used.items()}
                            cases.append(Case(f"{p}/{m}", None, at, scaled))
                            asked.append((providers[p], providers[p].models[m]))
    ours, rounded = our_costs(offers, cases)
    compared, moved, wrong = 0, 0, []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case, (provider, model), cost in zip(cases, asked, ours, strict=True):
            try:
                theirs = model.calc_price(
                    usage(case.used), provider, genai_request_timestamp=case.at, auto_update_timestamp=None
                ).total_price
            except ValueError:
                # It refuses models that price cached input and audio but not cached audio.
                continue
            compared += 1
            if cost is not None and abs(cost - theirs) < PICO / 2:
                continue
            # A rate of a third of a cent is booked in whole picodollars: half of one a token at the most.
            if (
                cost is not None
                and case.model in rounded
                and abs(cost - theirs) <= PICO * sum(case.used.values()) / 2
            ):
                moved += 1
                continue
            wrong.append((provider.id, model.id, case.at, case.used, cost, theirs))
    assert wrong == []
    assert compared > 4_000
    assert moved <= 60


ON = datetime(2026, 7, 24, 12, tzinfo=UTC)
SAME = (
    "openai",
    "anthropic",
    "together",
    "fireworks",
    "groq",
    "cerebras",
    "deepseek",
    "cohere",
    "perplexity",
)
THEIRS = {own: theirs for theirs, own in PROVIDERS.items()} | {name: name for name in SAME}
"""Providers of both, by our id; OpenRouter's prices move every day and are left out."""
ASKED = (
    {"input_uncached": 12_345, "output_text": 678},
    {"input_uncached": 2_000, "cache_read": 8_000, "output_text": 500},
    {"input_uncached": 300_000, "output_text": 1_000},
    {"input_uncached": 3, "cache_write_5m": 2_000, "output_text": 5},
    {"input_uncached": 3, "cache_write_1h": 2_000, "output_text": 5},
)
DIFFERENCES: tuple[tuple[str, str, str, str], ...] = (
    ("anthropic", r"claude-sonnet-4-2025", "ours", "the surcharge above 200,000 tokens is still on the page"),
    (
        "aws.bedrock",
        r"claude-(fable|haiku-4|opus-(4-[5-8]|5)|sonnet-(4-[56]|5))",
        "both",
        "a plain id is the global endpoint here, a regional one (10 % dearer) there; or the surcharge above 200,000",
    ),
    ("aws.bedrock", r"claude-(3-5-sonnet|sonnet-4-2025)", "ours", "the surcharge above 200,000 tokens"),
    (
        "aws.bedrock",
        r"claude-3-(haiku|opus)",
        "ours",
        "cached input has a rate; theirs has none and takes the full one",
    ),
    (
        "aws.bedrock",
        r"^(eu|apac)\.(amazon|meta)|^us\.meta",
        "ours",
        "regional profiles have rates of their own",
    ),
    (
        "aws.bedrock",
        r"gpt-5.6-sol|qwen3-coder-480b",
        "open",
        "two lists, two figures; ours is the older by a month",
    ),
    (
        "azure.ai.openai",
        r"gpt-4o-2024-11-20|gpt-4o-mini|o1-mini",
        "both",
        "the data zone's rate here, the global there",
    ),
    (
        "azure.ai.openai|openai",
        r"gpt-5.[45]-pro|realtime|ft:|search-preview",
        "ours",
        "cached input has a rate; theirs has none and takes the full one",
    ),
    (
        "openai",
        r"^ft:gpt-4o",
        "ours",
        "a fine-tune of another snapshot, which their prefix rule takes for one",
    ),
    ("deepseek", r"", "ours", "theirs was last checked before the cut of September 2025"),
    ("fireworks", r"", "open", "two lists, two figures for cached input or an old model"),
    (
        "gcp.gemini",
        r"gemini-1.5|gemini-pro$",
        "open",
        "retired models; the lists kept the rates of different days",
    ),
    ("gcp.gemini", r"-latest$", "both", "a floating name that means another model on the day of each list"),
    (
        "gcp.gemini",
        r"preview|live|native|lite",
        "open",
        "previews; the lists kept the rates of different days",
    ),
    ("groq", r"", "open", "two lists, two figures"),
    (
        "mistral_ai",
        r"-latest$|mistral-medium$",
        "both",
        "a floating name that means another model on each list",
    ),
    ("together", r"Mixtral", "open", "two lists, two figures"),
    ("x_ai", r"grok-4", "ours", "the surcharge for long prompts, or cached input, which theirs lacks"),
)
"""Models on which our sheets and their newest list differ: provider, pattern of the model, who is right, and why."""


def test_builtin_sheets_agree_with_an_independent_list_or_the_difference_is_known() -> None:
    sheets = [sheet for sheet in load_token_sheets(builtin_token_sheets()) if sheet.provider in THEIRS]
    asked = [
        (sheet.provider, model.model, used) for sheet in sheets for model in sheet.models for used in ASKED
    ]
    plain = {
        "source": "s", "source_kind": "r", "started_at": ON, "finished_at": ON, "status": "ok",
        "usage_source": "provider", "is_gateway_cache_hit": False,
    }  # fmt: skip
    requests = table("core.requests").frame(
        plain
        | {"request_id": str(number), "provider": provider, "served_model": model}
        | {f"{name}_tokens": count for name, count in used.items()}
        for number, (provider, model, used) in enumerate(asked)
    )
    costs = price_requests(
        requests.lazy(), book=token_book(sheets).lazy(), models=model_aliases(sheets).lazy(), gpu_routes=(),
        time_zone="UTC", as_known_at=datetime(2026, 11, 1, tzinfo=UTC), from_hour=ON, to_hour=ON + timedelta(hours=1),
    ).collect()  # fmt: skip
    ours = dict(costs.select(pl.col("request_id").cast(pl.Int64), "effective_usd").iter_rows())
    compared, different = 0, set()
    for number, (provider, model, used) in enumerate(asked):
        try:
            found = genai_prices.calc_price(
                usage(used), model, provider_id=THEIRS[provider], genai_request_timestamp=ON
            )
        except (LookupError, ValueError):
            continue
        cost = ours[number]
        if cost is not None:
            compared += 1
            if abs(cost - found.total_price) > PICO * sum(used.values()) / 2:
                different.add((provider, model))
    unknown = [
        pair
        for pair in sorted(different)
        if not any(
            re.fullmatch(provider, pair[0]) and re.search(model, pair[1])
            for provider, model, _, _ in DIFFERENCES
        )
    ]
    assert unknown == []
    assert compared > 1_500
    assert len(different) < 120
