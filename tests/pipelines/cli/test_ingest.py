"""nanodollar ingest: what it finds, what became of it, and one sentence with the right exit code when it cannot."""

import gzip
import io
import json
from pathlib import Path

import polars as pl
import pytest

from tests.pipelines.landing.lake import call, count, lake, query
from tests.pipelines.landing.test_fuzz import EXAMPLES
from tests.pipelines.small import gateway_row, nanodollar

HELD = (
    "SELECT request_id, output_text_tokens FROM core.requests UNION ALL "
    "SELECT reason, line_number FROM ops.quarantine ORDER BY ALL"
)
LINES = "".join(f"{json.dumps(call(number))}\n" for number in range(1, 6))


def parquet() -> bytes:
    target = io.BytesIO()
    pl.DataFrame([call(1)]).write_parquet(target)
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (
            LINES.encode(),
            "requests (5 of its first 5 records have output_text_tokens, request_id, started_at)",
        ),
        (gzip.compress(LINES.encode()), "requests (5 of its first 5 records have"),
        (
            pl.DataFrame([call(1), call(2)]).write_csv().encode(),
            "requests (it has output_text_tokens, request_id",
        ),
        (parquet(), "requests (it has output_text_tokens, request_id, started_at)"),
        (
            json.dumps([gateway_row("r1", "2026-11-02 09:00:00")], indent=2).encode(),
            "litellm_spend_logs (it has",
        ),
        (json.dumps(EXAMPLES["otel_genai"][0]).encode(), "otel_genai (it has resourceSpans)"),
        (
            json.dumps(EXAMPLES["replica_events"][0]).encode(),
            "replica_events (it has event, event_at, replica_id)",
        ),
    ],
)
def test_the_format_is_found_and_said_how_surely(tmp_path: Path, content: bytes, found: str) -> None:
    lake(tmp_path).lake.close()
    path = tmp_path / "export [1].log"
    path.write_bytes(content)

    outcome = nanodollar(tmp_path, "ingest", str(path))

    assert outcome.code == 0, outcome.err
    assert f"{path}: {found}" in outcome.out
    assert " + duplicate 0 + quarantined 0" in outcome.out


def test_it_says_what_became_of_the_records(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text(LINES)
    second.write_text(f"{LINES}{json.dumps(call(9))}\n{{half\n{json.dumps(call(10, status='fine'))}\n")

    nanodollar(tmp_path, "ingest", str(first))
    outcome = nanodollar(tmp_path, "ingest", str(second), str(first))

    assert f"{second}: read 8 = accepted 1 + duplicate 5 + quarantined 2" in outcome.out
    assert "1 bad_value, first on line 8 (status" in outcome.out
    assert "1 invalid_json, first on line 7 (character 2: Expecting property name" in outcome.out
    assert f"{first}: already landed, nothing to do" in outcome.out
    assert query(warehouse, "SELECT DISTINCT source FROM raw.requests") == [("calls",)]


def test_it_says_which_events_are_of_pods_that_nothing_names(tmp_path: Path) -> None:
    lake(tmp_path).lake.close()
    events, pods = tmp_path / "events.json", tmp_path / "pods.json"
    events.write_text(json.dumps({"kind": "List", "items": EXAMPLES["k8s_event"]}))
    pods.write_text(json.dumps({"kind": "List", "items": EXAMPLES["k8s_pod"][:9]}))

    found = nanodollar(tmp_path, "ingest", str(events)).out
    alone = f"{events}: 12 of them are of 12 pods that no other record names: they count once one does"

    assert f"{events}: k8s_event (it has items[0].involvedObject, items[0].reason" in found
    assert alone in found
    assert "no other record names" not in nanodollar(tmp_path, "ingest", str(pods)).out


def test_a_folder_is_taken_with_all_its_files(tmp_path: Path) -> None:
    lake(tmp_path).lake.close()
    folder = tmp_path / "exports"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.jsonl").write_text(LINES)
    (folder / "deep" / "b.jsonl").write_text(json.dumps(gateway_row("r1", "2026-11-02 09:00:00")) + "\n")

    outcome = nanodollar(tmp_path, "ingest", str(folder))

    assert outcome.out.count("read ") == 2


@pytest.mark.parametrize(
    ("content", "arguments", "code", "sentence"),
    [
        (None, [], 2, "does not exist; check the path"),
        (
            b'{"a": 1, "b": 2}',
            [],
            1,
            "is of no known format (keys seen: 2 that no format has); name its kind with --kind (docs/sources.md ",
        ),
        (b"", [], 1, "is of no known format (keys seen: none)"),
        (
            "\n".join(json.dumps(EXAMPLES[kind][0]) for kind in ("requests", "k8s_pod")).encode(),
            [],
            2,
            "fits k8s_pod and requests equally well; say which with --kind",
        ),
        (
            b"Time,model_name,Prompt Tokens,customer\n1,2,3,4\n",
            [],
            1,
            'input_uncached_tokens = "Prompt Tokens", tenant = "customer", provider = { value = "..." } }',
        ),
        (
            b"pod,status,timestamp,gpu\n1,2,3,4\n",
            ["--kind", "replica_events"],
            1,
            'event = "status", event_at = "timestamp", chip = "gpu", deployment = { value = "..." } }',
        ),
        (
            b"a,b\n1,2\n",
            ["--kind", "requests"],
            1,
            "unreadable: it has none of the columns of requests but 2 that no format has",
        ),
        *(
            (
                line,
                [],
                1,
                "is vLLM's text log, which tells no tokens, no year and no time zone; deliver the calls as Open",
            )
            for line in (
                b"INFO 07-10 05:11:45 [loader.py:447] Model loading took 14.98 GiB and 5.2 seconds\n",
                b"\x1b[1;36m(EngineCore_0 pid=9)\x1b[0;0m INFO 07-10 05:11:45 [core.py:82] init engine took 9 s\n",
                b"banner\nINFO:     Application startup complete.\n",
                b'INFO:     10.0.0.1:55000 - "POST /v1/chat/completions HTTP/1.1" 200 OK\n',
            )
        ),
        (b"PK\x03\x04", [], 1, "cannot be read: it is a broken zip file; deliver it again"),
        (b"{}", ["--kind", "request"], 2, "'request' is no kind; did you mean 'requests'"),
    ],
)
def test_what_cannot_be_ingested_is_one_sentence(
    tmp_path: Path, content: bytes | None, arguments: list[str], code: int, sentence: str
) -> None:
    lake(tmp_path).lake.close()
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)

    outcome = nanodollar(tmp_path, "ingest", str(path), *arguments)

    assert sentence in outcome.err
    assert outcome.code == code
    assert "Traceback" not in outcome.err


def test_the_other_files_land_when_one_cannot(tmp_path: Path) -> None:
    lake(tmp_path).lake.close()
    (tmp_path / "bad").write_text('{"a": 1}')
    (tmp_path / "good").write_text(LINES)

    outcome = nanodollar(tmp_path, "ingest", str(tmp_path / "bad"), str(tmp_path / "good"))

    assert outcome.code == 1
    assert "read 5 = accepted 5" in outcome.out


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("[landing]\nmemory = 5\n", "line 2: unknown key 'memory'; did you mean 'memory_mb'?"),
        (
            "[landing]\nmemory_mb = 5\n",
            "landing.memory_mb: Input should be greater than or equal to 256; mend it",
        ),
        ('[[sources]]\nname = "a"\nkind = "requests"\n', "needs a path or a url, and not both"),
        (
            '[[sources]]\nname = "a"\nkind = "requests"\nurl = "https://h"\n[sources.api]\npage_params = "p"\n',
            "unknown key 'page_params'; did you mean 'page_param'?",
        ),
        (
            '[[sources]]\nname = "a"\nkind = "requests"\nurl = "https://h"\n[sources.api]\nsince_param = "p"\n',
            "since_param needs time_field",
        ),
    ],
)
def test_settings_of_the_landing_are_checked(tmp_path: Path, settings: str, sentence: str) -> None:
    (tmp_path / "nanodollar.toml").write_text(settings)

    outcome = nanodollar(tmp_path, "ingest", str(tmp_path))

    assert outcome.code == 2
    assert sentence in outcome.err


def test_what_landed_as_a_wrong_kind_is_taken_out_and_lands_as_if_it_had_never_been(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    first.write_text(LINES + "{half\n")
    second.write_text(json.dumps(call(3)) + "\n" + json.dumps(call(7)) + "\n")
    for path in (first, second):
        nanodollar(tmp_path, "ingest", str(path))
    count(warehouse)
    before = query(warehouse, HELD)

    forgotten = nanodollar(tmp_path, "ingest", "--forget", str(first))
    count(warehouse)
    without = query(warehouse, "SELECT request_id, output_text_tokens FROM core.requests ORDER BY ALL")
    left = query(warehouse, "SELECT path FROM ops.landed_files"), query(warehouse, "FROM ops.quarantine")
    stale = query(
        warehouse, "SELECT touched_hour::VARCHAR FROM ops.file_hours WHERE file_hash LIKE 'forgotten:%'"
    )
    again = nanodollar(tmp_path, "ingest", str(first))
    count(warehouse)

    assert stale == [("2026-11-02 09:00:00+00",)]
    assert (
        f"{first.name}: 5 records of requests taken out of the source 'calls', and 1 out of the"
        in forgotten.out
    )
    # The record that was a duplicate of a forgotten one is the attempt now.
    assert without == [("resp-00000003", 3), ("resp-00000007", 7)]
    assert left == ([("second.jsonl",)], [])
    assert "read 6 = accepted 4 + duplicate 1 + quarantined 1" in again.out
    assert query(warehouse, HELD) == before
    assert nanodollar(tmp_path, "ingest", "--forget", str(tmp_path / "other")).code == 2


def test_a_kind_that_could_use_no_record_is_refused_with_the_right_one(tmp_path: Path) -> None:
    warehouse = lake(tmp_path)
    path = tmp_path / "export.jsonl"
    path.write_text(json.dumps(gateway_row("r1", "2026-11-02 09:00:00")) + "\n")

    refused = nanodollar(tmp_path, "ingest", "--kind", "openai_response", str(path))

    assert refused.code == 2
    assert "is litellm_spend_logs (it has call_type, spend, startTime" in refused.err
    assert "could be used as openai_response. Leave --kind out, or name litellm_spend_logs." in refused.err
    assert query(warehouse, "FROM ops.landed_files") == []
