"""A day of attempts with routing mistakes of every kind planted, and the dollars of each by plain arithmetic.

One route per kind; what is not planted is the cheapest choice that its clause allows, or looks like a mistake and is
none: a pool that was billed in that hour and down in that minute, a price that was learned later, the hops of an agent,
samples and subtasks that run side by side. Sizes are those of the public
Azure LLM inference trace of 2023 where it is at hand, else drawn from lognormals of the same means.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from models.routing.mistakes import JudgeContext, Judgement, routing_mistakes
from models.routing.owned import OwnedPools
from models.routing.policy import read_policy
from models.schemas import table
from models.schemas.base import INSTANT
from models.schemas.vocabulary import MISTAKE_KINDS

DAY = datetime(2026, 11, 3, tzinfo=UTC)
CHANGE = DAY + timedelta(hours=12)
_BEFORE = DAY - timedelta(days=60)
_TRACE = Path(__file__).resolve().parents[2] / "shared/data/azure-llm-2023/AzureLLMInferenceTrace_conv.csv"
_PICO = 10**6
"""Picodollars a token for a dollar per million."""
_CALLS_A_STORM = 60

POLICY = """\
version: 1
tenants:
  guest: {routes: [open]}
routes:
  dearer_provider: {providers: [groq, together, fireworks]}
  overpowered: {quality_floor: 60, models: [gpt-4o, gpt-4o-mini], providers: [openai]}
  underpowered: {quality_floor: 80, models: [gpt-4o, gpt-4o-mini], providers: [openai]}
  policy_violation: {providers: [together]}
  wrong_region: {regions: [eu-west-1], providers: [aws.bedrock]}
  fallback_storm: {providers: [groq, fireworks]}
  stale_price: {providers: [azure.ai.openai, openai], models: [gpt-5-mini, gpt-5-tiny]}
  idle_capacity: {providers: [groq, nebius], chips: [H200]}
  wrong_chip: {providers: [nebius], chips: [H100, B200]}
  cache_affinity_lost: {providers: [azure.ai.openai, openai], models: [gpt-4.1]}
  hedge_lost: {providers: [openai], models: [gpt-4o]}
  hops: {providers: [openai], models: [gpt-4o, gpt-4o-mini]}
quality: {gpt-4o: {score: 82, tokens_ratio: 1}, gpt-4o-mini: {score: 62, tokens_ratio: 1}}
"""

_CARDS: tuple[tuple[str, str, str, str | None, datetime, datetime | None, dict[str, str]], ...] = (
    ("groq", "llama-3.3-70b-versatile", "llama-3.3-70b", None, _BEFORE, None, {"in": "0.59", "out": "0.79"}),
    ("together", "llama-turbo", "llama-3.3-70b", None, _BEFORE, None, {"in": "0.88", "out": "0.88"}),
    ("fireworks", "llama-v3p3", "llama-3.3-70b", None, _BEFORE, None, {"in": "0.90", "out": "0.90"}),
    ("aws.bedrock", "llama3-3-70b", "llama-3.3-70b", "us-east-1", _BEFORE, None, {"in": "0.72", "out": "0.72"}),
    ("aws.bedrock", "llama3-3-70b", "llama-3.3-70b", "eu-west-1", _BEFORE, None, {"in": "0.70", "out": "0.72"}),
    ("openai", "gpt-4o", "gpt-4o", None, _BEFORE, None, {"in": "2.5", "out": "10"}),
    ("openai", "gpt-4o-mini", "gpt-4o-mini", None, _BEFORE, None, {"in": "0.15", "out": "0.6"}),
    ("openai", "gpt-5-mini", "gpt-5-mini", None, _BEFORE, CHANGE, {"in": "0.25", "out": "2"}),
    ("openai", "gpt-5-mini", "gpt-5-mini", None, CHANGE, None, {"in": "0.35", "out": "2.8"}),
    ("azure.ai.openai", "gpt-5-mini", "gpt-5-mini", None, _BEFORE, None, {"in": "0.30", "out": "2.4"}),
    ("openai", "gpt-5-tiny", "gpt-5-tiny", None, _BEFORE, None, {"in": "0.25", "out": "2"}),
    ("azure.ai.openai", "gpt-5-tiny", "gpt-5-tiny", None, _BEFORE, None, {"in": "0.30", "out": "2.4"}),
    ("openai", "gpt-4.1", "gpt-4.1", None, _BEFORE, None, {"in": "2", "cache": "0.5", "out": "8"}),
    ("azure.ai.openai", "gpt-4.1", "gpt-4.1", None, _BEFORE, None, {"in": "2", "cache": "0.5", "out": "8"}),
)  # fmt: skip
_LEARNED_LATER = ("azure.ai.openai", "gpt-5-tiny", {"in": "0.10", "out": "0.8"}, DAY + timedelta(days=3))
"""A cut from the day before on, and when it was learned."""
_METERS = {"in": "input_uncached", "cache": "cache_read", "out": "output_text"}


@dataclass
class Planted:
    """Attempts, what surrounds them, and the truth: kind and regret in picodollars by request."""

    costs: pl.DataFrame
    surroundings: JudgeContext
    truth: pl.DataFrame


def book() -> pl.DataFrame:
    provider, model, rates, learned = _LEARNED_LATER
    cut = (provider, model, model, None, DAY - timedelta(days=1), None, rates)
    cards = [(*card, _BEFORE, None) for card in _CARDS if card[:2] != (provider, model)]
    for card in _CARDS:
        if card[:2] == (provider, model):
            cards += [(*card, _BEFORE, learned), (*card[:5], cut[4], card[6], learned, None)]
    cards.append((*cut, learned, None))
    return table("ref.token_prices").frame(
        {
            "price_id": f"{provider}/{model}/{region}/{starts:%Y%m%d%H}/{known_from:%Y%m%d}", "meter": _METERS[meter],
            "provider": provider, "model": model, "model_family": family, "region": region,
            "service_tier": "default", "priced_at": "started", "layer": "list", "unit": "token",
            "picodollars_per_unit": int(Decimal(usd) * _PICO), "is_rounded": False, "valid_from": starts,
            "valid_to": ends, "known_from": known_from, "known_to": known_to, "sheet_version": "v", "sheet_path": "p",
            "source_url": "https://example.com",
        }
        for provider, model, family, region, starts, ends, rates, known_from, known_to in cards
        for meter, usd in rates.items()
    )  # fmt: skip


def _rate(provider: str, model: str, meter: str, at: datetime, region: str | None = None) -> int:
    return next(
        int(Decimal(rates[meter]) * _PICO)
        for who, what, _, where, starts, ends, rates in _CARDS
        if (who, what, where) == (provider, model, region) and starts <= at and (ends is None or at < ends)
    )


@dataclass
class _Day:
    """Rows under way."""

    rng: np.random.Generator
    rows: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)
    truth: list[tuple[str, str, int]] = field(default_factory=list)

    def sizes(self, count: int) -> list[tuple[int, int]]:
        if _TRACE.exists():
            trace = pl.read_csv(_TRACE).select("ContextTokens", "GeneratedTokens").to_numpy()
            return [(int(a), int(b)) for a, b in trace[self.rng.integers(0, len(trace), count)]]
        into, out = (np.exp(self.rng.normal(mean, 0.6, count)).astype(int) + 1 for mean in (6.87, 5.17))
        return list(zip(into.tolist(), out.tolist(), strict=True))

    def times(self, count: int, first_hour: float = 0, last_hour: float = 24) -> list[datetime]:
        hours = np.sort(self.rng.uniform(first_hour, last_hour, count))
        return [DAY + timedelta(microseconds=int(hour * 3_600_000_000)) for hour in hours]

    def add(
        self,
        route: str,
        at: datetime,
        place: tuple[str, str, str | None],
        size: tuple[int, int],
        **extra: Any,
    ) -> tuple[str, int]:
        provider, model, region = place
        into, out = size
        cached = extra.pop("cached", 0)
        cost = extra.pop("cost", None)
        if cost is None:
            cost = (into - cached) * _rate(provider, model, "in", at, region) + out * _rate(
                provider, model, "out", at, region
            )
            cost += cached * _rate(provider, model, "cache", at, region) if cached else 0
        family = next((card[2] for card in _CARDS if card[1] == model), "llama-3.3-70b")
        name = f"{route}-{len(self.rows)}"
        finished_at = extra.pop("finished_at", at + timedelta(seconds=1))
        if "logical_request_id" in extra:
            self.links.append(
                {"source": "planted", "request_id": name, "finished_at": finished_at, "retry_of": None}
            )
        self.rows.append(
            {
                "source": "planted", "request_id": name, "started_at": at, "accrued_hour": DAY,
                "accrued_on": DAY.date(), "provider": provider, "model": model, "model_family": family,
                "region": region, "route": route, "tenant": "acme", "status": "ok", "attempt_no": 1,
                "is_first_accrual": True, "is_fallback": False, "input_uncached_tokens": into - cached,
                "cache_read_tokens": cached, "output_text_tokens": out, "effective_usd": Decimal(cost).scaleb(-12),
                "meters_usd": Decimal(0), "price_state": "priced", "cost_basis": "token",
                "usage_source": "provider", "is_provisional": False, **extra,
            }
        )  # fmt: skip
        return name, cost

    def plant(self, kind: str, name: str, regret: int) -> None:
        self.truth.append((name, kind, max(regret, 0)))


def _price(place: tuple[str, str, str | None], at: datetime, size: tuple[int, int]) -> int:
    return size[0] * _rate(place[0], place[1], "in", at, place[2]) + size[1] * _rate(
        place[0], place[1], "out", at, place[2]
    )


GROQ = ("groq", "llama-3.3-70b-versatile", None)
TOGETHER = ("together", "llama-turbo", None)
FIREWORKS = ("fireworks", "llama-v3p3", None)
GPT_4O = ("openai", "gpt-4o", None)
MINI = ("openai", "gpt-4o-mini", None)
BEDROCK_EU = ("aws.bedrock", "llama3-3-70b", "eu-west-1")
BEDROCK_US = ("aws.bedrock", "llama3-3-70b", "us-east-1")


def _choices(right: Any, wrong: Iterable[Any]) -> Callable[[_Day, str, int, float], None]:
    """Plant calls at a wrong place among calls at the right one."""
    options = tuple(wrong)

    def plant(day: _Day, kind: str, count: int, share: float) -> None:
        for at, size in zip(day.times(count), day.sizes(count), strict=True):
            if day.rng.random() >= share:
                day.add(kind, at, right, size)
                continue
            name, cost = day.add(kind, at, options[int(day.rng.integers(len(options)))], size)
            day.plant(kind, name, cost - _price(right, at, size))

    return plant


def _storms(day: _Day, kind: str, count: int, share: float) -> None:
    """Plant windows in which most calls fall back though nothing failed; a call in a hundred does after a failure."""
    storms = int(np.ceil(count * share / _CALLS_A_STORM))
    for at, size in zip(day.times(count), day.sizes(count), strict=True):
        if day.rng.random() < 0.01:
            chain = f"chain-{len(day.rows)}"
            day.add(kind, at, GROQ, size, status="error", logical_request_id=chain, cost=0)
            day.add(
                kind, at + timedelta(seconds=2), FIREWORKS, size, logical_request_id=chain, is_fallback=True
            )
        else:
            day.add(kind, at, GROQ, size)
    for number in range(storms):
        begins = (number + 0.5) * 24 / storms
        calls = zip(day.times(_CALLS_A_STORM, begins, begins + 0.1), day.sizes(_CALLS_A_STORM), strict=True)
        for at, size in calls:
            name, cost = day.add(kind, at, FIREWORKS, size, is_fallback=True)
            day.plant(kind, name, cost - _price(GROQ, at, size))


def _stale(day: _Day, kind: str, count: int, share: float) -> None:
    """OpenAI is cheaper until noon, Azure after; plant calls that stay."""
    openai, azure = ("openai", "gpt-5-mini", None), ("azure.ai.openai", "gpt-5-mini", None)
    for at, size in zip(day.times(count), day.sizes(count), strict=True):
        if at < CHANGE or day.rng.random() < 2 * share:
            name, cost = day.add(kind, at, openai, size)
            if at >= CHANGE:
                day.plant(kind, name, cost - _price(azure, at, size))
        else:
            day.add(kind, at, azure, size)
    # Azure had cut its price the day before, which nobody knew yet.
    for at, size in zip(day.times(count // 10), day.sizes(count // 10), strict=True):
        day.add(kind, at, ("openai", "gpt-5-tiny", None), size)


def _races(day: _Day, kind: str, count: int, share: float) -> None:
    """Plant requests sent twice, of which the slower is thrown away, beside samples and subtasks that are wanted."""
    for at, size in zip(day.times(count), day.sizes(count), strict=True):
        draw = day.rng.random()
        is_planted, is_beside = draw < share, draw > 0.8
        if not is_planted and not is_beside:
            day.add(kind, at, GPT_4O, size)
            continue
        chain = {"logical_request_id": f"race-{len(day.rows)}"}
        day.add(kind, at, GPT_4O, size, finished_at=at + timedelta(seconds=4), **chain)
        late = {"finished_at": at + timedelta(seconds=5)} | chain
        beside = at + timedelta(seconds=2)
        if is_planted:
            name, cost = day.add(kind, beside, GPT_4O, size, status="cancelled", **late)
            day.plant(kind, name, cost)
        else:
            day.add(kind, beside, GPT_4O, size if draw > 0.9 else (size[0] + 7, size[1]), **late)
    # An agent's small model classifies and the large one answers: neither is thrown away.
    for at, size in zip(day.times(count // 10), day.sizes(count // 10), strict=True):
        chain = {"logical_request_id": f"hop-{len(day.rows)}"}
        day.add("hops", at, MINI, size, task_class="classify", **chain)
        day.add(
            "hops", at + timedelta(seconds=2), GPT_4O, (size[0] + 90, size[1]), task_class="answer", **chain
        )


def _affinity(day: _Day, kind: str, count: int, share: float) -> None:
    """Sessions stay at one place and read its cache; plant a move to an equal place where it is cold."""
    places = (("openai", "gpt-4.1", None), ("azure.ai.openai", "gpt-4.1", None))
    calls = 4
    for number, at in enumerate(day.times(count // calls, 0, 23)):
        into = int(day.rng.integers(2000, 8000))
        place = places[number % 2]
        leaves = day.rng.random() < share * calls
        for call in range(calls):
            moment, size = at + timedelta(minutes=2 * call), (into + 500 * call, 200)
            warm = into + 500 * (call - 1) if call else 0
            if call == calls - 1 and leaves:
                name, _ = day.add(kind, moment, places[(number + 1) % 2], size, session_id=f"s{number}")
                saved = (into + 500 * (calls - 3)) * (
                    _rate(*place[:2], "in", moment) - _rate(*place[:2], "cache", moment)
                )
                day.plant(kind, name, saved)
                continue
            day.add(kind, moment, place, size, cached=warm, session_id=f"s{number}")


def _pools(day: _Day, count: int, share: float) -> OwnedPools:
    """An owned pool is ready in the first half of even hours; a B200 pool of the model idles beside H100s all day."""
    minutes: list[dict[str, Any]] = []
    for minute in range(24 * 60):
        for deployment, chip in (("llama-own", "H200"), ("llama-b200", "B200")):
            if chip == "B200" or _is_ready(minute):
                minutes.append(
                    {
                        "provider": "nebius", "region": "eu-north1", "chip": chip, "deployment": deployment,
                        "commitment": "on_demand", "minute": DAY + timedelta(minutes=minute), "idle_gpu_seconds": 60.0,
                    }
                )  # fmt: skip
    rates = {"llama-h100": 6_000_000, "llama-b200": 2_000_000}
    for at, size in zip(day.times(count), day.sizes(count), strict=True):
        is_planted = day.rng.random() < share
        if _is_ready(at.hour * 60 + at.minute) and not is_planted:
            continue
        moment = at.replace(hour=at.hour // 2 * 2, minute=at.minute // 2) if is_planted else at
        name, cost = day.add("idle_capacity", moment, GROQ, size)
        if is_planted:
            day.plant("idle_capacity", name, cost)
    for at, size in zip(day.times(count), day.sizes(count), strict=True):
        is_planted = day.rng.random() < share
        deployment, chip = ("llama-h100", "H100") if is_planted else ("llama-b200", "B200")
        weight = round(size[0] * 0.46 + size[1], 2)
        name, cost = day.add(
            "wrong_chip", at, ("nebius", "llama-3.3-70b", "eu-north1"), size, cost=round(weight * rates[deployment]),
            chip=chip, deployment=deployment, commitment="on_demand", cost_basis="gpu",
            allocation_weight=Decimal(str(weight)),
        )  # fmt: skip
        if is_planted:
            day.plant("wrong_chip", name, round(weight * (rates["llama-h100"] - rates["llama-b200"])))
    measured = pl.DataFrame(
        [
            {
                "provider": "nebius", "region": "eu-north1", "chip": chip, "deployment": deployment,
                "commitment": "on_demand", "model": "llama-3.3-70b", "model_family": None,
                "billed_usd": Decimal(5000),
                "serving_usd": Decimal(rate) * 10**7 / 10**12, "serving_gpu_seconds": Decimal(100),
                "allocation_weight": Decimal(10**7), "input_weight": 0.46, "output_weight": 1.0,
            }
            for deployment, chip, rate in (
                ("llama-own", "H200", 3_000_000), ("llama-h100", "H100", 6_000_000), ("llama-b200", "B200", 2_000_000),
            )
        ]
    )  # fmt: skip
    idle = pl.DataFrame(minutes).with_columns(pl.col("minute").cast(pl.Datetime("us", "UTC")))
    return OwnedPools(idle=idle, measured=measured)


def _is_ready(minute: int) -> bool:
    return minute // 60 % 2 == 0 and minute % 60 < 30


_PLANTS: dict[str, Callable[[_Day, str, int, float], None]] = {
    "policy_violation": _choices(TOGETHER, [FIREWORKS, GROQ]),
    "wrong_region": _choices(BEDROCK_EU, [BEDROCK_US]),
    "underpowered": _choices(GPT_4O, [MINI]),
    "fallback_storm": _storms,
    "stale_price": _stale,
    "overpowered": _choices(MINI, [GPT_4O]),
    "dearer_provider": _choices(GROQ, [TOGETHER, FIREWORKS]),
    "cache_affinity_lost": _affinity,
    "hedge_lost": _races,
}


def planted(*, calls_per_kind: int, share: float, seed: int) -> Planted:
    """Make a day in which a share of every route's calls is a mistake of its kind."""
    day = _Day(np.random.default_rng(seed))
    for kind, plant in _PLANTS.items():
        plant(day, kind, calls_per_kind, share)
    owned = _pools(day, calls_per_kind, share)
    history = pl.DataFrame(
        {"route": "fallback_storm", "attempt_count": 35, "fallback_count": [0, 0, 1, 0, 0, 1] * 336},
    )
    columns = {"source": pl.String, "request_id": pl.String, "finished_at": INSTANT, "retry_of": pl.String}
    links = pl.DataFrame(day.links, schema=columns)
    columns = {"request_id": pl.String, "kind": pl.String, "regret": pl.Int64}
    truth = pl.DataFrame(day.truth, schema=columns, orient="row")
    return Planted(
        table("core.request_costs").frame(day.rows),
        JudgeContext(owned, None, history, links),
        truth,
    )


def judged(day: Planted) -> Judgement:
    return routing_mistakes(
        day.costs.lazy(),
        policy=read_policy(POLICY, path="routing.yml"),
        book=book().lazy(),
        models=table("ref.models").empty().lazy(),
        as_known_at=DAY + timedelta(days=10),
        surroundings=day.surroundings,
    )


def scores(day: Planted) -> pl.DataFrame:
    """Return by kind: planted, flagged and hit attempts, precision, recall, planted and found dollars."""
    # What lost a race was wasted, whatever the place.
    dollars = pl.when(pl.col("kind") == "hedge_lost").then("wasted_usd").otherwise("regret_usd")
    found = judged(day).mistakes.select("request_id", "kind", dollars.alias("usd"))
    rows: list[dict[str, Any]] = []
    for kind in MISTAKE_KINDS:
        truth, flagged = day.truth.filter(pl.col("kind") == kind), found.filter(pl.col("kind") == kind)
        hits = truth.join(flagged, on="request_id", how="inner")
        usd = float(truth.get_column("regret").sum()) / 1e12
        regret = float(flagged.get_column("usd").sum() or 0)
        rows.append(
            {
                "kind": kind,
                "planted": truth.height,
                "flagged": flagged.height,
                "precision": hits.height / flagged.height if flagged.height else None,
                "recall": hits.height / truth.height if truth.height else None,
                "planted_usd": usd,
                "found_usd": regret,
            }
        )
    return pl.DataFrame(rows)
