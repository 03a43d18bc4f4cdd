from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from models.routing.storms import (
    FALLBACKS_AT_LEAST,
    FALSE_ALARMS_PER_ROUTE_MONTH,
    WINDOWS_MINUTES,
    BaseRate,
    alarm_level,
    base_rate,
    storms,
    tail,
)

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
WEEK = 2016


def counts(rng, calls, share, spread):
    scale = 1 / spread - 1
    return rng.binomial(calls, rng.beta(share * scale, (1 - share) * scale, WEEK))


def least_seen(calls, rate, level):
    """Return the fewest fallbacks among so many calls that are a storm."""
    return next(
        (seen for seen in range(FALLBACKS_AT_LEAST, calls + 1) if tail(seen, calls, rate) <= level), None
    )


@pytest.mark.parametrize(
    ("seen", "of", "share", "spread", "expected"),
    [(0, 10, 0.1, 0.01, 1.0), (1, 1, 0.25, 0.1, 0.25), (2, 2, 0.5, 1 / 3, 0.5 * (1.0 + 1.0) / (2.0 + 1.0))],
)
def test_the_tail_is_that_of_a_beta_binomial(seen, of, share, spread, expected):
    assert tail(seen, of, BaseRate(share, spread)) == pytest.approx(expected)


@pytest.mark.parametrize(("share", "calls"), [(0.001, 30), (0.01, 30), (0.01, 300), (0.05, 100)])
def test_a_route_that_follows_its_base_rate_raises_no_more_false_alarms_than_stated(share, calls):
    """The chance is exact: that of the true distribution beyond the threshold that a fitted history sets."""
    rng = np.random.default_rng(1)
    spread = 0.005
    alarms = []
    for _ in range(10):
        rate = base_rate(np.full(WEEK, calls), counts(rng, calls, share, spread))
        found = 0.0
        for minutes in WINDOWS_MINUTES:
            of = calls * minutes // 5
            seen = least_seen(of, rate, alarm_level(minutes))
            if seen is not None:
                found += tail(seen, of, BaseRate(share, spread)) * 30 * 24 * 60 / minutes
        alarms.append(found)
    assert np.mean(alarms) <= FALSE_ALARMS_PER_ROUTE_MONTH


def test_past_storms_do_not_hide_new_ones():
    rng = np.random.default_rng(2)
    usual = counts(rng, 40, 0.01, 0.005)
    stormy = usual.copy()
    stormy[::50] = 30
    calm, mended = (base_rate(np.full(WEEK, 40), past) for past in (usual, stormy))
    assert mended.share == pytest.approx(calm.share, rel=0.1)
    assert mended.spread == pytest.approx(calm.spread, rel=0.3)


def calls(minutes, *, is_fallback, route="chat"):
    return [
        {"route": route, "started_at": NOON + timedelta(minutes=minute), "is_fallback": is_fallback}
        for minute in minutes
    ]


def found(rows, history=None):
    frame = pl.DataFrame(
        rows, schema_overrides={"started_at": pl.Datetime("us", "UTC"), "is_fallback": pl.Boolean}
    )
    return storms(frame, history)


HISTORY = pl.DataFrame({"route": "chat", "attempt_count": 40, "fallback_count": [0, 1] * 500})


def test_a_window_full_of_fallbacks_is_a_storm_and_its_words_say_so():
    rows = calls([n * 5 / 40 for n in range(40)], is_fallback=False) + calls(
        [n / 10 for n in range(20)], is_fallback=True
    )
    hit = found(rows, HISTORY)
    assert hit.get_column("row").to_list() == list(range(40, 60))
    assert hit.get_column("evidence")[0].startswith(
        "20 of 60 attempts fell back within 5 minutes, usually 1."
    )


def test_usual_fallbacks_are_no_storm():
    rows = calls(range(0, 600, 2), is_fallback=False) + calls(range(0, 600, 150), is_fallback=True)
    assert found(rows, HISTORY).is_empty()


def test_a_few_fallbacks_are_no_storm_however_rare():
    rows = calls([0.1 * n for n in range(FALLBACKS_AT_LEAST - 1)], is_fallback=True)
    assert found(rows, HISTORY).is_empty()


def test_a_route_without_a_history_is_judged_by_its_own_windows():
    steady = calls([5 * n for n in range(280)], is_fallback=False)
    burst = calls([700 + n / 10 for n in range(12)], is_fallback=True)
    assert found(steady + burst).get_column("row").to_list() == list(range(280, 292))


def test_without_fallbacks_there_is_nothing_to_judge():
    assert found(calls(range(10), is_fallback=None)).is_empty()
