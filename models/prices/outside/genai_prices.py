"""pydantic's genai-prices data.json (v1 and v2): USD per million tokens, with dated and time-of-day prices.

Source: https://github.com/pydantic/genai-prices. Tiers there re-rate the whole request.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from models.prices.offers import Entry, OutsideList, PriceListReader, Refusal, TokenOffer, per_mtok, plausible

SOURCE_URL = "https://github.com/pydantic/genai-prices/blob/main/prices/data.json"
PROVIDERS = {
    "aws": "aws.bedrock",
    "azure": "azure.ai.openai",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshotai": "moonshot_ai",
    "voyageai": "voyage_ai",
    "x-ai": "x_ai",
}
"""Their provider ids that are not ours."""
CLASSES = {
    "input_mtok": "input_uncached",
    "cache_read_mtok": "cache_read",
    "cache_write_mtok": "cache_write_5m",
    "cache_write_1h_mtok": "cache_write_1h",
    "input_audio_mtok": "audio_input",
    "cache_audio_read_mtok": "cache_read_audio",
    "input_image_mtok": "image_input",
    "cache_image_read_mtok": "cache_read_image",
    "input_video_mtok": "video_input",
    "output_mtok": "output",
    "output_reasoning_mtok": "reasoning",
    "output_audio_mtok": "audio_output",
    "output_image_mtok": "image_output",
}
"""Their price keys by token class of ours; `output` is text and reasoning."""


def read(files: Mapping[str, bytes]) -> OutsideList:
    """Return the token prices of the list."""
    found = OutsideList(SOURCE_URL)
    for content in files.values():
        for provider in json.loads(content, parse_float=Decimal):
            own = PROVIDERS.get(provider["id"], provider["id"].replace("-", "_"))
            for model in provider["models"]:
                for offer in _offers(own, model, found.refusals):
                    found.token_offers.append(offer)
    return found


def _offers(provider: str, model: Mapping[str, Any], refusals: list[Refusal]) -> Iterator[TokenOffer]:
    prices = model["prices"] if isinstance(model["prices"], list) else [{"prices": model["prices"]}]
    hours = [price for price in prices if "start_time" in (price.get("constraint") or {})]
    for price in prices:
        constraint = price.get("constraint") or {}
        if "start_time" in constraint:
            continue
        try:
            entry = _entry(price["prices"])
            if hours:
                entry["schedule"] = [_window(hour) for hour in hours]
        except ValueError as error:
            refusals.append(Refusal(provider, model["id"], str(error)))
            continue
        if entry:
            start = constraint.get("start_date")
            yield TokenOffer(
                provider,
                model["id"],
                entry,
                tuple(name for name in equal_names(model["match"]) if name != model["id"]),
                valid_from=date.fromisoformat(start) if start else None,
            )


def _window(hour: Mapping[str, Any]) -> Entry:
    start, end = (str(hour["constraint"][name])[:5] for name in ("start_time", "end_time"))
    return {"from_utc": start, "to_utc": end, "usd_per_mtok": _entry(hour["prices"])["usd_per_mtok"]}


def _entry(prices: Mapping[str, Any]) -> Entry:
    """Return an entry; a key that no class of ours has is left out.

    Raises:
        ValueError: the figures cannot be prices, or have thresholds that an entry cannot hold.
    """
    base: dict[str, Decimal | None] = {}
    above: dict[str, Decimal | None] = {}
    starts: set[int] = set()
    for key, value in prices.items():
        meter = CLASSES.get(key)
        if meter is None:
            continue
        tiers = value["tiers"] if isinstance(value, dict) else []
        base[meter] = per_mtok(value["base"] if isinstance(value, dict) else value, 1)
        starts |= {tier["start"] for tier in tiers}
        if tiers:
            above[meter] = per_mtok(tiers[0]["price"], 1)
    if problem := plausible(base) or plausible(above):
        raise ValueError(problem)
    if len(starts) > 1:
        raise ValueError("it has several long-context thresholds")
    entry: Entry = {"usd_per_mtok": base} if any(base.values()) else {}
    if starts:
        entry["long_context"] = {
            "above_input_tokens": starts.pop(), "mode": "whole_request", "usd_per_mtok": above,
        }  # fmt: skip
    fees = {
        meter: Decimal(str(prices[key])) / 1000
        for key, meter in (("web_searches_kcount", "web_search"), ("requests_kcount", "request"))
        if prices.get(key)
    }
    if entry and fees:
        entry["per_call_usd"] = fees
    return entry


def equal_names(rule: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names that a match rule states in full; prefixes and patterns name nothing."""
    for kind, value in rule.items():
        if kind == "equals":
            yield value
        elif kind == "or":
            for part in value:
                yield from equal_names(part)


def fits(files: Mapping[str, bytes]) -> bool:
    """Whether the content is genai-prices data."""
    return any(content.lstrip()[:1] == b"[" and b'"input_mtok"' in content for content in files.values())


READER = PriceListReader(kind="genai-prices", unit="USD per million tokens", read=read, fits=fits)
