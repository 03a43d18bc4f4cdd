"""Price usage by an outside list's entries with our own engine, for a comparison with the list's own arithmetic."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from models.costs.token_costs import price_requests
from models.documents import Document
from models.prices.offers import TokenOffer
from models.prices.sheet_schema import TokenSheet
from models.prices.token_book import model_aliases, token_book
from models.schemas import table
from models.schemas.vocabulary import TOKEN_CLASSES

FOREVER = datetime(2030, 1, 1, tzinfo=UTC)
SINCE = datetime(2020, 1, 1, tzinfo=UTC)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
SHAPES: tuple[dict[str, int], ...] = (
    {"input_uncached": 12_345, "output_text": 678},
    {"input_uncached": 1, "output_text": 1},
    {"input_uncached": 2_000, "cache_read": 8_000, "output_text": 500},
    {"input_uncached": 3, "cache_write_5m": 20_000, "output_text": 10},
    {"input_uncached": 3, "cache_read": 1_000, "cache_write_5m": 20_000, "output_text": 10},
    {"input_uncached": 3, "cache_write_1h": 20_000, "output_text": 10},
    {"input_uncached": 1_000, "output_text": 500, "reasoning": 4_500},
    {"input_uncached": 100, "audio_input": 900, "output_text": 50},
    {"input_uncached": 100, "audio_output": 900},
)
"""What a call may use; a model is asked for those whose classes it prices."""


@dataclass(frozen=True)
class Case:
    """One question: an entry's name, a tier, an instant and what was used."""

    model: str
    tier: str | None
    at: datetime
    used: dict[str, int]


def shapes_of(offers: Sequence[TokenOffer]) -> list[dict[str, int]]:
    """Return the shapes that a model's entries price, and those around its long-context threshold."""
    offered: set[str] = set()
    for offer in offers:
        rates = offer.entry["usd_per_mtok"]
        offered |= set(rates) | ({"output_text", "reasoning"} if "output" in rates else set())
    fitting = [
        {name: count for name, count in shape.items() if name in offered or name != "output_text"}
        for shape in SHAPES
    ]
    shapes = [shape for shape in fitting if set(shape) <= offered]
    out = {"output_text": 100} if "output_text" in offered else {}
    for above in {o.entry["long_context"]["above_input_tokens"] for o in offers if "long_context" in o.entry}:
        shapes += [{"input_uncached": above} | out, {"input_uncached": above + 1} | out]
        if "cache_read" in offered:
            shapes.append({"input_uncached": above - 5_000, "cache_read": 5_001} | out)
    return shapes


def instants_of(offers: Sequence[TokenOffer]) -> list[datetime]:
    """Return noon of a day, the moments around each dated price, and those around peak hours."""
    found = {NOON}
    for offer in offers:
        if offer.valid_from is not None:
            start = datetime.combine(offer.valid_from, datetime.min.time(), UTC)
            found |= {start - timedelta(seconds=1), start}
        if "schedule" in offer.entry:
            found |= {NOON.replace(hour=hour, minute=minute) for hour in (0, 16) for minute in (29, 30, 31)}
    return sorted(found)


def our_costs(
    offers: dict[str, list[TokenOffer]], cases: Sequence[Case]
) -> tuple[list[Decimal | None], set[str]]:
    """Price cases by entries under made-up names; return the costs and the names whose booked rates are rounded."""
    models = [
        {
            "model": name,
            "prices": [
                offer.entry | {"valid_from": offer.valid_from or SINCE.date()}
                for offer in sorted(own, key=lambda one: one.valid_from or date.min)
            ],
        }
        for name, own in offers.items()
    ]
    sheet = TokenSheet.model_validate(
        {"provider": "oracle", "source_url": "https://example.com", "checked_on": SINCE, "models": models}
    )
    sheet._document = Document("oracle.yml", None, {})
    book, names = token_book([sheet]), model_aliases([sheet])
    rows: dict[str, Any] = {
        "request_id": [str(number) for number in range(len(cases))],
        "served_model": [case.model for case in cases],
        "service_tier": [case.tier for case in cases],
        "started_at": [case.at for case in cases],
        "finished_at": [case.at for case in cases],
    }
    rows |= {f"{name}_tokens": [case.used.get(name, 0) for case in cases] for name in TOKEN_CLASSES}
    fixed = {
        "source": "s",
        "source_kind": "r",
        "provider": "oracle",
        "status": "ok",
        "usage_source": "provider",
    }
    requests = pl.DataFrame(rows).with_columns(
        **{name: pl.lit(value) for name, value in fixed.items()}, is_gateway_cache_hit=pl.lit(value=False)
    )
    costs = price_requests(
        table("core.requests").conform(requests.lazy(), fill=True), book=book.lazy(), models=names.lazy(),
        time_zone="UTC", as_known_at=FOREVER, from_hour=SINCE, to_hour=FOREVER,
    ).collect()  # fmt: skip
    by_case = dict(costs.select(pl.col("request_id").cast(pl.Int64), "effective_usd").iter_rows())
    return [by_case[number] for number in range(len(cases))], set(book.filter("is_rounded")["model"])
