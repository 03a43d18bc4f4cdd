"""Published traces through the generic kind: their columns mapped, every token counted, nothing invented."""

import csv
import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from models.schemas import table
from models.schemas.vocabulary import TOKEN_COLUMNS
from pipelines.landing.batch import LandingTerms
from pipelines.landing.known import LandedBefore
from pipelines.landing.land import land_files
from pipelines.sources.spec import SourceSpec
from pipelines.sources.stored import StoredFile
from tests.models.logs.reading import read_records, shared

AZURE = {
    "started_at": "TIMESTAMP",
    "input_uncached_tokens": "ContextTokens",
    "output_text_tokens": "GeneratedTokens",
}
MOONCAKE = {
    "started_at": "at",
    "input_uncached_tokens": "input_length",
    "output_text_tokens": "output_length",
}
BURSTGPT = {
    "started_at": "Timestamp",
    "served_model": "Model",
    "input_uncached_tokens": "Request tokens",
    "output_text_tokens": "Response tokens",
}
NOW = datetime(2026, 11, 20, tzinfo=UTC)
START = datetime(2026, 11, 2, tzinfo=UTC)


def landed(content: bytes, columns: dict[str, str], folder: Path, **more: Any) -> tuple[pl.DataFrame, int]:
    """Return the usable rows of a file, and how many records were refused."""
    file = StoredFile("trace", len(content), NOW, lambda: io.BytesIO(content))
    terms = LandingTerms(
        drafts=folder, ingested_at=NOW, not_before=datetime(2023, 1, 1, tzinfo=UTC), hash_key=b"k",
        memory_bytes=256 << 20,
    )  # fmt: skip
    landings = list(
        land_files(
            SourceSpec("trace", "requests", columns=columns, **more),
            [file],
            known=LandedBefore(),
            terms=terms,
        )
    )
    rows = pl.concat(pl.read_parquet(path) for landing in landings for path in landing.parts["raw.requests"])
    return rows, sum(row["quarantined_count"] for landing in landings for row in landing.files)


def sums(rows: pl.DataFrame) -> tuple[int, int, int]:
    return rows.height, rows["input_uncached_tokens"].sum(), rows["output_text_tokens"].sum()


# Rows and sums as the publisher's page and our own count of the file state them.
@pytest.mark.parametrize(
    ("name", "known"), [("code", (8_819, 18_059_974, 245_896)), ("conv", (19_366, 22_361_870, 4_088_665))]
)
def test_the_azure_trace_lands_whole_and_what_it_does_not_tell_stays_unknown(
    name: str, known: tuple[int, int, int], tmp_path: Path
) -> None:
    content = shared(f"azure-llm-2023/AzureLLMInferenceTrace_{name}.csv").read_bytes()

    rows, refused = landed(content, AZURE, tmp_path)

    again = list(csv.DictReader(io.StringIO(content.decode())))
    assert (
        sums(rows)
        == known
        == (
            len(again),
            sum(int(row["ContextTokens"]) for row in again),
            sum(int(row["GeneratedTokens"]) for row in again),
        )
    )
    assert refused == 0
    unknown = rows.select("served_model", "finished_at", "first_token_at", "provider", "status")
    assert unknown.unique().row(0) == (None, None, None, None, "ok")
    assert rows["request_id"].null_count() == 0
    # The file says 2023-11-16 18:15:46.6805900 of its first row (conversation).
    assert name != "conv" or rows["started_at"].min() == datetime(
        2023, 11, 16, 18, 15, 46, 680590, tzinfo=UTC
    )


def test_the_mooncake_trace_lands_whole_once_its_milliseconds_are_instants(tmp_path: Path) -> None:
    with gzip.open(shared("mooncake/conversation_trace.jsonl.gz"), "rt", encoding="utf-8") as lines:
        calls = [json.loads(line) for line in lines]
    # The trace counts milliseconds from its start; an instant is what the generic kind asks for.
    shaped = "".join(
        json.dumps(call | {"at": (START + timedelta(milliseconds=call["timestamp"])).isoformat()}) + "\n"
        for call in calls
    )

    rows, refused = landed(shaped.encode(), MOONCAKE, tmp_path)

    assert sums(rows) == (12_031, 144_793_823, 4_122_048)
    assert refused == 0
    assert rows["started_at"].max() == START + timedelta(milliseconds=3_536_999)


def test_a_status_may_be_a_common_word_or_an_http_code_and_any_other_is_refused() -> None:
    said = ["Succeeded", "200", None, "failed", "429", "canceled", "0", "fine"]
    rows = read_records(
        "requests",
        [
            {"request_id": str(place), "started_at": "2026-11-02", "status": word}
            for place, word in enumerate(said)
        ],
    )
    reason = "status is none of ok, error, cancelled"
    assert rows.select("status", "quarantine_detail").rows() == [
        *((status, None) for status in ("ok", "ok", "ok", "error", "error", "cancelled")),
        (None, reason),
        (None, reason),
    ]


def test_milliseconds_from_the_start_of_a_trace_are_no_instants_and_are_refused() -> None:
    rows = read_records(
        "requests", [{"timestamp": 27, "input_length": 5}], MOONCAKE | {"started_at": "timestamp"}
    )

    assert rows["quarantine_reason"].to_list() == ["bad_value"]


def test_the_columns_of_burstgpt_map_and_its_seconds_become_instants_by_a_shift() -> None:
    # Columns as published (HPMLL/BurstGPT): seconds from the start, model, tokens, log type.
    seconds = START.timestamp() + 5
    record = {"Timestamp": seconds, "Model": "ChatGPT", "Request tokens": 472, "Response tokens": 18,
              "Total tokens": 490, "Log Type": "Conversation log"}  # fmt: skip

    (row,) = read_records("requests", [record], BURSTGPT).rows(named=True)

    assert (row["started_at"], row["served_model"]) == (START + timedelta(seconds=5), "ChatGPT")
    assert sum(row[name] for name in TOKEN_COLUMNS) == 490


def test_equal_calls_without_ids_are_as_many_as_there_are_and_an_id_is_needed_where_nothing_is_counted() -> (
    None
):
    call = {"started_at": "2026-11-02T09:00:00Z", "output_text_tokens": 5}
    rows = read_records(
        "requests", [call, call, call | {"output_text_tokens": 6}, {"started_at": call["started_at"]}]
    )

    assert rows["content_hash"].n_unique() == 3
    assert rows["quarantine_reason"].to_list() == [None, None, None, "missing_request_id"]
    # A tier that nobody states is none: beside provisioned capacity `default` is another one.
    assert rows["service_tier"].null_count() == rows.height


WHOLE: dict[str, Any] = {
    **{
        name: name
        for name in (
            "logical_request_id", "region", "route", "requested_model", "routed_model", "served_model", "replica_id",
            "batch_id", "tenant", "team", "user_id", "task_class", "error_class", "session_id", "trace_id",
            "prefix_hash", "retry_of",
        )
    },
    **{name: 10 + place for place, name in enumerate(TOKEN_COLUMNS)},
    "request_id": "r1", "attempt_no": 2, "provider": "openai", "service_tier": "flex", "operation": "embedding",
    "status": "error", "usage_source": "estimated", "is_fallback": True, "fallback_cause": "outage",
    "queue_seconds": 0.5, "is_gateway_cache_hit": True, "is_cost_billed": True,
    "provider_reported_cost_usd": "0.25", "api_key_id": "sk-1",
    "started_at": "2026-11-02T09:00:00Z", "first_token_at": "2026-11-02T09:00:01Z",
    "finished_at": "2026-11-02T09:00:02Z",
    "tags": {"feature": "search", "cost_center": "4711"}, "other_meters": {"web_search": 2, "seconds": 1.5},
}  # fmt: skip
"""Every canonical column that a caller can state."""
BOOKKEEPING = {"source", "source_kind", "ingested_at", "file_hash", "line_number", "record_number", "dedupe_key",
               "span_id", "parent_span_id", "is_sum", "unread_usage"}  # fmt: skip


def forms() -> dict[str, bytes]:
    """Return one record in every form in which it may come."""
    texts = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in WHOLE.items()}
    lines = io.StringIO()
    writer = csv.DictWriter(lines, list(texts))
    writer.writeheader()
    writer.writerow(texts)
    found = {"json": json.dumps(WHOLE).encode() + b"\n", "json in texts": json.dumps(texts).encode() + b"\n",
             "csv": lines.getvalue().encode()}  # fmt: skip
    pairs = {
        name: [{"key": key, "value": item} for key, item in value.items()] for name, value in WHOLE.items()
        if isinstance(value, dict)
    }  # fmt: skip
    maps = {
        "tags": pl.Series([pairs["tags"]]).cast(pl.Map(pl.String, pl.String)),
        "other_meters": pl.Series([pairs["other_meters"]], strict=False).cast(pl.Map(pl.String, pl.Float64)),
    }
    for name, frame in {
        "parquet with texts": pl.DataFrame([texts]),
        "parquet with objects": pl.DataFrame([WHOLE]),
        "parquet with pairs": pl.DataFrame([WHOLE | pairs], strict=False),
        "parquet with maps": pl.DataFrame([texts]).with_columns(**maps),
    }.items():
        content = io.BytesIO()
        frame.write_parquet(content)
        found[name] = content.getvalue()
    return found


def test_every_canonical_column_comes_in_by_every_form(tmp_path: Path) -> None:
    for form, content in forms().items():
        rows, refused = landed(content, {}, tmp_path)
        row = rows.row(0, named=True)
        assert (form, refused, rows.height) == (form, 0, 1)
        told = {name for name, value in row.items() if value is not None} - BOOKKEEPING
        assert told == {column.name for column in table("raw.requests").columns} - BOOKKEEPING, form
        assert (form, dict(row["tags"])) == (form, WHOLE["tags"])
        assert (form, {key: float(value) for key, value in row["other_meters"].items()}) == (
            form,
            WHOLE["other_meters"],
        )
        same = (
            "request_id",
            "served_model",
            "attempt_no",
            "operation",
            "is_gateway_cache_hit",
            *TOKEN_COLUMNS,
        )
        assert (form, [row[name] for name in same]) == (form, [WHOLE[name] for name in same])
        assert str(row["provider_reported_cost_usd"]) == "0.250000000000"


def test_a_map_that_is_none_is_refused_and_not_dropped() -> None:
    call = {"request_id": "r", "started_at": "2026-11-02T09:00:00Z", "output_text_tokens": 5}
    odd = [{"tags": "red"}, {"other_meters": {"web_search": "many"}}, {"other_meters": {"web_search": -1}}]

    rows = read_records("requests", [call | more for more in odd])

    assert rows.select("quarantine_reason", "quarantine_detail").rows() == [
        ("bad_value", "tags"), ("bad_value", "other_meters"), ("bad_value", "other_meters"),
    ]  # fmt: skip


def test_a_tag_without_a_name_is_passed_over() -> None:
    rows = read_records("requests", [WHOLE | {"tags": [None, "feature:search"]}, WHOLE | {"tags": [None]}])
    assert rows["quarantine_reason"].to_list() == [None, None]
    assert rows["tag_entries"].to_list() == [[{"key": "feature", "value": "search"}], []]


def test_constants_stand_in_every_row_and_tags_fill_the_columns_that_the_project_names(
    tmp_path: Path,
) -> None:
    call = {"request_id": "r", "started_at": "2026-11-02T09:00:00Z", "output_text_tokens": 5, "tenant": "old",
            "tags": ["customer:acme", "squad:ml", "feature:old", "area:chat"]}  # fmt: skip
    given = {
        "constants": {"provider": "together", "region": "eu", "served_model": "llama"},
        "dimensions": {
            "tenant": ("client", "customer"),
            "team": ("squad",),
            "user_id": ("nobody",),
            "feature": ("area",),
        },
    }

    rows, _ = landed(json.dumps(call).encode() + b"\n", {}, tmp_path, **given)

    (row,) = rows.rows(named=True)
    assert (row["provider"], row["region"], row["served_model"]) == ("together", "eu", "llama")
    assert (row["tenant"], row["team"], row["user_id"]) == ("acme", "ml", None)
    assert rows.select(pl.col("tags").map.get("feature"), area=pl.col("tags").map.get("area")).row(0) == (
        "chat",
        "chat",
    )
