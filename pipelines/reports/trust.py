"""How far figures can be trusted, in one sentence: the first of a report, and the last of a run and of a close."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

import duckdb

from models.periods import business_day_bounds
from pipelines.reports.figures import Row, Rows, figures
from pipelines.reports.wording import count, money, plural, share

Level = Literal["complete", "nearly", "care", "none"]
CARE_BELOW_RATIO = 0.95
"""Priced share of attempts or tokens below which the figures are to be used with care."""
FINDINGS = ("routing_mistakes", "cold_start_bursts", "budgets_hold", "spend_is_usual", "bills_count_once")
"""Checks that find avoidable or unusual cost; the figures are right all the same."""
_COUNTED = ("prices_cover_usage", "reported_costs_agree")
"""Checks whose warnings are counted here on the day itself."""
_READ = ("checks", "completeness", "cost_per_token", "coverage", "pools", "refused", "spend_by_day")
"""What a verdict is made of."""


@dataclass(frozen=True)
class Trust:
    """A level (which colours the sentence), the sentence, what is priced, and whether that is all there is."""

    level: Level
    verdict: str
    facts: str
    spend_usd: Decimal | None = None
    is_whole: bool = True

    def of(self, span: str) -> str:
        """Return the sentence about a span of time, with its spend; what has no price begins the facts."""
        if not self.is_whole:
            return f"{span}. {self.verdict}: {self.facts}"
        spent = "nothing is priced" if self.spend_usd is None else f"{_usd(self.spend_usd)} spent"
        return f"{span}: {spent}. {self.verdict}: {self.facts}"


def trust_of_days(
    con: duckdb.DuckDBPyConnection, days: Sequence[date], *, time_zone: str, now: datetime
) -> Trust:
    """Judge a range of business days as one, by the same rules as a day.

    Args:
        con: a session in which the warehouse's schemas are the current ones.
        days: business days, in order and without a gap.
        time_zone: IANA zone in which days are cut.
        now: aware; a day that has not ended can still move.
    """
    found = figures(con, days, time_zone=time_zone, only=_READ)
    totals = [row for day in found.values() for row in day["cost_per_token"] if row["dimension"] == "total"]
    spends = [row for on, day in found.items() for row in day["spend_by_day"]
              if row["provider"] is None and row["day_on"] == on]  # fmt: skip
    by_name = {name: [row for day in found.values() for row in day[name]] for name in _READ}
    checks: dict[tuple[str, str], Row] = {}
    for row in by_name["checks"]:
        check = checks.setdefault((row["check_name"], row["table_name"]), row)
        if not row["is_passed"]:
            checks[row["check_name"], row["table_name"]] = row | {
                "is_error": row["is_error"] or check["is_error"]
            }
    return trust(
        _summed(totals),
        {
            "coverage": [row | {"is_total": True} for row in [_summed(
                [row for row in by_name["coverage"] if row["is_total"]])] if row],
            "checks": list(checks.values()),
            "completeness": [row for row in [_summed(by_name["completeness"])] if row],
            # A file that may be of several days counts once.
            "refused": list({(row["file_hash"], row["source"]): row for row in by_name["refused"]}.values()),
        },
        _summed(by_name["pools"]) or {"unpriced_hour_count": 0},
        spend_usd=(_summed(spends) or {}).get("spend_usd"),
        is_running=now < business_day_bounds(days[-1], time_zone=time_zone)[1],
        span="this day" if len(days) == 1 else "the usage of these days",
    )  # fmt: skip


def _summed(rows: Rows) -> Row | None:
    """Add up rows: numbers are summed, flags joined by or, names listed, the last date kept; None of no row."""
    if not rows:
        return None
    summed: Row = {}
    for name in rows[0]:
        values = [row[name] for row in rows if row[name] is not None]
        if not values:
            summed[name] = None
        elif all(isinstance(value, bool) for value in values):
            summed[name] = any(values)
        elif all(isinstance(value, date) for value in values):
            summed[name] = min(values) if name.startswith("oldest") else max(values)
        elif all(isinstance(value, int | Decimal | float) for value in values):
            summed[name] = sum(values[1:], start=values[0])
        else:
            summed[name] = ", ".join(dict.fromkeys(str(value) for value in values))
    return summed


def trust(
    total: Row | None,
    found: dict[str, Rows],
    pools: Row,
    *,
    spend_usd: Decimal | None,
    is_running: bool,
    span: str = "this day",
) -> Trust:
    """Judge days from their priced and measured shares, their checks, and whether they can still move.

    Args:
        total: attempts, tokens and the estimate of what has no price; None where nothing is known.
        found: rows of coverage, checks, completeness and refused records.
        pools: pool-hours of GPUs, those without a price and what they may have cost.
        spend_usd: what is priced.
        is_running: whether the last day has not ended.
        span: what is judged, in words.
    """
    refused = sum(row["quarantined_count"] for row in found["refused"])
    if total is None:
        why = "its logs have not been read"
        if refused:
            why += f"; {plural(refused, 'record')} could not be used"
        return Trust(
            "none",
            f"Nothing is known of {span}",
            f"the warehouse holds no attempt and no GPU hour; if there was traffic, {why}.",
        )
    coverage = next((row for row in found["coverage"] if row["is_total"]), None)
    attempts, unpriced = total["attempt_count"], total["unpriced_count"]
    measured = coverage["provider_usage_count"] if coverage and coverage["attempt_count"] else None
    quarantined = (coverage["quarantined_count"] if coverage else 0) + refused
    against = [row for row in found["checks"] if not row["is_passed"] and row["check_name"] not in FINDINGS]
    failed = [row for row in against if row["is_error"] or row["check_name"] not in _COUNTED]
    left_out = _left_out(total, pools, spend_usd)
    facts = [*left_out, _priced(total), _measured(measured, coverage)]
    if total["unpriced_tokens"] or unpriced:
        estimate = total["estimated_usd"]
        guess = "with no estimate" if estimate is None else f"estimated at {_usd(estimate)}"
        facts.append(f"{count(total['unpriced_tokens'])} unpriced tokens are left out, {guess}")
    if pools["unpriced_hour_count"]:
        estimate = pools.get("estimated_usd")
        guess = ", with no estimate" if estimate is None else f", estimated at {_usd(estimate)}"
        facts.append(
            f"{plural(pools['unpriced_hour_count'], 'pool-hour')} of GPUs without a price are left out{guess}"
        )
    facts += _prices(coverage)
    if quarantined:
        facts.append(f"{plural(quarantined, 'record')} of its files could not be read")
    unread = (coverage or {}).get("unread_usage_count") or 0
    if unread:
        example = coverage["unread_usage_example"] if coverage else ""
        facts.append(f"{plural(unread, 'attempt')} have usage fields that no rule reads (such as {example})")
    facts.append(_complete(next(iter(found["completeness"]), None)))
    facts += _checks(found["checks"])
    if is_running:
        facts.append("the day has not ended")
    elif total["is_provisional"]:
        facts.append("late finishers can still move it")
    level, verdict = _verdict(
        total,
        is_whole=not (unpriced or failed or quarantined or unread or pools["unpriced_hour_count"])
        and (measured or 0) == attempts,
        is_bad=bool(pools["unpriced_hour_count"] or any(row["is_error"] for row in failed)),
        is_settled=not is_running and not total["is_provisional"] and bool(found["checks"]),
    )
    return Trust(level, verdict, "; ".join(facts) + ".", spend_usd, not left_out)


def _checks(checks: Rows) -> list[str]:
    """Name the checks that failed, and apart those that warn and those that find cost; or say that all passed."""
    if not checks:
        return ["no check has looked at it yet"]
    facts = []
    failed = [row for row in checks if not row["is_passed"]]
    against = [row for row in failed if row["check_name"] not in FINDINGS]
    for rows, one, many in (
        ([row for row in against if row["is_error"]], "check of the data fails", "checks of the data fail"),
        ([row for row in against if not row["is_error"]], "check warns", "checks warn"),
        (
            [row for row in failed if row["check_name"] in FINDINGS],
            "check finds what to look at",
            "checks find what to look at",
        ),
    ):
        names = sorted({row["check_name"] for row in rows})
        if names:
            facts.append(f"{plural(len(names), one, many)} ({', '.join(names)})")
    return facts or ["every check of the data passed"]


def _left_out(total: Row, pools: Row, spend_usd: Decimal | None) -> list[str]:
    """Say what was spent at least, and about how much more was used that has no price."""
    if not (total["unpriced_count"] or pools["unpriced_hour_count"]):
        return []
    known = [guess for guess in (total["estimated_usd"], pools.get("estimated_usd")) if guess is not None]
    about = f"about {_usd(sum(known, Decimal(0)))}" if known else "an unknown amount"
    more = " or more" if known and pools.get("has_no_estimate") else ""
    if spend_usd is None:
        return [f"nothing is priced: {about}{more} was spent"]
    return [f"at least {_usd(spend_usd)} was spent; {about}{more} is not priced"]


def _usd(amount: Decimal) -> str:
    return str(money(amount).striptags())


def _priced(total: Row) -> str:
    attempts, unpriced = total["attempt_count"], total["unpriced_count"]
    if not attempts:
        return "GPUs were billed and no attempt was made"
    if not unpriced:
        return "all attempts are priced" if attempts > 1 else "the only attempt is priced"
    return f"{share(1 - unpriced / attempts)} of {plural(attempts, 'attempt')} are priced"


def _measured(measured: int | None, coverage: Row | None) -> str:
    if measured is None or coverage is None:
        return "who counted the tokens is not known"
    if measured == coverage["attempt_count"]:
        return "all tokens were counted by the provider"
    return f"{share(measured / coverage['attempt_count'])} have tokens counted by the provider"


def _complete(counted: Row | None) -> str:
    if counted is None:
        return "no independent counter says whether logs are missing"
    missing, tokens = counted["missing_count"], counted["missing_tokens"]
    if not missing and not tokens:
        return f"no log is missing by the counters of {counted['providers']}"
    usd = counted["missing_usd"]
    guess = "with no estimate" if usd is None else f"estimated at {_usd(usd)}"
    if usd is not None and counted["has_unpriced"]:
        guess += " in part"
    calls = f"{count(missing)} of {plural(counted['counted_count'], 'counted call')} and " if missing else ""
    return f"{calls}{count(tokens)} counted tokens, {guess}, are in no log"


def _prices(coverage: Row | None) -> list[str]:
    """Say how old the prices are, and which rates no list states."""
    facts = []
    if coverage and coverage.get("old_price_count"):
        age = (coverage["day_on"] - coverage["oldest_price_on"]).days
        facts.append(
            f"{plural(coverage['old_price_count'], 'attempt')} are priced by lists read up to {age} days before"
        )
    if coverage and coverage.get("assumed_rate_count"):
        facts.append(
            f"{plural(coverage['assumed_rate_count'], 'attempt')} pay an assumed rate: that of input for cached input, "
            "or that of no region where the log tells none"
        )
    return facts


def _verdict(total: Row, *, is_whole: bool, is_bad: bool, is_settled: bool) -> tuple[Level, str]:
    attempts, tokens = total["attempt_count"], total["total_tokens"]
    if attempts and total["unpriced_count"] == attempts:
        return "none", "Nothing is priced, so no spend of requests can be stated"
    ratios = [1 - total["unpriced_count"] / attempts] if attempts else []
    ratios += [1 - total["unpriced_tokens"] / tokens] if tokens else []
    if is_bad or any(ratio < CARE_BELOW_RATIO for ratio in ratios):
        return "care", "Use with care"
    if is_whole and is_settled:
        return "complete", "Complete"
    return "nearly", "Nearly complete" if not is_whole else "Complete so far"
