"""The truth about a sample fleet: every planted fact, counted as the days are made."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

import polars as pl

from models.samples.lanes import EXAMPLE_NEW_RATES, EXAMPLE_RATES, LANES, MISTAKES

_TOKENS = pl.col("prompt_tokens") + pl.col("completion_tokens")


@dataclass
class PlantedCounts:
    """What was planted so far. An attempt is a call to a provider; a gateway-cache hit is none."""

    changes_at: datetime
    calls_by_day: list[int] = field(default_factory=list)
    mistakes: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in MISTAKES})
    counts: Counter[str] = field(default_factory=Counter)
    redelivered_files: list[str] = field(default_factory=list)
    overlapping_files: list[str] = field(default_factory=list)
    quarantined: list[dict[str, str]] = field(default_factory=list)

    def add_day(
        self,
        count: int,
        *,
        calls: pl.DataFrame,
        seen: pl.DataFrame,
        alone: pl.DataFrame,
        requests: pl.DataFrame,
    ) -> None:
        """Count a day.

        Args:
            count: its logical calls.
            calls: the gateway's attempts (`day_of_calls`).
            seen: those that an SDK saw too.
            alone: the calls of the app without a gateway (`direct_calls`).
            requests: those to the owned fleet (`day_of_fleet_calls`).
        """
        self.calls_by_day.append(count)
        for kind, request_id in (
            calls.filter(pl.col("plant").is_in(MISTAKES)).select("plant", "request_id").rows()
        ):
            self.mistakes[kind].append(request_id)
        attempts = calls.filter(~pl.col("is_cache_hit"))
        unknown = attempts.filter(pl.col("plant") == "unknown_model")
        changed = attempts.filter(pl.col("plant") == "price_change")
        before = changed.filter(pl.col("started_at") < self.changes_at)
        after = changed.filter(pl.col("started_at") >= self.changes_at)
        self.counts.update(
            {
                "attempts": attempts.height + alone.height + requests.height,
                "gateway_attempts": attempts.height,
                "sdk_only_attempts": alone.height,
                "fleet_attempts": requests.height,
                "gateway_cache_hits": calls.height - attempts.height,
                "retries": calls.filter(pl.col("retries") > 0).height,
                "fallbacks": calls.filter("is_fallback").height,
                "seen_by_sdk": seen.height,
                "cached_tokens": _sum(attempts, "cached_tokens")
                + _sum(alone, "cached_tokens")
                + _sum(requests, "cache_read_tokens"),
                "unknown_attempts": unknown.height,
                "unknown_tokens": _sum(unknown, _TOKENS),
                **{
                    f"{side}_{name}": _sum(part, column)
                    for side, part in (("before", before), ("after", after))
                    for name, column in (("input", "prompt_tokens"), ("output", "completion_tokens"))
                },
                "before_attempts": before.height,
                "after_attempts": after.height,
            }
        )

    def facts(self) -> dict[str, Any]:
        """Return the facts in plain values."""
        count = self.counts
        unknown = next(lane for lane in LANES if lane.plant == "unknown_model")
        changed = next(lane for lane in LANES if lane.plant == "price_change")
        overlapping = count["overlapping_rows"]
        return {
            "calls_by_day": self.calls_by_day,
            "attempts": {
                "total": count["attempts"],
                "gateway": count["gateway_attempts"],
                "sdk": count["sdk_only_attempts"],
                "fleet": count["fleet_attempts"],
            },
            "routing_mistakes": self.mistakes,
            "duplicates": {
                "total": count["seen_by_sdk"] + overlapping,
                "seen_by_another_source": count["seen_by_sdk"],
                "redelivered": overlapping,
                "redelivered_files": self.redelivered_files,
                "overlapping_files": self.overlapping_files,
            },
            "unknown_model": {
                "provider": unknown.vendor.otel,
                "model": unknown.model,
                "attempts": count["unknown_attempts"],
                "tokens": count["unknown_tokens"],
            },
            "price_change": {
                "provider": changed.vendor.otel,
                "model": changed.model,
                "changes_at": self.changes_at.isoformat(),
                "attempts_before": count["before_attempts"],
                "attempts_after": count["after_attempts"],
                "usd_before": self._usd("before", EXAMPLE_RATES),
                "usd_after": self._usd("after", EXAMPLE_NEW_RATES),
            },
            "retries": count["retries"],
            "fallbacks": count["fallbacks"],
            "gateway_cache_hits": count["gateway_cache_hits"],
            "cached_tokens": count["cached_tokens"],
            "quarantined": self.quarantined,
        }

    def _usd(self, side: str, rates: tuple[float, float, float, float]) -> str:
        """Return what one side of the price change cost, exact; nothing of it is cached."""
        microdollars = sum(
            self.counts[f"{side}_{name}"] * Decimal(str(rates[place]))
            for name, place in (("input", 0), ("output", 3))
        )
        return str(Decimal(microdollars).scaleb(-6).normalize())


def _sum(frame: pl.DataFrame, column: str | pl.Expr) -> int:
    expression = pl.col(column) if isinstance(column, str) else column
    return int(frame.select(expression.sum()).item())
