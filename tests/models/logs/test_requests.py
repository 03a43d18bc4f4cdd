"""Published traces through the generic kind: their columns mapped, every token counted, nothing invented."""

import csv
import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from models.schemas.vocabulary import TOKEN_COLUMNS
from pipelines.landing.land import Known, Terms, land_files
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


def landed(content: bytes, columns: dict[str, str], folder: Path) -> tuple[pl.DataFrame, int]:
    """Return the usable rows of a file, and how many records were refused."""
    file = StoredFile("trace", len(content), NOW, lambda: io.BytesIO(content))
    terms = Terms(
        drafts=folder, ingested_at=NOW, not_before=datetime(2023, 1, 1, tzinfo=UTC), hash_key=b"k",
        memory_bytes=256 << 20,
    )  # fmt: skip
    landings = list(
        land_files(SourceSpec("trace", "requests", columns=columns), [file], known=Known(), terms=terms)
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
