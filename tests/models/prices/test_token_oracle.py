"""genai-prices as an oracle: its arithmetic on its own data of three days."""

import gzip
import json
import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from models.prices.outside.genai_prices import _offers
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
