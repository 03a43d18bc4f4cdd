"""One call seen twice is one attempt, and no record is lost: the rule, on rows built by hand and at random."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from models.logs.dedupe import dedupe
from models.periods import HOUR
from models.schemas import table

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
WINDOW = timedelta(hours=2)


def record(key: str, minute: float = 0, line: int = 1, **more: Any) -> dict[str, Any]:
    started_at = NOON + timedelta(minutes=minute)
    return {
        "source": "gateway", "source_kind": "litellm_spend_logs", "request_id": key.removeprefix("id:"),
        "started_at": started_at, "status": "ok", "usage_source": "provider", "is_gateway_cache_hit": False,
        "ingested_at": NOON, "file_hash": "f1", "line_number": line, "record_number": 1, "dedupe_key": key,
    } | more  # fmt: skip


def split(*records: dict[str, Any], hours: int = 1) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows = table("raw.requests").frame(records).lazy()
    winners, losers = dedupe(rows, window=WINDOW, from_hour=NOON, to_hour=NOON + HOUR * hours)
    return winners.collect(), losers.collect()


def test_the_gateway_the_sdk_and_the_provider_log_of_one_call_are_one_attempt() -> None:
    winners, losers = split(
        record("id:chatcmpl-x1", 0.2, source="sdk", source_kind="otel_genai", file_hash="f2"),
        record("id:chatcmpl-x1", 0.1, tenant="acme"),
        record("id:chatcmpl-x1", 0, source="provider", source_kind="openai_response", file_hash="f3"),
    )

    assert winners.select("source", "tenant", "started_at").rows() == [("gateway", "acme", NOON)]
    assert sorted(losers.select("source", "winner_source", "reason").rows()) == [
        ("provider", "gateway", "seen_by_another_source"),
        ("sdk", "gateway", "seen_by_another_source"),
    ]


def test_the_record_whose_usage_the_provider_counted_wins_over_the_gateway() -> None:
    winners, _ = split(
        record("id:chatcmpl-x1", usage_source="missing"),
        record("id:chatcmpl-x1", source="sdk", source_kind="otel_genai", output_text_tokens=7),
    )

    assert winners.select("source", "output_text_tokens").rows() == [("sdk", 7)]


def test_the_winner_is_told_by_content_whatever_arrives_first() -> None:
    few = record("id:chatcmpl-x1", output_text_tokens=5)
    more = few | {"output_text_tokens": 7, "file_hash": "f2"}

    for first, second in ((few, more), (more, few)):
        late = second | {"ingested_at": NOON + HOUR}
        winners, losers = split(first, late, first | {"file_hash": "f3", "ingested_at": NOON + 2 * HOUR})
        assert winners["output_text_tokens"].to_list() == [7]
        assert losers["reason"].to_list() == ["redelivered", "redelivered"]


def test_short_ids_are_one_call_only_where_time_and_counts_agree() -> None:
    """Ollama draws its ids from 999: https://github.com/ollama/ollama/pull/14225."""
    gateway = {"source": "proxy", "source_kind": "litellm_spend_logs", "file_hash": "f9"}
    ollama = {"source": "ollama", "source_kind": "openai_response"}
    rows = [
        record("id:chatcmpl-331", 0, line=1, output_text_tokens=20, **ollama),
        record("id:chatcmpl-331", 7, line=2, output_text_tokens=21, **ollama),
        record("id:chatcmpl-331", 9, line=3, output_text_tokens=21, **ollama),
        record("id:chatcmpl-331", 0.1, line=4, output_text_tokens=20, **gateway),
        record("id:chatcmpl-331", 0.1, line=5, output_text_tokens=99, **gateway),
        record("id:chatcmpl-331", 7, line=6, output_text_tokens=21, **ollama | {"file_hash": "f8"}),
    ]

    winners, losers = split(*rows[:4], rows[5])
    assert sorted(winners["line_number"]) == [2, 3, 4]
    assert sorted(losers["line_number"]) == [1, 6]
    # Two records of one source and one instant are one call, whatever they count.
    assert split(*rows)[0].height == 4


def test_a_long_id_that_a_source_uses_again_is_another_call() -> None:
    gateway = {"source": "proxy", "file_hash": "f9"}
    rows = [
        record("id:gen-default", 0, line=1, output_text_tokens=20),
        record("id:gen-default", 5, line=2, output_text_tokens=21),
        record("id:gen-default", 5.5, line=3, output_text_tokens=21, **gateway),
        record("id:gen-default", 0.5, line=4, output_text_tokens=20, **gateway),
    ]

    winners, losers = split(*rows)

    assert winners.sort("started_at")["output_text_tokens"].to_list() == [20, 21]
    assert losers.height == 2


def span(name: str, parent: str | None, tokens: int | None, line: int, **more: Any) -> dict[str, Any]:
    return record(
        f"span:t:{name}", line / 10, line=line, trace_id="t", span_id=name, parent_span_id=parent, source="sdk",
        source_kind="otel_genai", input_uncached_tokens=tokens, output_text_tokens=tokens,
        usage_source="missing" if tokens is None else "provider",
    ) | more  # fmt: skip


def test_a_span_that_repeats_the_calls_beneath_it_is_listed_and_no_attempt() -> None:
    agent = span("a", None, 30, 1, is_sum=True)
    above, beneath = span("a", None, 10, 1), span("b", "a", 10, 2)
    gateway = record("id:x", 0, line=9, input_uncached_tokens=10, output_text_tokens=10)
    last = [span("a", None, 7, 1), span("b", "a", 5, 2), span("c", "a", 7, 3)]
    cases = {
        "an agent over two calls": ([agent, beneath, span("c", "a", 20, 3)], [2, 3]),
        "an agent of whose calls there is no record": ([agent], []),
        "a framework over an SDK": ([above, beneath], [2]),
        "one over the other, in another file": ([beneath | {"file_hash": "f5"}, above], [2]),
        "three deep": ([above, beneath, span("c", "b", 10, 3)], [3]),
        "a caller that gives its last call's count": (last, [2, 3]),
        "a call without counts beneath one with": ([above, span("b", "a", None, 2)], [1]),
        "a call that makes another of its own": ([above, span("b", "a", 4, 2)], [1, 2]),
        "a caller that lost to a gateway": ([above | {"dedupe_key": "id:x"}, beneath, gateway], [9]),
    }
    for name, (rows, kept) in cases.items():
        winners, losers = split(*rows)
        assert (name, sorted(winners["line_number"])) == (name, kept)
        assert winners.height + losers.height == len(rows), name


def test_a_repeated_delivery_is_known_since_the_first_and_names_one_file_whichever_came_first() -> None:
    first = record("id:chatcmpl-x1", file_hash="f9")
    again = first | {"file_hash": "f1", "ingested_at": NOON + HOUR}

    winners, losers = split(first, again)

    assert winners.select("file_hash", "ingested_at").rows() == [("f1", NOON)]
    assert losers["file_hash"].to_list() == ["f9"]


def test_an_early_export_of_a_running_call_loses_to_the_whole_one() -> None:
    running = record("id:chatcmpl-x1", ingested_at=NOON + HOUR, file_hash="f2")
    whole = record("id:chatcmpl-x1", finished_at=NOON + timedelta(seconds=9))

    winners, _ = split(running, whole)

    assert winners["finished_at"].to_list() == [NOON + timedelta(seconds=9)]


def test_equal_records_without_ids_stay_and_a_delivered_again_file_drops() -> None:
    twins = [record("content:c", line=line, request_id="content:c") for line in (3, 8)]
    again = [
        row | {"file_hash": "f2", "line_number": row["line_number"] + 1, "ingested_at": NOON + HOUR}
        for row in twins
    ]

    winners, losers = split(*twins, *again)

    assert sorted(winners["request_id"]) == ["content:c:1", "content:c:2"]
    assert set(winners["file_hash"]) == {"f1"}
    assert sorted(losers.select("file_hash", "line_number", "winner_line_number").rows()) == [
        ("f2", 4, 3),
        ("f2", 9, 8),
    ]


def test_a_number_counts_only_inside_its_own_source() -> None:
    winners, losers = split(record("id:17"), record("id:17", source="other"), record("id:17", line=2))

    assert sorted(winners["source"]) == ["gateway", "other"]
    assert losers["source"].to_list() == ["gateway"]


def test_records_of_one_key_further_apart_than_the_window_are_two_attempts() -> None:
    winners, losers = split(record("id:chatcmpl-x1"), record("id:chatcmpl-x1", 121, line=2), hours=4)

    assert winners.height == 2
    assert losers.is_empty()


RECORDS = st.lists(
    st.builds(
        record,
        st.sampled_from(["id:chatcmpl-x1", "id:chatcmpl-x2", "id:5", "content:c"]),
        st.integers(-10, 36).map(lambda tens: tens * 9.5),
        source=st.sampled_from(["gateway", "sdk"]),
        source_kind=st.sampled_from(["litellm_spend_logs", "otel_genai"]),
        usage_source=st.sampled_from(["provider", "missing"]),
        file_hash=st.sampled_from(["f1", "f2"]),
        output_text_tokens=st.sampled_from([1, 2]),
        ingested_at=st.sampled_from([NOON, NOON + HOUR]),
    ),
    min_size=4,
    max_size=14,
)


@settings(max_examples=25, deadline=None)
@given(RECORDS)
def test_every_record_wins_or_is_listed_however_the_range_is_cut(records: list[dict[str, Any]]) -> None:
    records = [row | {"line_number": number} for number, row in enumerate(records, start=1)]
    rows = table("raw.requests").frame(records)
    hours = [NOON + HOUR * step for step in range(-2, 7)]

    def cut(start: datetime, end: datetime) -> tuple[pl.DataFrame, pl.DataFrame]:
        near = rows.filter(
            (pl.col("started_at") >= start - 2 * WINDOW) & (pl.col("started_at") < end + WINDOW)
        )
        winners, losers = dedupe(near.lazy(), window=WINDOW, from_hour=start, to_hour=end)
        return winners.collect(), losers.collect()

    winners, losers = cut(hours[0], hours[-1])
    pieces = [cut(hours[0], hours[3]), cut(hours[3], hours[4]), cut(hours[4], hours[-1])]

    assert sorted([*winners["line_number"], *losers["line_number"]]) == [
        row["line_number"] for row in records
    ]
    assert not winners.select("source", "request_id", "started_at").is_duplicated().any()
    for whole, parts in ((winners, [piece[0] for piece in pieces]), (losers, [piece[1] for piece in pieces])):
        columns = [name for name in whole.columns if name not in ("tags", "other_meters")]
        assert (
            whole.select(columns)
            .sort("line_number")
            .equals(pl.concat(parts).select(columns).sort("line_number"))
        )
