"""Portkey's pricing/<provider>.json: US CENTS per token, one object per model name.

Source: https://github.com/Portkey-AI/models. A 0 there is a placeholder, so it is no price here.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

from models.prices.offers import OutsideList, PriceListReader, Refusal, TokenOffer, per_mtok, plausible
from models.prices.providers import provider_aliases

SOURCE_URL = "https://github.com/Portkey-AI/models/tree/main/pricing"
_CENTS_PER_TOKEN = 10**4
_CLASSES = {
    "request_token": "input_uncached",
    "cache_read_input_token": "cache_read",
    "cache_write_input_token": "cache_write_5m",
    "request_audio_token": "audio_input",
    "response_token": "output",
    "response_audio_token": "audio_output",
}
_PROVIDERS = {
    "azure-ai": "azure.ai.inference",
    "google": "gcp.gemini",
    "mistral-ai": "mistral_ai",
    "perplexity-ai": "perplexity",
}
"""Their file names that are no spelling of a provider id of ours."""


def read(files: Mapping[str, bytes]) -> OutsideList:
    """Return the token prices of the files, each of which is named after a provider."""
    found = OutsideList(SOURCE_URL)
    for name, content in files.items():
        provider = _provider(PurePosixPath(name).name.split(".")[0])
        for model, facts in json.loads(content, parse_float=Decimal).items():
            prices = (facts.get("pricing_config") or {}).get("pay_as_you_go") or {}
            rates = _rates(prices)
            if model == "default" or not any(rates.values()):
                continue
            if problem := plausible(rates):
                found.refusals.append(Refusal(provider, model, problem))
            else:
                found.token_offers.append(TokenOffer(provider, model, {"usd_per_mtok": rates}))
    return found


def _rates(prices: Mapping[str, Any]) -> dict[str, Decimal | None]:
    rates = {
        meter: per_mtok((prices.get(key) or {}).get("price"), _CENTS_PER_TOKEN)
        for key, meter in _CLASSES.items()
    }
    return {meter: rate for meter, rate in rates.items() if rate}


def _provider(file: str) -> str:
    known = provider_aliases()
    return (
        _PROVIDERS.get(file)
        or known.get(file)
        or known.get(file.replace("-", "_"))
        or re.sub(r"[^a-z0-9_.]", "_", file)
    )


def fits(files: Mapping[str, bytes]) -> bool:
    """Whether the contents are Portkey's."""
    return any(b'"pay_as_you_go"' in content for content in files.values())


READER = PriceListReader(kind="portkey", unit="US cents per token", read=read, fits=fits)
