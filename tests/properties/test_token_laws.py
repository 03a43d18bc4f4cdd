"""Laws that any token price obeys: sums of parts, order of prices, thresholds, time travel, order of rows, zones."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from models.costs.token_costs import price_requests
from models.prices.sheets import load_token_sheets
from models.prices.token_book import model_aliases, token_book
from models.schemas import table

NOON = datetime(2026, 5, 5, 12, tzinfo=UTC)
LATER = datetime(2027, 1, 1, tzinfo=UTC)
CLASSES = ("input_uncached", "cache_read", "cache_write_5m", "audio_input", "output_text", "reasoning")
LONG = 1000
SHEET = """\
provider: p
source_url: https://example.com
checked_on: 2026-01-01
models:
  - model: plain
    prices: [{{valid_from: 2026-01-01, usd_per_mtok: {rates}}}]
  - model: whole_request
    prices:
      - valid_from: 2026-01-01
        usd_per_mtok: {rates}
        long_context: {{above_input_tokens: 1000, mode: whole_request, usd_per_mtok: {doubled}}}
  - model: graduated
    prices:
      - valid_from: 2026-01-01
        usd_per_mtok: {rates}
        long_context: {{above_input_tokens: 1000, mode: graduated, usd_per_mtok: {doubled}}}
"""
COUNTS = st.fixed_dictionaries(dict.fromkeys(CLASSES, st.integers(0, 10**6)))
RATES = st.fixed_dictionaries(dict.fromkeys(CLASSES, st.integers(10**5, 9 * 10**6))).map(
    lambda units: {name: Decimal(unit).scaleb(-6) for name, unit in units.items()}
)
FLAT = {name: Decimal(place) for place, name in enumerate(CLASSES, 1)}


def written(rates: dict[str, Decimal]) -> str:
    return "{" + ", ".join(f"{name}: {rate:f}" for name, rate in rates.items()) + "}"


def sheet(rates: dict[str, Decimal]) -> str:
    inputs = {name: 2 * rate for name, rate in rates.items() if name not in {"output_text", "reasoning"}}
    return SHEET.format(rates=written(rates), doubled=written(inputs))


def request(model: str, counts: dict[str, int], **more: Any) -> dict[str, Any]:
    return {
        "source": "s", "source_kind": "requests", "provider": "p", "served_model": model,
        "started_at": NOON, "status": "ok", "usage_source": "provider", "is_gateway_cache_hit": False,
    } | {f"{name}_tokens": count for name, count in counts.items()} | more  # fmt: skip


def costs(
    text: str, rows: list[dict[str, Any]], *, known: datetime = LATER, time_zone: str = "UTC"
) -> pl.DataFrame:
    sheets = load_token_sheets({"p.yml": text})
    frame = table("core.requests").frame(
        {"request_id": f"{number:05}"} | row for number, row in enumerate(rows)
    )
    return price_requests(
        frame.lazy(), book=token_book(sheets).lazy(), models=model_aliases(sheets).lazy(),
        time_zone=time_zone, as_known_at=known, from_hour=datetime(2026, 1, 1, tzinfo=UTC), to_hour=LATER,
    ).collect().sort("request_id")  # fmt: skip


@settings(max_examples=15, deadline=None)
@given(rates=RATES, parts=st.lists(COUNTS, min_size=1, max_size=6))
def test_a_request_costs_what_its_parts_cost(rates: dict[str, Decimal], parts: list[dict[str, int]]) -> None:
    whole = {name: sum(part[name] for part in parts) for name in CLASSES}

    found = costs(sheet(rates), [request("plain", counts) for counts in (whole, *parts)])["effective_usd"]

    assert found[0] == sum(found[1:])


@settings(max_examples=12, deadline=None)
@given(
    rates=RATES, counts=COUNTS, dearer=st.sampled_from(CLASSES), by=st.integers(0, 10**6),
    model=st.sampled_from(["plain", "whole_request", "graduated"]),
)  # fmt: skip
def test_a_dearer_rate_never_costs_less(
    rates: dict[str, Decimal], counts: dict[str, int], dearer: str, by: int, model: str
) -> None:
    raised = rates | {dearer: rates[dearer] + Decimal(by).scaleb(-6)}

    before = costs(sheet(rates), [request(model, counts)])["effective_usd"][0]
    after = costs(sheet(raised), [request(model, counts)])["effective_usd"][0]

    assert (after > before) if by and counts[dearer] else (after == before)


@settings(max_examples=15, deadline=None)
@given(cached=st.integers(0, LONG), past=st.integers(-LONG, LONG), output=st.integers(0, 50))
def test_a_threshold_lies_between_its_last_token_and_the_next(cached: int, past: int, output: int) -> None:
    counts = {"cache_read": cached, "input_uncached": LONG - cached + max(past, cached - LONG)}
    total = cached + counts["input_uncached"]
    used = counts | {"output_text": output}
    found = costs(sheet(FLAT), [request(name, used) for name in ("plain", "whole_request", "graduated")])
    plain, whole, graduated = (usd * 10**6 for usd in found["effective_usd"])

    at_base = counts["input_uncached"] * 1 + cached * 2
    # The prompt begins with what is cached, so what lies beyond is the last of what is not.
    beyond = max(total - LONG, 0)
    beyond_uncached = min(beyond, counts["input_uncached"])
    assert plain == at_base + output * 5
    assert whole == at_base * (2 if total > LONG else 1) + output * 5
    assert graduated == plain + beyond_uncached * 1 + (beyond - beyond_uncached) * 2


@settings(max_examples=15, deadline=None)
@given(
    entries=st.lists(
        st.tuples(st.integers(0, 20), st.integers(0, 20), RATES), min_size=1, max_size=4, unique_by=lambda e: e[:2]
    ),
    later=st.lists(
        st.tuples(st.integers(0, 20), st.integers(21, 40), RATES), min_size=1, max_size=3, unique_by=lambda e: e[:2]
    ),
    days=st.lists(st.integers(0, 20), min_size=1, max_size=6),
)  # fmt: skip
def test_what_was_known_is_rebuilt_to_the_byte_whatever_is_learned_later(
    entries: list[Any], later: list[Any], days: list[int]
) -> None:
    def written_down(known: list[Any]) -> str:
        day = "{:%Y-%m-%d}".format
        lines = [
            f"      - {{valid_from: {day(NOON + timedelta(days=valid))}, known_from: {day(NOON + timedelta(days=at))}, "
            f"usd_per_mtok: {written(rates)}}}"
            for valid, at, rates in sorted(known, key=lambda entry: entry[:2])
        ]
        head = ["provider: p", "source_url: https://example.com", "checked_on: 2026-01-01", "models:"]
        return "\n".join([*head, "  - model: plain", "    prices:", *lines])

    rows = [
        request("plain", dict.fromkeys(CLASSES, 7), started_at=NOON + timedelta(days=day))
        for day in days
    ]  # fmt: skip
    at = NOON + timedelta(days=20)

    then = costs(written_down(entries), rows, known=at)
    now = costs(written_down([*entries, *later]), rows, known=at)

    assert now.equals(then)


@settings(max_examples=12, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["plain", "whole_request", "graduated", "nobody"]), COUNTS), min_size=2, max_size=12
    ),
    random=st.randoms(use_true_random=False),
)  # fmt: skip
def test_the_order_of_rows_changes_nothing(rows: list[Any], random: Any) -> None:
    given_rows = [request(model, counts, request_id=str(place)) for place, (model, counts) in enumerate(rows)]
    shuffled = list(given_rows)
    random.shuffle(shuffled)

    assert costs(sheet(FLAT), given_rows).equals(costs(sheet(FLAT), shuffled))


@settings(max_examples=15, deadline=None)
@given(
    time_zone=st.sampled_from(
        ["UTC", "Asia/Kolkata", "America/New_York", "Europe/London", "Australia/Lord_Howe", "Pacific/Apia"]
    ),
    minutes=st.lists(st.integers(0, 360 * 24 * 60 - 1), min_size=1, max_size=20),
)
def test_an_attempt_accrues_on_the_business_day_of_the_zone(time_zone: str, minutes: list[int]) -> None:
    instants = [datetime(2026, 1, 2, tzinfo=UTC) + timedelta(minutes=minute) for minute in minutes]
    rows = [request("plain", {"output_text": 1}, started_at=instant) for instant in instants]

    found = costs(sheet(FLAT), rows, time_zone=time_zone)

    assert found["accrued_on"].to_list() == [
        instant.astimezone(ZoneInfo(time_zone)).date() for instant in instants
    ]
    assert found["accrued_hour"].to_list() == [instant.replace(minute=0) for instant in instants]


def test_days_of_23_24_and_25_hours_hold_every_hour_once() -> None:
    hours = [datetime(2026, 3, 7, tzinfo=UTC) + timedelta(hours=hour) for hour in range(24 * 242)]
    rows = [request("plain", {"output_text": 1}, started_at=instant) for instant in hours]

    found = costs(sheet(FLAT), rows, time_zone="America/New_York")
    a_day = dict(found.group_by("accrued_on").len().iter_rows())

    assert (a_day[date(2026, 3, 8)], a_day[date(2026, 3, 9)], a_day[date(2026, 11, 1)]) == (23, 24, 25)
    half = costs(
        sheet(FLAT),
        [request("plain", {"output_text": 1}, started_at=NOON.replace(hour=18, minute=minute)) for minute in (29, 30)],
        time_zone="Asia/Kolkata",
    )  # fmt: skip
    assert half["accrued_on"].to_list() == [date(2026, 5, 5), date(2026, 5, 6)]
