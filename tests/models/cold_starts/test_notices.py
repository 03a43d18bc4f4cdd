"""What people are told of a burst while it happens."""

from datetime import UTC, datetime, timedelta

import pytest

from models.cold_starts.notices import burst_notices
from models.schemas import table

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SERIES = "vendor|us-east-1|H100|llama"


def burst(onset, **facts):
    return {
        "started_on": NOON.date(),
        "burst_id": f"llama|{onset}",
        "provider": "vendor",
        "region": "us-east-1",
        "chip": "H100",
        "deployment": "llama",
        "onset_at": onset,
        "ended_at": onset + timedelta(minutes=5),
        "start_count": 10,
        "expected_count": 0.02,
        "p_value": 1e-9,
        "burst_usd": "12.5",
        "delayed_request_count": 1200,
        "added_seconds": 7200.0,
        "cause": "scale_from_zero",
        "evidence": "10 of 10 starts: no replica was ready",
        "cure_replica_count": 2,
        "cure_usd_per_day": "288",
        "history_days": 40.0,
        "is_history_short": False,
        **facts,
    }


def rows(*bursts):
    return table("mart.cold_start_bursts").frame(bursts)


def test_notice_says_what_where_since_when_why_and_what_it_costs():
    (notice,) = burst_notices(rows(burst(NOON)), told={})
    assert notice.text == (
        "llama on H100 in us-east-1 started 10 replicas in 5 min from 2026-11-20 12:00 UTC, 0.02 expected; "
        "scale from zero (10 of 10 starts: no replica was ready); $12.50; 1,200 requests waited 2.0 h in all; "
        "2 more warm replicas at $288.00 a day would have absorbed it."
    )
    assert (notice.series, notice.ended_at) == (SERIES, NOON + timedelta(minutes=5))


def test_notice_of_an_unpriced_burst_that_hurt_no_one_says_no_more_than_it_knows():
    quiet = {
        "burst_usd": None,
        "delayed_request_count": 0,
        "cure_replica_count": None,
        "cure_usd_per_day": None,
    }
    (notice,) = burst_notices(rows(burst(NOON, **quiet)), told={})
    assert notice.text.endswith("(10 of 10 starts: no replica was ready); not priced.")


@pytest.mark.parametrize(("minutes", "is_told"), [(-60, False), (60, False), (119, False), (121, True)])
def test_burst_that_goes_on_is_told_once(minutes, is_told):
    found = rows(burst(NOON + timedelta(minutes=minutes)))
    assert bool(burst_notices(found, told={SERIES: NOON})) == is_told


def test_two_bursts_of_two_deployments_are_two_notices():
    found = rows(burst(NOON), burst(NOON, deployment="qwen", burst_id="qwen"))
    assert len(burst_notices(found, told={})) == 2
