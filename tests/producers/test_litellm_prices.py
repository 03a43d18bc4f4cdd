"""LiteLLM as an oracle: its own arithmetic on its price maps of five days, against our engine on the same entries."""

import gzip
import json
import subprocess
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from models.prices.offers import OutsideList, TokenOffer
from models.prices.outside.litellm import _take
from tests.models.prices.oracle import NOON, Case, our_costs, shapes_of
from tests.producers.environment import producer_environment

pytestmark = pytest.mark.producer

SCRIPT = Path(__file__).parent / "litellm" / "price_cases.py"
DATA = Path("../shared/data/litellm-prices")
DAYS = ("2024-06-30", "2025-02-06", "2025-07-10", "2026-01-06", "2026-07-24")
LISTED = {
    # kind of difference: (who is right, why)
    "a zero rate": (
        "ours",
        "a 0 in the map may mean unknown; we leave the class unpriced, LiteLLM charges nothing",
    ),
    "cache in a batch": ("ours", "LiteLLM prices every batch token at the batch input rate, cached or not"),
    "long context in a batch": (
        "ours",
        "LiteLLM knows no surcharge in a batch; the providers double the batch rate too",
    ),
    "long context in a tier": (
        "open",
        "the map has no rate for it: LiteLLM takes the default tier's, ours scales the tier's",
    ),
    "old name of the cached rate": (
        "ours",
        "input_cost_per_token_cache_hit, which this LiteLLM no longer reads",
    ),
    "another entry": ("ours", "LiteLLM looks up provider/name before name and prices the other entry"),
    "rounded": (
        "both",
        "a rate that is no whole number of picodollars is booked rounded, half of one a token at the most",
    ),
}


def kind_of(case: Case, facts: dict[str, Any], *, is_rounded: bool, other: bool, ours: Decimal | None) -> str:
    """Return which listed difference a case is an instance of."""
    threshold = [key for key in facts if "_above_" in key and key.endswith("k_tokens")]
    if ours is None or any(facts.get(key) == 0 for key in facts if "cost" in key and "per" in key):
        return "a zero rate"
    if is_rounded:
        return "rounded"
    if case.tier == "batch":
        return (
            "cache in a batch" if case.used.get("cache_read") and not threshold else "long context in a batch"
        )
    if case.tier is not None and threshold:
        return "long context in a tier"
    if "input_cost_per_token_cache_hit" in facts and case.used.get("cache_read"):
        return "old name of the cached rate"
    return "another entry" if other else "not listed"


def test_costs_equal_litellm_to_the_picodollar_on_its_own_maps_or_the_difference_is_listed() -> None:
    if not DATA.exists():
        pytest.skip("the shared data folder is not here")
    python = producer_environment("litellm") / "bin" / "python"
    maps = {day: json.loads(gzip.decompress(file_of(day).read_bytes()), parse_float=Decimal) for day in DAYS}
    offers: dict[str, list[TokenOffer]] = {}
    cases: list[Case] = []
    asked: list[tuple[str, str, str, str | None, dict[str, int]]] = []
    for day, prices in maps.items():
        for name, facts in prices.items():
            outside = OutsideList("")
            if name != "sample_spec" and isinstance(facts, dict):
                _take(outside, name, facts)
            for offer in outside.token_offers:
                # A residency uplift is asked for by region, which this call has not.
                entry = {
                    key: value for key, value in offer.entry.items() if key not in {"regions", "per_call_usd"}
                }
                own = TokenOffer(offer.provider, offer.model, entry)
                offers[f"{day} {name}"] = [own]
                for tier in (None, *entry.get("tiers", {})):
                    for used in shapes_of([own]):
                        cases.append(Case(f"{day} {name}", tier, NOON, used))
                        asked.append((day, name, str(facts["litellm_provider"]), tier, used))
    ours, rounded = our_costs(offers, cases)
    message = {"maps": {day: str(file_of(day)) for day in DAYS}, "cases": asked}
    done = subprocess.run(
        [python, SCRIPT], input=json.dumps(message), capture_output=True, text=True, check=True, timeout=300
    )
    theirs = json.loads(done.stdout.splitlines()[-1], parse_float=Decimal)
    equal, differing, refused = 0, Counter[str](), 0
    for case, (day, name, provider, _, _), mine, cost in zip(cases, asked, ours, theirs, strict=True):
        if cost is None:
            refused += 1
        # A float holds 15 digits; what it prints of a cost below $1,000 is exact to the picodollar.
        elif mine is not None and abs(mine - cost) < max(Decimal("5e-13"), abs(cost) * Decimal("1e-13")):
            equal += 1
        else:
            facts = maps[day][name]
            other = maps[day].get(f"{provider}/{name}") or maps[day].get(name.removeprefix(f"{provider}/"))
            moved = (
                case.model in rounded
                and mine is not None
                and abs(mine - cost) * 10**12 <= sum(case.used.values())
            )
            is_other = other is not None and other != facts
            differing[kind_of(case, facts, is_rounded=moved, other=is_other, ours=mine)] += 1
    assert set(differing) <= set(LISTED), differing
    assert equal > 15_000
    assert sum(differing.values()) + refused < len(cases) / 30


def file_of(day: str) -> Path:
    return DATA / f"model_prices_{day}.json.gz"
