"""LiteLLM's model_prices_and_context_window.json: USD per token, one object per model name.

Source: https://github.com/BerriAI/litellm. A 0 there may mean free or unknown, so it is no price here.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from models.prices.offers import Entry, OutsideList, PriceListReader, Refusal, TokenOffer, per_mtok, plausible
from models.prices.providers import provider_aliases

SOURCE_URL = "https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json"
_MILLION = 10**6
_CLASSES = {
    "input_uncached": ("input_cost_per_token",),
    "cache_read": ("cache_read_input_token_cost", "input_cost_per_token_cache_hit"),
    "cache_write_5m": ("cache_creation_input_token_cost",),
    "cache_write_1h": ("cache_creation_input_token_cost_above_1hr",),
    "audio_input": ("input_cost_per_audio_token",),
    "image_input": ("input_cost_per_image_token",),
    "cache_read_audio": ("cache_read_input_audio_token_cost",),
    "output_text": ("output_cost_per_token",),
    "reasoning": ("output_cost_per_reasoning_token", "output_cost_per_token"),
    "audio_output": ("output_cost_per_audio_token",),
    "image_output": ("output_cost_per_image_token",),
}
_TIERS = {"batch": "_batches", "flex": "_flex", "priority": "_priority"}
_THRESHOLD = re.compile(r"^(?:in|out)put_cost_per_token_above_(\d+)k_tokens$")
_REGION = re.compile(r"^(?:us|eu|ap|ca|sa|me|af|il|mx)(?:-gov)?-[a-z]+-\d$")
_REACHED = {"x_ai"}
"""Providers whose higher rates begin when the threshold is reached, not exceeded (docs.x.ai/developers/pricing)."""
_AZURE_SCOPES = {"eu", "us", "global", "global-standard"}


def read(files: Mapping[str, bytes]) -> OutsideList:
    """Return the token prices of the map."""
    found = OutsideList(SOURCE_URL)
    for content in files.values():
        for name, facts in json.loads(content, parse_float=Decimal).items():
            if name != "sample_spec" and isinstance(facts, dict):
                _take(found, name, facts)
    return found


def _take(found: OutsideList, name: str, facts: dict[str, Any]) -> None:
    rates = _rates(facts, "")
    if not any(rates.values()):
        return
    provider = _provider(str(facts.get("litellm_provider", "")))
    above = sorted({int(match[1]) for key in facts if (match := _THRESHOLD.match(key))})
    entry: Entry = {"usd_per_mtok": _shortened(rates)}
    problem = plausible(rates)
    if above:
        further = _rates(facts, f"_above_{above[0]}k_tokens")
        problem = problem or plausible(further)
        entry["long_context"] = {
            "above_input_tokens": above[0] * 1000 - (provider in _REACHED),
            "mode": "whole_request",
            "usd_per_mtok": _shortened(further),
        }
    for tier, suffix in _TIERS.items():
        changed = _rates(facts, suffix)
        problem = problem or plausible(changed)
        if not changed:
            continue
        entry.setdefault("tiers", {})[tier] = {"usd_per_mtok": _shortened(changed)}
        if above and (beyond := _rates(facts, f"_above_{above[0]}k_tokens{suffix}")):
            problem = problem or plausible(beyond)
            entry["tiers"][tier]["long_context_usd_per_mtok"] = _shortened(beyond)
    for place in ("eu", "us"):
        uplift = facts.get(f"regional_processing_uplift_multiplier_{place}")
        if uplift is not None and Decimal(str(uplift)) != 1:
            entry.setdefault("regions", {})[place] = {"multiplier": Decimal(str(uplift))}
    searches = facts.get("search_context_cost_per_query")
    if isinstance(searches, dict) and searches.get("search_context_size_medium"):
        entry["per_call_usd"] = {"web_search": Decimal(str(searches["search_context_size_medium"]))}
    if facts.get("input_cost_per_request"):
        entry.setdefault("per_call_usd", {})["request"] = Decimal(str(facts["input_cost_per_request"]))
    if problem is None and len(above) > 1:
        problem = "it has several long-context thresholds"
    if problem is not None:
        found.refusals.append(Refusal(provider, name, problem))
        return
    model, region = _placed(name, provider)
    aliases = (name,) if name != model and region is None else ()
    found.token_offers.append(TokenOffer(provider, model, entry, aliases, region))


def _rates(facts: Mapping[str, Any], suffix: str) -> dict[str, Decimal | None]:
    """Return the rates under keys with a suffix; 0 is no rate."""
    rates: dict[str, Decimal | None] = {}
    for meter, keys in _CLASSES.items():
        values = (per_mtok(facts.get(f"{key}{suffix}"), _MILLION) for key in keys)
        rate = next((value for value in values if value), None)
        if rate is not None:
            rates[meter] = rate
    return rates


def _shortened(rates: Mapping[str, Decimal | None]) -> dict[str, Decimal | None]:
    """Write `output` for text and reasoning of one rate."""
    if "output_text" in rates and rates.get("reasoning") == rates["output_text"]:
        both = {"output": rates["output_text"]}
        return {**{m: r for m, r in rates.items() if m not in {"output_text", "reasoning"}}, **both}
    return dict(rates)


def _provider(written: str) -> str:
    known = provider_aliases()
    for spelling in (written, written.split("-", maxsplit=1)[0]):
        if spelling.lower() in known:
            return known[spelling.lower()]
    return re.sub(r"[^a-z0-9_.]", "_", written.lower()) or "unknown"


def _placed(name: str, provider: str) -> tuple[str, str | None]:
    """Return the model as the provider names it, and the region that the name holds."""
    parts = name.split("/")
    known = provider_aliases()
    while len(parts) > 1 and (
        known.get(parts[0].lower()) == provider
        or parts[0] in {"converse", provider.rsplit(".", maxsplit=1)[-1]}
    ):
        parts = parts[1:]
    if provider == "aws.bedrock" and len(parts) > 1 and _REGION.match(parts[0]):
        return "/".join(parts[1:]), parts[0]
    if provider == "azure.ai.openai" and len(parts) > 1 and parts[0] in _AZURE_SCOPES:
        return "/".join(parts[1:]), None if parts[0].startswith("global") else parts[0]
    return "/".join(parts), None


def fits(files: Mapping[str, bytes]) -> bool:
    """Whether the content is LiteLLM's map."""
    return any(b'"litellm_provider"' in content for content in files.values())


READER = PriceListReader(kind="litellm", unit="USD per token", read=read, fits=fits)
