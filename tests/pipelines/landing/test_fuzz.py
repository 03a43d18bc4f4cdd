"""Whatever the bytes: no crash, every record is usable or refused with a reason, and a bad one harms no other."""

import gzip
import io
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.importers import importers
from models.schemas import table
from pipelines.landing.batch import Landing, LandingTerms
from pipelines.landing.known import LandedBefore
from pipelines.landing.land import land_files
from pipelines.sources.spec import SourceSpec
from pipelines.sources.stored import StoredFile
from tests.pipelines.landing.bills import BILLS, bill
from tests.pipelines.landing.clouds import CLOUDS, cloud_record
from tests.pipelines.landing.gateways import GATEWAYS, gateway_record
from tests.pipelines.landing.lake import call
from tests.pipelines.landing.vendors import LOG_KINDS, VENDOR_KINDS, vendor_object
from tests.pipelines.small import gateway_row, lifecycle

NOW = datetime(2026, 11, 20, tzinfo=UTC)
SLOW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))


@dataclass(frozen=True)
class Outcome:
    """What became of a file: its row of the index, and its records that are usable or refused."""

    file: dict[str, Any]
    usable: pl.DataFrame
    bad: pl.DataFrame

    def holds_together(self) -> bool:
        """Return whether every record that was read is usable or refused, once."""
        places = [
            part.select("line_number", "record_number") for part in (self.usable, self.bad) if part.height
        ]
        return (
            self.file["read_count"] == self.usable.height + self.bad.height
            and self.file["landed_count"] == self.usable.height
            and not (places and pl.concat(places).is_duplicated().any())
        )


def land_alone(kind: str, content: bytes, *, name: str = "file", time_zone: str = "UTC") -> Outcome:
    """Land a file alone."""
    (outcome,) = land_together(kind, [(name, content)], time_zone=time_zone)
    return outcome


def land_together(kind: str, files: Sequence[tuple[str, bytes]], *, time_zone: str = "UTC") -> list[Outcome]:
    """Land files, given as name and content, in one landing, and return what became of each."""
    stored = [
        StoredFile(f"{number}/{name}", len(content), NOW - timedelta(hours=1), partial(io.BytesIO, content))
        for number, (name, content) in enumerate(files)
    ]
    with tempfile.TemporaryDirectory() as folder:
        terms = LandingTerms(
            drafts=Path(folder), ingested_at=NOW, not_before=datetime(2025, 1, 1, tzinfo=UTC), hash_key=b"k",
            memory_bytes=256 << 20,
        )  # fmt: skip
        source = SourceSpec("s", kind, time_zone=time_zone)
        landings: list[Landing] = list(land_files(source, stored, known=LandedBefore(), terms=terms))
        usable, bad = (_rows(landings, dotted) for dotted in (importers()[kind].table, "ops.quarantine"))
    index = {row["path"]: row for landing in landings for row in landing.files}
    assert index.keys() == {file.path for file in stored}
    rows = [index[file.path] for file in stored]
    of_file = [pl.col("file_hash") == row["file_hash"] for row in rows]
    return [Outcome(row, usable.filter(of), bad.filter(of)) for row, of in zip(rows, of_file, strict=True)]


def _rows(landings: list[Landing], dotted: str) -> pl.DataFrame:
    paths = [path for landing in landings for path in landing.parts[dotted]]
    return pl.read_parquet(paths) if paths else table(dotted).empty()


def span(number: int) -> dict[str, Any]:
    values = {
        "gen_ai.operation.name": {"stringValue": "chat"}, "gen_ai.response.id": {"stringValue": f"resp-{number:08d}"},
        "gen_ai.request.model": {"stringValue": "m"}, "gen_ai.usage.input_tokens": {"intValue": "10"},
        "gen_ai.usage.output_tokens": {"intValue": str(number)},
    }  # fmt: skip
    start = 1793610000 * 10**9
    one = {
        "traceId": "t", "spanId": f"s{number}", "name": "chat m", "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(start + 10**9),
        "attributes": [{"key": key, "value": value} for key, value in values.items()],
    }  # fmt: skip
    return {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [{"spans": [one]}]}]}


def pod(number: int) -> dict[str, Any]:
    container = {"name": "c", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    metadata = {
        "uid": f"u{number}",
        "labels": {"app": "a"},
        "creationTimestamp": f"2026-11-02T09:{number:02}:00Z",
    }
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-02T10:00:00Z"}
    return {
        "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}, "status": {"conditions": [ready]}
    }  # fmt: skip


def happening(number: int) -> dict[str, Any]:
    return {
        "kind": "Event", "involvedObject": {"kind": "Pod", "uid": f"u{number}"}, "reason": "Scheduled",
        "firstTimestamp": f"2026-11-02T09:{number:02}:00Z",
    }  # fmt: skip


def scrape(number: int) -> dict[str, Any]:
    who = {"uid": f"u{number}", "container": "c"}
    values = {
        "kube_pod_created": str(1793610000 + number), "kube_pod_status_ready_time": str(1793610300 + number),
        "kube_pod_container_resource_requests": "1", "kube_pod_labels": "1",
    }  # fmt: skip
    told = {"resource": "nvidia_com_gpu", "label_app": "a"}
    return {
        "data": {
            "resultType": "vector",
            "result": [
                {"metric": {"__name__": name, **who, **told}, "value": [1793620000, value]}
                for name, value in values.items()
            ],
        }
    }


def observation(number: int) -> dict[str, Any]:
    return {
        "id": f"o{number}", "trace_id": "t", "type": "GENERATION", "start_time": "2026-11-02 09:00:00.000",
        "usage_details": {"input": 10, "output": number},
    }  # fmt: skip


def answer(number: int) -> dict[str, Any]:
    message = {"id": f"msg_{number}", "model": "m", "usage": {"input_tokens": 10, "output_tokens": number}}
    return {
        "type": "assistant", "uuid": f"u{number}", "timestamp": f"2026-11-02T09:{number:02}:00Z", "sessionId": "s",
        "message": message,
    }  # fmt: skip


def session_line(number: int) -> dict[str, Any]:
    """Return a line of one Codex session: the first tells its id, each other a call and the sum so far."""
    line = {"timestamp": f"2026-11-02T09:{number:02}:00Z", "type": "session_meta", "payload": {"id": "s"}}
    if not number:
        return line
    sums = (
        {"input_tokens": 1000 * n, "output_tokens": 111 * n, "total_tokens": 1111 * n} for n in (1, number)
    )
    info = dict(zip(("last_token_usage", "total_token_usage"), sums, strict=True))
    return line | {"type": "event_msg", "payload": {"type": "token_count", "info": info}}


EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "requests": [call(number) for number in range(1, 13)],
    "litellm_spend_logs": [gateway_row(f"chatcmpl-{n:06d}", "2026-11-02 09:00:00") for n in range(12)],
    "otel_genai": [span(number) for number in range(1, 13)],
    "replica_events": lifecycle(
        "r", "d", "H100", *(("ready", f"2026-11-02T09:{n:02}:00Z") for n in range(12))
    ),
    "k8s_pod": [pod(number) for number in range(12)],
    "k8s_event": [happening(number) for number in range(12)],
    "k8s_ksm": [scrape(number) for number in range(12)],
    "langfuse_export": [observation(number) for number in range(1, 13)],
    "openai_usage_api": [
        {
            "object": "bucket",
            "start_time": 1793610000 + 60 * n,
            "end_time": 1793610060 + 60 * n,
            "results": [
                {"input_tokens": 10, "input_cached_tokens": 4, "output_tokens": n, "num_model_requests": 1}
            ],
        }
        for n in range(12)
    ],
    "anthropic_usage_report": [
        {
            "starting_at": f"2026-11-02T09:{n:02}:00Z",
            "ending_at": f"2026-11-02T09:{n + 1:02}:00Z",
            "results": [{"uncached_input_tokens": 10, "cache_read_input_tokens": 4, "output_tokens": n}],
        }
        for n in range(12)
    ],
    "usage_counters": [
        {
            "provider": "p",
            "started_at": f"2026-11-02T09:{n:02}:00Z",
            "finished_at": "2026-11-02T10:00:00Z",
            "request_count": n,
        }
        for n in range(12)
    ],
    "outcomes": [
        {
            "session_id": f"s-{n}",
            "outcome": "ticket",
            "finished_at": f"2026-11-02T09:{n:02}:00Z",
            "is_success": True,
        }
        for n in range(12)
    ],
    "bedrock_invocation_log": [
        {
            "schemaType": "ModelInvocationLog",
            "timestamp": "2026-11-02T09:00:00Z",
            "requestId": f"r-{n}",
            "modelId": "m",
            "operation": "Converse",
            "input": {"inputTokenCount": 10},
            "output": {"outputTokenCount": n},
        }
        for n in range(12)
    ],
    "litellm_standard_payload": [
        gateway_row(f"chatcmpl-{n:06d}", "2026-11-02 09:00:00")
        | {
            "id": f"chatcmpl-{n:06d}",
            "startTime": 1793610000.0,
            "endTime": 1793610001.0,
            "response_cost": 0.1,
        }
        for n in range(12)
    ],
    "helicone_export": [
        {
            "request_id": f"r{n}",
            "request_created_at": "2026-11-02T09:00:00Z",
            "provider": "OPENAI",
            "response_status": 200,
            "prompt_tokens": 10,
            "completion_tokens": n,
        }
        for n in range(12)
    ],
    "gemini_response": [
        {
            "responseId": f"r{n}",
            "started_at": "2026-11-02T09:00:00Z",
            "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": n, "totalTokenCount": 10 + n},
        }
        for n in range(12)
    ],
    "voyage_response": [
        {
            "object": "list",
            "model": "m",
            "started_at": "2026-11-02T09:00:00Z",
            "usage": {"total_tokens": 10 + n},
        }
        for n in range(12)
    ],
    "watsonx_response": [
        {
            "model_id": "m",
            "created_at": "2026-11-02T09:00:00Z",
            "results": [{"input_token_count": 10, "generated_token_count": n}],
        }
        for n in range(12)
    ],
    "prometheus": [
        {"metric": {"__name__": "vllm:prompt_tokens_total"}, "values": [[1793610000 + n, str(n)]]}
        for n in range(12)
    ],
}
EXAMPLES |= {
    "claude_code_transcript": [answer(number) for number in range(12)],
    "codex_rollout": [session_line(number) for number in range(12)],
}
EXAMPLES |= {kind: [cloud_record(kind, number) for number in range(1, 13)] for kind in CLOUDS}
EXAMPLES |= {kind: [gateway_record(kind, number) for number in range(1, 13)] for kind in GATEWAYS}
EXAMPLES["router_metrics"] = [
    {"metric": {"__name__": "dynamo_frontend_requests_total"}, "values": [[1793610000 + n, str(n)]]}
    for n in range(12)
]
EXAMPLES["tgi_response"] = [
    {"request_id": f"t{n}", "started_at": "2026-11-02T09:00:00Z", "details": {"generated_tokens": n}}
    for n in range(12)
]
PASSED_OVER = {"codex_rollout": 1}
"""How many of a kind's first lines tell of the calls below them and are none."""
for kind in BILLS:
    EXAMPLES[kind] = [bill(kind, number) for number in range(1, 13)]
ANSWER = {
    "id": "resp-000001",
    "created": 1793610000,
    "model": "m",
    "started_at": "2026-11-02T09:00:00Z",
    "usage": {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "input_tokens": 10,
        "output_tokens": 5,
    },
}
EXAMPLES |= {kind: [vendor_object(kind, n) for n in range(12)] for kind in (*VENDOR_KINDS, *LOG_KINDS)}
for kind in importers():
    # Most others are responses.
    EXAMPLES.setdefault(kind, [{**ANSWER, "id": f"resp-{n:06d}"} for n in range(12)])
ODD = [
    b"\x00", b"\xff", b"\n", b"\r", b'"', b"\\", b"{", b"}", b"[", b"]", b",", b"NaN", b"1e400", b"-", b"null",
    b"\xef\xbb\xbf", b"\xed\xa0\x80", b'"a":1,"a":2', b"[" * 600, b"\x1f\x8b", b"{}", b"\n\n", b"   \n",
]  # fmt: skip


def lines_of(kind: str) -> list[bytes]:
    return [json.dumps(record).encode() for record in EXAMPLES[kind]]


@st.composite
def mutated(draw: st.DrawFn, lines: list[bytes]) -> bytes:
    """Return a file whose bytes behind the first line were cut, flipped, spliced or written into."""
    body = b"\n".join(lines[1:]) + b"\n"
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        action = draw(st.sampled_from(["cut", "flip", "insert", "splice", "drop"]))
        if action == "cut":
            body = body[:at]
        elif action == "flip" and at < len(body):
            body = body[:at] + bytes([body[at] ^ draw(st.integers(1, 255))]) + body[at + 1 :]
        elif action == "insert":
            body = body[:at] + draw(st.sampled_from(ODD)) + body[at:]
        elif action == "splice":
            start = draw(st.integers(0, len(body)))
            body = body[:at] + body[start : start + 90] + body[at:]
        else:
            body = body[:at] + body[at + draw(st.integers(1, 90)) :]
    return lines[0] + b"\n" + body


@pytest.mark.parametrize("kind", EXAMPLES)
def test_every_example_lands(kind: str) -> None:
    outcome = land_alone(kind, b"\n".join(lines_of(kind)))

    assert outcome.bad.height == 0, outcome.bad
    calls = range(1 + PASSED_OVER.get(kind, 0), 13)
    assert outcome.usable["line_number"].unique().sort().to_list() == [*calls]


@st.composite
def packed(draw: st.DrawFn, records: list[dict[str, Any]]) -> tuple[str, bytes]:
    """Return a name and a file of records, packed in one way or another, whose bytes were changed."""
    whole = b"".join(json.dumps(record).encode() + b"\n" for record in records)
    if draw(st.booleans()):
        whole = json.dumps(records, indent=1).encode()
    pack = draw(st.sampled_from(["plain", "gzip", "utf-16", "bom"]))
    content = {
        "plain": whole, "gzip": gzip.compress(whole, mtime=0), "utf-16": whole.decode().encode("utf-16"),
        "bom": b"\xef\xbb\xbf" + whole,
    }[pack]  # fmt: skip
    content = draw(mutated([content[:3], content[3:]])).replace(b"\n", b"", 1)
    return draw(st.sampled_from(["file", "file.csv", "file.parquet", "file.json.gz"])), content


LETTERS = st.characters(exclude_categories=["Cs"])
"""All of Unicode; the same by Hypothesis's own default takes a second to find out."""
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(LETTERS, max_size=8)
    | st.sampled_from(["", "NaN", "-1", "1e400", "2026-11-02T09:00:00Z", "infinity", "9" * 40, "{}", "[]", '{"a":1}']),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(LETTERS, max_size=4), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip


def five(files: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(files, min_size=5, max_size=5)


@pytest.mark.parametrize("kind", EXAMPLES)
@settings(SLOW, max_examples=2)  # the first has the simplest files of all, the second any
@given(data=st.data())
def test_whatever_the_bytes_every_line_lands_or_is_accounted_for_and_harms_no_other(
    kind: str, data: st.DataObject
) -> None:
    lines, is_joint = lines_of(kind), importers()[kind].is_joint
    mutants = data.draw(five(mutated(lines)), "lines of which some were changed")
    broken = data.draw(five(packed(EXAMPLES[kind])), "names and bytes of any packing")
    changes = st.lists(
        st.dictionaries(st.sampled_from(list(importers()[kind].columns)), VALUES, max_size=8),
        min_size=1,
        max_size=6,
    )
    odd = [
        b"".join(
            json.dumps({**example, **changed}).encode() + b"\n"
            for example, changed in zip(EXAMPLES[kind], file, strict=False)
        )
        for file in data.draw(five(changes), "any value in any field")
    ]
    # What a file of a joint kind repeats of another is passed over: those of which lines are looked for land alone.
    alone = mutants if is_joint else []
    names = {content: name for name, content in broken}
    names |= dict.fromkeys((content for content in (*mutants, *odd) if content not in alone), "file")

    together = land_together(kind, [(name, content) for content, name in names.items()])
    landed = dict(zip(names, together, strict=True))
    landed |= {content: land_alone(kind, content) for content in alone}

    assert all(outcome.holds_together() for outcome in landed.values())
    for content in (*mutants, *odd):
        outcome = landed[content]
        now = content.split(b"\n")
        text = {number for number, line in enumerate(now, start=1) if line.strip(b" \t\r\n")}
        usable, refused = {*outcome.usable["line_number"]}, {*outcome.bad["line_number"]}
        assert usable | refused <= text
        assert len(text - usable - refused) <= outcome.file["ignored_count"]
        if content in mutants:
            calls = lines[PASSED_OVER.get(kind, 0) :]
            whole = {number for number, line in enumerate(now, start=1) if line in calls}
            lost = whole - usable
            if is_joint:
                # A line of a session that stands twice repeats the sum, and is passed over; so is a poll that
                # finds what the line before it was changed to.
                read = {now[number - 1] for number in usable}
                lost = {number for number in lost if now[number - 1] not in read and number - 1 in whole}
            assert lost | (whole & refused) == set()


@pytest.mark.parametrize(
    ("kind", "bad", "reason"),
    [
        ("langfuse_export", {"usage_details": {"searches": 10**12}}, "bad_value"),
        *(
            ("otel_genai", {"resourceSpans": {"a" * at + "\U00041949" * 100: []}}, "wrong_shape")
            for at in range(4)
        ),
    ],
)
def test_what_a_reader_cannot_hold_or_quote_is_refused_alone(
    kind: str, bad: dict[str, Any], reason: str
) -> None:
    lines = [*lines_of(kind)[:2], json.dumps(EXAMPLES[kind][2] | bad, ensure_ascii=False).encode()]

    outcome = land_alone(kind, b"\n".join(lines))

    assert outcome.holds_together()
    assert outcome.usable["line_number"].to_list() == [1, 2]
    assert outcome.bad["reason"].to_list() == [reason]


ODD_SPANS = [
    b'{"resourceSpans": 5}',
    b'{"resourceSpans": {"scopeSpans": []}}',
    b'{"resourceSpans": [7]}',
    b'{"resourceSpans": [null, {"resource": "text", "scopeSpans": []}]}',
    b'{"resourceSpans": [{"scopeSpans": [{"spans": []}, {"spans": [{"attributes": [{"key": "a", "value": 1}]}]}]}]}',
    b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"spanId": "a", "spanId": "b"}]}]}]}',
    b'{"resourceSpans": [], "resourceSpans": []}',
]
"""Records that hold another type than OTLP's, or a key of it twice, at every depth."""


def test_records_of_another_shape_are_refused_alone_and_among_thousands() -> None:
    reasons = [land_alone("otel_genai", odd).bad["reason"].item() for odd in ODD_SPANS]
    good = json.dumps(span(1)).encode()
    lines = [line for odd in ODD_SPANS for line in (good, odd)] * 200

    among = land_alone("otel_genai", b"\n".join(lines))

    assert set(reasons) == {"wrong_shape", "duplicate_key"}
    assert among.usable.height == len(lines) // 2
    assert among.bad.sort("line_number")["line_number"].to_list() == list(range(2, len(lines) + 1, 2))
    assert among.bad.sort("line_number")["reason"].to_list() == reasons * 200


@SLOW
@given(
    st.lists(st.sampled_from(["good", "bad", "blank", "twice", "stray"]), min_size=1, max_size=20),
    st.sampled_from(["lines", "crlf", "csv", "array"]),
)
def test_what_is_read_is_usable_or_quarantined_for_any_mix(mix: list[str], packing: str) -> None:
    good = sum(word in {"good", "twice"} for word in mix)
    texts = {
        "good": '{"request_id": "resp-%08d", "started_at": "2026-11-02T09:00:00Z"}',
        "twice": '{"request_id": "resp-00000000", "started_at": "2026-11-02T09:00:00Z"}',
        "bad": '{"request_id": "resp-%08d"}',
        "stray": "{%d",
        "blank": "",
    }
    rows = {"good": "resp-%08d,2026-11-02T09:00:00Z", "twice": "resp-0,2026-11-02T09:00:00Z", "bad": "resp-%08d,",
            "stray": "a,b,%d", "blank": ""}  # fmt: skip
    if packing == "csv":
        lines = ["request_id,started_at", *(_filled(rows[word], at) for at, word in enumerate(mix))]
        content = "\n".join(lines) + "\n"
    else:
        lines = [_filled(texts[word], at) for at, word in enumerate(mix)]
        content = ("\r\n" if packing == "crlf" else "\n").join(lines)
        if packing == "array":
            mix = [word for word in mix if word in {"good", "twice", "bad"}]
            content = f"[{','.join(_filled(texts[word], at) for at, word in enumerate(mix))}]"

    outcome = land_alone("requests", content.encode())

    assert outcome.holds_together()
    assert outcome.usable.height == good
    assert outcome.bad.height == sum(word in {"bad", "stray"} for word in mix)


def _filled(text: str, at: int) -> str:
    return text % at if "%" in text else text


def test_a_record_is_found_at_the_bytes_that_the_quarantine_names() -> None:
    rng = np.random.default_rng(5)
    lines = [b'{"request_id": "%s' % (b"x" * int(size)) for size in rng.integers(0, 90, 200)]
    content = b"\n".join(line if number % 3 else lines_of("requests")[0] for number, line in enumerate(lines))

    bad = land_alone("requests", content).bad

    for row in bad.iter_rows(named=True):
        start, end = row["byte_offset"], row["byte_offset"] + row["byte_length"]
        assert content[start:end].rstrip(b"\n") == content.split(b"\n")[row["line_number"] - 1]
    assert bad.height == 133
