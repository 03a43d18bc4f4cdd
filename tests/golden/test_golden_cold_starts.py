"""Cold starts worked out by hand: phases, dollars, who waited, why, and what would have cured the burst."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from models.cold_starts.bursts import cold_start_bursts
from models.cold_starts.starts import cold_starts
from models.costs.pools import pool_hours
from models.costs.states import replica_states
from models.schemas import table
from tests.models.costs.rows import fleet_attempt, replica_event, vendor_book

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ON = date(2026, 11, 20)


def book(*rates, phases="waiting, pulling, loading, serving, idle, draining, failed"):
    return vendor_book((f"chip: H100, commitment: on_demand, {rate}" for rate in rates), billed_phases=phases)


SIX_DOLLARS = book("usd_per_gpu_hour: 6, valid_from: 2025-01-01")  # 10 cents a minute


def events(*happened, begin=NOON, **facts):
    """Events given as (event, minutes after `begin`) with an optional reason."""
    return [
        replica_event(
            item[0],
            begin + item[1] * MINUTE,
            event_hour=begin,
            reason=item[2] if len(item) > 2 else None,
            **{"model": "llama-70b", "ingested_at": NOON} | facts,
        )
        for item in happened
    ]


def attempt(name, minutes, end, **facts):
    finished_at = None if end is None else NOON + end * MINUTE
    return fleet_attempt(
        name, NOON + minutes * MINUTE, finished_at, **{"started_hour": NOON, "ingested_at": NOON} | facts
    )


def settle(happened, attempts=(), *, prices=SIX_DOLLARS, from_on=ON, to_on=None, time_zone="UTC", hours=48):
    """Return the starts by (replica, hour asked) and the pool hours, over two days from midnight before noon."""
    start = datetime(2026, 11, 20, tzinfo=UTC)
    window = {"time_zone": time_zone, "from_hour": start, "to_hour": start + timedelta(hours=hours)}
    known = {"prices": prices.lazy(), "as_known_at": datetime(2026, 12, 1, tzinfo=UTC)}
    lifecycle = table("core.replica_events").frame(happened).lazy()
    requests = table("core.requests").frame(attempts).lazy()
    states = replica_states(lifecycle, **known, **window)
    pools = pool_hours(lifecycle, states.lazy(), requests, **known, **window)
    starts, _ = cold_starts(
        lifecycle,
        states.lazy(),
        requests,
        time_zone=time_zone,
        from_on=from_on,
        to_on=to_on or from_on + timedelta(days=1),
    )
    return starts, pools


def usd(text):
    return Decimal(text).quantize(Decimal("1e-12"))


def test_start_has_the_seconds_and_dollars_of_its_phases():
    """Ten minutes of machine wait, five of image pull, five of load: two dollars where the vendor bills all."""
    happened = events(
        ("requested", 0, "scale_up"), ("scheduled", 10), ("image_pulled", 15), ("ready", 20), ("stopped", 40)
    )
    (row,) = settle(happened)[0].iter_rows(named=True)
    assert (row["waiting_seconds"], row["pulling_seconds"], row["loading_seconds"]) == (600, 300, 300)
    assert row["total_seconds"] == 1200
    assert row["start_usd"] == usd("2")
    assert (row["outcome"], row["reason"], row["started_on"]) == ("ready", "scale_up", ON)
    assert (row["requested_at"], row["ready_at"]) == (NOON, NOON + 20 * MINUTE)
    assert row["stopped_at"] == NOON + 40 * MINUTE
    assert (row["is_inferred"], row["confidence_ratio"], row["estimated_usd"]) == (False, None, None)


def test_start_costs_what_the_vendor_bills_of_it():
    happened = events(("requested", 0), ("scheduled", 10), ("image_pulled", 15), ("ready", 20))
    rate = "usd_per_gpu_hour: 6, valid_from: 2025-01-01"
    dollars = [
        settle(happened, prices=book(rate, phases=phases))[0]["start_usd"].to_list()
        for phases in ("loading, serving", "pulling, loading, serving", "serving, idle")
    ]
    assert dollars == [[usd("0.5")], [usd("1")], [usd("0")]]


def test_phase_without_an_event_is_unknown_and_its_time_is_in_the_next():
    (row,) = settle(events(("requested", 0), ("ready", 20)))[0].iter_rows(named=True)
    assert (row["waiting_seconds"], row["pulling_seconds"], row["loading_seconds"]) == (None, None, 1200)


def test_start_over_an_hour_and_a_price_change_is_one_start_at_both_prices():
    """45 minutes before one o'clock at $6 an hour, then 15 at $12: $4.50 + $3."""
    prices = book(
        "usd_per_gpu_hour: 6, valid_from: 2025-01-01",
        "usd_per_gpu_hour: 12, valid_from: 2026-11-20T13:00:00Z",
    )
    starts, pools = settle(events(("requested", 15), ("scheduled", 15.5), ("ready", 75)), prices=prices)
    assert starts["start_usd"].to_list() == [usd("7.5")]
    assert pools["starting_usd"].to_list()[:2] == [usd("4.5"), usd("3")]


def test_start_over_midnight_counts_whole_on_the_day_that_it_was_asked_for():
    """Asked for at 23:50, ready at 00:10; both days together hold the pool's starting dollars."""
    late = datetime(2026, 11, 20, 23, 50, tzinfo=UTC)
    happened = events(("requested", 0), ("scheduled", 5), ("ready", 20), begin=late)
    first, pools = settle(happened)
    second, _ = settle(happened, from_on=date(2026, 11, 21))
    assert first["start_usd"].to_list() == [usd("2")]
    assert second.is_empty()
    assert pools["starting_usd"].sum() == usd("2")
    assert dict(pools.group_by("accrued_on").agg(pools["starting_usd"].sum()).iter_rows())


def test_business_day_is_that_of_the_reporting_zone():
    """18:45 UTC is a quarter past midnight in India."""
    evening = datetime(2026, 11, 20, 18, 45, tzinfo=UTC)
    happened = events(("requested", 0), ("ready", 20), begin=evening)
    assert settle(happened, time_zone="Asia/Kolkata")[0].is_empty()
    later, _ = settle(happened, time_zone="Asia/Kolkata", from_on=date(2026, 11, 21))
    assert later["started_on"].to_list() == [date(2026, 11, 21)]


def test_failed_start_is_booked_as_failed_with_its_cleaning_up():
    """Three minutes until it crashed and two until it was gone: 50 cents, none of them starting."""
    happened = events(
        ("requested", 0, "scale_up"), ("scheduled", 1), ("failed", 3, "OOMKilled"), ("stopped", 5)
    )
    starts, pools = settle(happened)
    (row,) = starts.iter_rows(named=True)
    assert (row["outcome"], row["ready_at"], row["total_seconds"]) == ("failed", None, 180)
    assert (row["start_usd"], row["failure_reason"]) == (usd("0.5"), "OOMKilled")
    assert (row["cause"], row["evidence"]) == ("crash_loop", "the start failed (OOMKilled)")
    assert pools["failed_usd"].sum() == usd("0.5")
    assert pools["starting_usd"].sum() == 0


def test_start_that_fails_at_the_instant_of_its_request_counts():
    happened = events(("requested", 0), ("failed", 0, "ImagePullBackOff"))
    (row,) = settle(happened)[0].iter_rows(named=True)
    assert (row["outcome"], row["total_seconds"], row["cause"]) == ("failed", 0, "crash_loop")


def test_replica_that_restarts_has_a_start_each_time():
    happened = events(
        ("requested", 0), ("failed", 2, "crash"),
        ("requested", 3), ("failed", 6, "crash"),
        ("requested", 7), ("ready", 9),
    )  # fmt: skip
    starts, pools = settle(happened)
    assert starts["outcome"].to_list() == ["failed", "failed", "ready"]
    assert starts["start_usd"].to_list() == [usd("0.2"), usd("0.3"), usd("0.2")]
    assert (pools["failed_usd"].sum(), pools["starting_usd"].sum()) == (usd("0.5"), usd("0.2"))


def test_replica_that_fails_after_it_was_ready_is_no_failed_start():
    starts, pools = settle(events(("requested", 0), ("ready", 10), ("failed", 20, "crash"), ("stopped", 22)))
    assert starts["outcome"].to_list() == ["ready"]
    assert starts["start_usd"].to_list() == [usd("1")]
    assert pools["failed_usd"].sum() == usd("0.2")


def test_start_that_was_called_off_and_one_that_still_runs_are_told_apart():
    called_off = events(("requested", 0), ("scheduled", 1), ("stopped", 4), replica_id="r1")
    running = events(("requested", 30), replica_id="r2")
    starts, pools = settle(called_off + running, hours=13)
    assert starts.select("outcome", "start_usd", "stopped_at").rows() == [
        ("cancelled", usd("0.4"), NOON + 4 * MINUTE),
        ("pending", usd("3"), None),
    ]
    assert pools["starting_usd"].sum() == usd("3.4")


def test_replica_seen_first_when_it_is_ready_has_no_start():
    assert settle(events(("ready", 0), ("stopped", 30)))[0].is_empty()


def test_start_on_a_chip_without_a_price_is_unpriced_not_free():
    starts, _ = settle(events(("requested", 0), ("ready", 10), chip="H200"))
    assert starts["start_usd"].to_list() == [None]


def test_requests_that_came_before_the_first_replica_was_ready_waited_for_it():
    """a came a minute before the start was asked for and waited until 12:20: 21 minutes; b waited ten; c came later."""
    happened = events(("requested", 0), ("ready", 20), ("stopped", 60))
    attempts = [
        attempt("a", -1, 30, user_id="ann", first_token_at=NOON + 20.5 * MINUTE),
        attempt("b", 10, 31, user_id="bob", first_token_at=NOON + 20.5 * MINUTE),
        attempt("c", 40, 41, user_id="eve", first_token_at=NOON + 40.5 * MINUTE),
    ]
    (row,) = settle(happened, attempts)[0].iter_rows(named=True)
    assert (row["delayed_request_count"], row["added_seconds"]) == (2, 31 * 60)
    assert row["delayed_users"] == ["ann", "bob"]
    assert (row["delayed_ttft_seconds"], row["warm_ttft_seconds"]) == (16 * 60, 30)
    assert (row["ready_replica_count"], row["abandoned_request_count"]) == (0, 0)
    assert (row["cause"], row["evidence"]) == ("scale_from_zero", "no replica was ready")


def test_request_that_was_given_up_is_abandoned_and_waited_until_then():
    attempts = [attempt("a", 5, 8, status="cancelled"), attempt("b", 5, 30)]
    (row,) = settle(events(("requested", 0), ("ready", 20)), attempts)[0].iter_rows(named=True)
    assert (row["delayed_request_count"], row["abandoned_request_count"]) == (2, 1)
    assert row["added_seconds"] == (3 + 15) * 60


def test_request_in_the_queue_of_a_deployment_that_scales_up_waits_for_the_start():
    """One replica is ready; at 12:05 a request queues for four minutes while another starts from 12:06 on."""
    happened = events(("requested", -30), ("ready", -20), replica_id="r0") + events(
        ("requested", 6), ("ready", 12)
    )
    attempts = [
        attempt("a", 5, 15, queue_seconds=240.0),
        attempt("b", 5, 15, queue_seconds=0.2),
        attempt("c", 5, 15),
        attempt("hit", 5, 15, queue_seconds=240.0, is_gateway_cache_hit=True),
    ]
    starts, _ = settle(happened, attempts)
    assert starts.select("replica_id", "delayed_request_count", "added_seconds").rows() == [
        ("r0", 0, 0),
        ("r1", 1, 180),
    ]


def test_request_waits_for_the_replica_that_it_names():
    happened = events(("requested", -30), ("ready", -20), replica_id="r0") + events(
        ("requested", 0), ("ready", 12)
    )
    attempts = [
        attempt("a", 2, 15, replica_id="r1", route="support"),
        attempt("b", 2, 15, replica_id="r0", route="support"),
    ]
    starts, _ = settle(happened, attempts)
    assert starts.select("replica_id", "delayed_request_count", "added_seconds").rows() == [
        ("r0", 0, 0),
        ("r1", 1, 600),
    ]


def test_each_request_counts_at_one_start_however_many_run():
    happened = [
        event
        for number in range(4)
        for event in events(("requested", number), ("ready", 20 + number), replica_id=f"r{number}")
    ]
    starts, _ = settle(happened, [attempt(f"a{number}", 5 + number, 40) for number in range(6)])
    assert starts["delayed_request_count"].to_list() == [6, 0, 0, 0]


def fleet_of_bursts(replicas, *, reason=None, step=0.5, **facts):
    """Two weeks of a calm replica a day, then many within minutes at noon of the 20th."""
    calm = [
        event
        for day in range(1, 15)
        for event in events(
            ("requested", 0), ("ready", 3), ("stopped", 30), replica_id=f"calm-{day}",
            begin=NOON - timedelta(days=day, hours=day % 5),
        )
    ]  # fmt: skip
    return calm + [
        event
        for number in range(replicas)
        for event in events(
            ("requested", number * step, reason),
            ("ready", number * step + 3),
            ("stopped", number * step + 60),
            replica_id=f"b{number}",
            **facts,
        )
    ]


def bursts(happened, attempts=(), *, prices=SIX_DOLLARS):
    start = NOON - timedelta(days=16, hours=12)
    window = {"time_zone": "UTC", "from_hour": start, "to_hour": start + timedelta(days=18)}
    lifecycle = table("core.replica_events").frame(happened).lazy()
    states = replica_states(
        lifecycle, prices=prices.lazy(), as_known_at=datetime(2026, 12, 1, tzinfo=UTC), **window
    ).lazy()
    days = {"time_zone": "UTC", "from_on": start.date(), "to_on": date(2026, 11, 22)}
    starts, _ = cold_starts(lifecycle, states, table("core.requests").frame(attempts).lazy(), **days)
    return cold_start_bursts(starts, prices=prices, **days)


def test_burst_has_its_onset_end_size_dollars_and_the_users_that_it_hurt():
    """Ten starts of three minutes at ten cents a minute; six requests of two people wait for the first."""
    attempts = [attempt(f"q{n}", 0.1, 10, user_id=f"user-{n % 2}") for n in range(6)]
    (row,) = bursts(fleet_of_bursts(10, reason="scale_from_zero"), attempts).iter_rows(named=True)
    assert (row["onset_at"], row["ended_at"]) == (NOON, NOON + 4.5 * MINUTE)
    assert (row["start_count"], row["burst_usd"]) == (10, usd("3"))
    assert (row["delayed_request_count"], row["delayed_user_count"]) == (6, 2)
    assert row["added_seconds"] == pytest.approx(6 * 2.9 * 60)
    assert row["cause"] == "scale_from_zero"
    assert row["evidence"] == "10 of 10 starts: reason scale_from_zero"
    assert row["burst_id"] == "llama|H100|us-east-1|2026-11-20T12:00:00Z"


def test_cure_is_the_replicas_that_lived_at_once_and_their_price_a_day():
    """Ten at once at $6 an hour for 24 hours. Too few replicas had been stopped the day before to be kept warm."""
    (row,) = bursts(fleet_of_bursts(10, reason="scale_from_zero")).iter_rows(named=True)
    assert (row["cure_replica_count"], row["cure_usd_per_day"]) == (10, usd("1440"))
    assert (row["cure_keep_warm_seconds"], row["cure_keep_warm_usd_per_day"]) == (None, None)


def test_replica_that_flaps_is_cured_by_one_warm_replica_or_a_longer_keep_warm():
    """A replica lives ten minutes and is asked for again after two: one was needed, warm or kept from before."""
    flapping = [
        event
        for turn in range(10)
        for event in events(
            ("requested", 12 * turn, "scale_from_zero"), ("ready", 12 * turn + 3), ("stopped", 12 * turn + 10),
            replica_id=f"flap-{turn}",
        )
    ]  # fmt: skip
    before = events(("requested", -240), ("ready", -237), ("stopped", -170), replica_id="before")
    (row,) = bursts(fleet_of_bursts(0) + before + flapping).iter_rows(named=True)
    assert row["start_count"] == 10
    assert (row["cure_replica_count"], row["cure_usd_per_day"]) == (1, usd("144"))
    # 170 minutes more; seven replicas were stopped in the seven days before: 7 x 170 min x 10 cents / 7 days.
    assert row["cure_keep_warm_seconds"] == 170 * 60
    assert row["cure_keep_warm_usd_per_day"] == usd("17")


@pytest.mark.parametrize(
    ("reason", "cause", "is_curable"),
    [
        ("deploy", "deploy", False),
        ("RollingUpdate", "deploy", False),
        ("scale_from_zero", "scale_from_zero", True),
        ("preempted", "preemption", True),
        ("crash", "crash_loop", False),
        ("NodeLost", "node_loss", True),
        ("scale_up", "traffic_spike", True),
    ],
)
def test_reason_in_the_events_names_the_cause(reason, cause, is_curable):
    ready = events(("requested", -400), ("ready", -390), replica_id="old")
    (row,) = bursts(fleet_of_bursts(10, reason=reason) + ready).iter_rows(named=True)
    assert (row["cause"], row["evidence"]) == (cause, f"10 of 10 starts: reason {reason}")
    assert (row["cure_replica_count"] is not None) == is_curable


def test_without_reasons_losses_just_before_tell_a_crash_loop_from_preemption():
    def lost(reason):
        return [
            event
            for number in range(10)
            for event in events(
                ("ready", -390), ("failed", number * 0.5 - 0.1, reason), replica_id=f"old-{number}"
            )
        ]  # fmt: skip

    (crash,) = bursts(fleet_of_bursts(10) + lost("OOMKilled")).iter_rows(named=True)
    (preempted,) = bursts(fleet_of_bursts(10) + lost("spot reclaimed")).iter_rows(named=True)
    assert (crash["cause"], preempted["cause"]) == ("crash_loop", "preemption")
    assert "replicas were lost in the 10 min before (OOMKilled)" in crash["evidence"]


def test_replicas_lost_with_one_machine_are_a_node_loss():
    lost = [
        event
        for number in range(5)
        for event in events(
            ("ready", -390), ("failed", -0.2), replica_id=f"old-{number}", node="node-7"
        )
    ]  # fmt: skip
    (row,) = bursts(fleet_of_bursts(8) + lost).iter_rows(named=True)
    assert row["cause"] == "node_loss"
    assert "5 replicas of machine node-7 were lost together" in row["evidence"]


def test_more_requests_than_usual_before_scaling_are_a_traffic_spike():
    ready = events(("requested", -400), ("ready", -390), replica_id="old")
    usual = [attempt(f"u{n}", -370 + 10 * n, -369 + 10 * n) for n in range(36)]
    rush = [attempt(f"r{n}", -2 + n / 60, n / 60) for n in range(240)]
    (row,) = bursts(fleet_of_bursts(10) + ready, usual + rush).iter_rows(named=True)
    assert row["cause"] == "traffic_spike"
    assert "requests in 10 min against 1.0 before" in row["evidence"]


def test_old_replicas_drained_as_new_ones_become_ready_are_a_deploy():
    old = [
        event
        for number in range(10)
        for event in events(
            ("ready", -390), ("draining", number * 0.5 + 3.5), ("stopped", number * 0.5 + 5),
            replica_id=f"old-{number}",
        )
    ]  # fmt: skip
    (row,) = bursts(fleet_of_bursts(10) + old).iter_rows(named=True)
    assert row["cause"] == "deploy"


def test_burst_below_the_floor_that_hurt_no_one_is_not_told():
    """Ten starts of half a cent each; with a request that waited for them they are told."""
    cheap = book("usd_per_gpu_hour: 0.1, valid_from: 2025-01-01")
    happened = fleet_of_bursts(10, reason="scale_from_zero")
    assert bursts(happened, prices=cheap).is_empty()
    assert bursts(happened, [attempt("a", 0, 9)], prices=cheap).height == 1


def test_start_is_inferred_from_the_first_request_after_a_pause():
    """Nothing is logged of `gpt-oss`: a request after 50 quiet minutes gets its first token after 40 s, not 0.5."""
    usual = [
        attempt(
            f"u{n}", n, n + 0.5, route="gpt-oss", first_token_at=NOON + n * MINUTE + timedelta(seconds=0.5)
        )
        for n in range(30)
    ]
    cold = [
        attempt(
            f"c{n}", 80 + n / 10, 82, route="gpt-oss", provider="runpod", region="eu", served_model="llama-70b",
            first_token_at=NOON + 80 * MINUTE + timedelta(seconds=40), user_id=f"user-{n}",
        )
        for n in range(2)
    ]  # fmt: skip
    observed = events(("requested", 0), ("scheduled", 10), ("image_pulled", 15), ("ready", 20))
    starts, _ = settle(observed, usual + cold)
    (row,) = starts.filter("is_inferred").iter_rows(named=True)
    assert (row["deployment"], row["provider"], row["chip"]) == ("gpt-oss", "runpod", "unknown")
    assert (row["requested_at"], row["total_seconds"]) == (NOON + 80 * MINUTE, 40)
    assert (row["start_usd"], row["confidence_ratio"]) == (None, 0.7)
    assert row["estimated_usd"] == usd("2") / 1200 * 40 // Decimal("1e-12") * Decimal("1e-12")
    assert (row["delayed_request_count"], row["delayed_users"]) == (2, ["user-0", "user-1"])
    assert row["evidence"] == "first request after 50 min without any, waited 40.0 s against 0.5 s"


def test_queue_time_makes_an_inferred_start_surer_and_busy_traffic_less():
    calm = [attempt(f"u{n}", n, n + 0.1, route="x", queue_seconds=0.1) for n in range(30)]
    idle = attempt("idle", 60, 62, route="x", queue_seconds=50.0)
    busy = attempt("busy", 61.9, 65, route="x", queue_seconds=20.0)
    starts, _ = settle([], [*calm, idle, busy])
    assert starts.select("confidence_ratio", "cause").rows() == [(0.9, "scale_from_zero"), (0.4, "unknown")]


def test_slow_deployment_that_is_always_slow_has_no_inferred_start():
    slow = [attempt(f"u{n}", 10 * n, 10 * n + 1, route="x", queue_seconds=30.0) for n in range(20)]
    assert settle([], slow)[0].is_empty()
