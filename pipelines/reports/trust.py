"""How far the figures of a day can be trusted, in one sentence: the first that the report says."""

from dataclasses import dataclass
from typing import Literal

from pipelines.reports.figures import Row, Rows
from pipelines.reports.wording import count, money, plural, share

Level = Literal["complete", "nearly", "care", "none"]
CARE_BELOW_RATIO = 0.95
"""Priced share of attempts or tokens below which the figures are to be used with care."""
FINDINGS = ("routing_mistakes", "cold_start_bursts", "prices_cover_usage")
"""Checks that say nothing against the figures, or nothing that is not counted here on the day itself."""


@dataclass(frozen=True)
class Trust:
    """A level (which colours the sentence) and the sentence."""

    level: Level
    verdict: str
    facts: str


def trust(total: Row | None, found: dict[str, Rows], pools: Row, *, is_running: bool) -> Trust:
    """Judge a day from its priced and measured shares, its checks, and whether it can still move."""
    if total is None:
        return Trust(
            "none",
            "Nothing is known of this day",
            "the warehouse holds no attempt and no GPU hour; if there was traffic, its logs have not been read.",
        )
    coverage = next((row for row in found["coverage"] if row["is_total"]), None)
    attempts, unpriced = total["attempt_count"], total["unpriced_count"]
    measured = coverage["provider_usage_count"] if coverage and coverage["attempt_count"] else None
    quarantined = coverage["quarantined_count"] if coverage else 0
    failed = [row for row in found["checks"] if not row["is_passed"] and row["check_name"] not in FINDINGS]
    errors = [row for row in failed if row["is_error"]]
    facts = [_priced(total), _measured(measured, coverage)]
    if total["unpriced_tokens"] or unpriced:
        estimate = total["estimated_usd"]
        guess = "with no estimate" if estimate is None else f"estimated at {money(estimate).striptags()}"
        facts.append(f"{count(total['unpriced_tokens'])} unpriced tokens are left out, {guess}")
    if pools["unpriced_hour_count"]:
        facts.append(
            f"{plural(pools['unpriced_hour_count'], 'pool-hour')} of GPUs without a price are left out"
        )
    if quarantined:
        facts.append(f"{plural(quarantined, 'record')} of its files could not be read")
    facts.append(_complete(next(iter(found["completeness"]), None)))
    if not found["checks"]:
        facts.append("no check has looked at it yet")
    elif failed:
        facts.append(f"{plural(len(failed), 'check')} of the data did not pass")
    else:
        facts.append("every check of the data passed")
    if is_running:
        facts.append("the day has not ended")
    elif total["is_provisional"]:
        facts.append("late finishers can still move it")
    level, verdict = _verdict(
        total,
        is_whole=not (unpriced or failed or quarantined or pools["unpriced_hour_count"])
        and (measured or 0) == attempts,
        is_bad=bool(errors or pools["unpriced_hour_count"]),
        is_settled=not is_running and not total["is_provisional"] and bool(found["checks"]),
    )
    return Trust(level, verdict, "; ".join(facts) + ".")


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
    guess = "with no estimate" if usd is None else f"estimated at {money(usd).striptags()}"
    if usd is not None and counted["has_unpriced"]:
        guess += " in part"
    calls = f"{count(missing)} of {plural(counted['counted_count'], 'counted call')} and " if missing else ""
    return f"{calls}{count(tokens)} counted tokens, {guess}, are in no log"


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
