"""A day of attempts with routing mistakes of every kind planted, and the dollars of each by plain arithmetic.

One route per kind; what is not planted is the cheapest choice that its clause allows. Sizes are those of the public
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

from models.routing.mistakes import Judgement, Surroundings, routing_mistakes
from models.routing.owned import Owned
from models.routing.policy import read_policy
from models.schemas import table
from models.schemas.vocabulary import MISTAKE_KINDS, POOL_PARTS

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
  stale_price: {providers: [azure.ai.openai, openai], models: [gpt-5-mini]}
  idle_capacity: {providers: [groq, nebius], chips: [H200]}
  wrong_chip: {providers: [nebius], chips: [H100, B200]}
  cache_affinity_lost: {providers: [azure.ai.openai, openai], models: [gpt-4.1]}
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
    ("openai", "gpt-4.1", "gpt-4.1", None, _BEFORE, None, {"in": "2", "cache": "0.5", "out": "8"}),
    ("azure.ai.openai", "gpt-4.1", "gpt-4.1", None, _BEFORE, None, {"in": "2", "cache": "0.5", "out": "8"}),
)  # fmt: skip
_METERS = {"in": "input_uncached", "cache": "cache_read", "out": "output_text"}


@dataclass
class Planted:
    """Attempts, what surrounds them, and the truth: kind and regret in picodollars by request."""

    costs: pl.DataFrame
    surroundings: Surroundings
    truth: pl.DataFrame


def book() -> pl.DataFrame:
    return table("ref.token_prices").frame(
        {
            "price_id": f"{provider}/{model}/{region}/{starts:%Y%m%d%H}", "meter": _METERS[meter],
            "provider": provider, "model": model, "model_family": family, "region": region,
            "service_tier": "default", "priced_at": "started", "layer": "list", "unit": "token",
            "picodollars_per_unit": int(Decimal(usd) * _PICO), "is_rounded": False, "valid_from": starts,
            "valid_to": ends, "known_from": _BEFORE, "sheet_version": "v", "sheet_path": "p",
            "source_url": "https://example.com",
        }
        for provider, model, family, region, starts, ends, rates in _CARDS
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


def _pools(day: _Day, count: int, share: float) -> Owned:
    """An owned pool idles in the even hours; a B200 pool of the same model does so all day beside an H100 one."""
    hours: list[dict[str, Any]] = []
    idle_by_hour = {hour: 1800.0 if hour % 2 == 0 else 0.0 for hour in range(24)}

    def hour_row(deployment: str, chip: str, hour: int, idle: float) -> dict[str, Any]:
        zero = {f"{part}_{unit}": 0 for part in POOL_PARTS for unit in ("usd", "gpu_seconds")}
        return zero | {
            "provider": "nebius", "region": "eu-north1", "chip": chip, "deployment": deployment,
            "commitment": "on_demand", "model": "llama-3.3-70b", "pool_hour": DAY + timedelta(hours=hour),
            "accrued_on": DAY.date(), "billed_usd": 10, "billed_gpu_seconds": 3600, "idle_gpu_seconds": idle,
            "serving_gpu_seconds": 3600 - idle, "wall_gpu_seconds": 3600, "is_provisional": False,
        }  # fmt: skip

    for hour, idle in idle_by_hour.items():
        hours.append(hour_row("llama-own", "H200", hour, idle))
        hours.append(hour_row("llama-b200", "B200", hour, 1800.0))
    rates = {"llama-h100": 6_000_000, "llama-b200": 2_000_000}
    for at, size in zip(day.times(count), day.sizes(count), strict=True):
        is_planted, is_idle = day.rng.random() < share, bool(idle_by_hour[at.hour])
        if is_idle and not is_planted:
            continue
        moment = at if is_idle or not is_planted else at - timedelta(hours=1)
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
    return Owned(hours=table("core.pool_hours").frame(hours), measured=measured)


_PLANTS: dict[str, Callable[[_Day, str, int, float], None]] = {
    "policy_violation": _choices(TOGETHER, [FIREWORKS, GROQ]),
    "wrong_region": _choices(BEDROCK_EU, [BEDROCK_US]),
    "underpowered": _choices(GPT_4O, [MINI]),
    "fallback_storm": _storms,
    "stale_price": _stale,
    "overpowered": _choices(MINI, [GPT_4O]),
    "dearer_provider": _choices(GROQ, [TOGETHER, FIREWORKS]),
    "cache_affinity_lost": _affinity,
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
    columns = {"request_id": pl.String, "kind": pl.String, "regret": pl.Int64}
    truth = pl.DataFrame(day.truth, schema=columns, orient="row")
    return Planted(table("core.request_costs").frame(day.rows), Surroundings(owned, None, history), truth)


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
    found = judged(day).mistakes.select("request_id", "kind", "regret_usd")
    rows: list[dict[str, Any]] = []
    for kind in MISTAKE_KINDS:
        truth, flagged = day.truth.filter(pl.col("kind") == kind), found.filter(pl.col("kind") == kind)
        hits = truth.join(flagged, on="request_id", how="inner")
        usd = float(truth.get_column("regret").sum()) / 1e12
        regret = float(flagged.get_column("regret_usd").sum() or 0)
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
