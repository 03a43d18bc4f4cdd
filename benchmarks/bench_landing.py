"""Land log files, against bare DuckDB reads of the same bytes with explicit columns.

The bare read counts what is in each top-level column; an object inside of which the counts lie, such as LiteLLM's
`metadata`, is one text to it. The second read makes a table of the very values that the landing reads, nested ones as
columns of their own, and is what any landing has to do first. Starting Python and importing is in none of the times.

python -m benchmarks landing      NANODOLLAR_BENCH_MB=300 a format; NANODOLLAR_BENCH_LARGE_MB=1000 for the memory line
"""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.measure import Measured, machine, measured
from models.importers import importers
from pipelines.landing.batch import LandingTerms
from pipelines.landing.known import LandedBefore
from pipelines.landing.land import land_files
from pipelines.sources.spec import SourceSpec
from pipelines.sources.stored import stored_file

SIZE_MB = int(os.environ.get("NANODOLLAR_BENCH_MB", "300"))
LARGE_MB = int(os.environ.get("NANODOLLAR_BENCH_LARGE_MB", "1000"))
MEMORY_MB = 1024
TARGET_SHARE = 0.60
_START = datetime(2026, 11, 2, tzinfo=UTC)
_NOW = datetime(2026, 11, 24, tzinfo=UTC)


def litellm(number: int) -> dict[str, Any]:
    at, tokens = _START + timedelta(seconds=number * 0.5), 200 + number % 3000
    usage = {
        "prompt_tokens": tokens, "completion_tokens": 150, "total_tokens": tokens + 150,
        "prompt_tokens_details": {"cached_tokens": tokens // 3}, "completion_tokens_details": {"reasoning_tokens": 40},
    }  # fmt: skip
    metadata = {
        "usage_object": usage, "attempted_retries": 0, "attempted_fallbacks": 0, "original_model_group": "support",
        "user_api_key_alias": "support-service", "user_api_key_team_alias": "support",
        "cost_breakdown": {"input_cost": 0.001, "output_cost": 0.002, "total_cost": 0.003, "service_tier": None},
        "spend_logs_metadata": {"task_class": "support"}, "applied_guardrails": [], "mcp_tool_call_metadata": None,
    }  # fmt: skip
    return {
        "request_id": f"chatcmpl-{number:012d}", "litellm_call_id": f"0b7c0000-0000-4000-8000-{number:012d}",
        "call_type": "acompletion", "api_key": "8" * 64, "spend": 0.00213, "total_tokens": tokens + 150,
        "prompt_tokens": tokens, "completion_tokens": 150, "startTime": f"{at:%Y-%m-%dT%H:%M:%S.%f}Z",
        "endTime": f"{at + timedelta(seconds=4):%Y-%m-%dT%H:%M:%S.%f}Z", "model": "gpt-4o-mini",
        "model_group": "support", "model_id": "d1", "custom_llm_provider": "openai",
        "api_base": "https://api.openai.com/v1", "user": "u1", "team_id": "t1", "end_user": "",
        "cache_hit": "False", "request_tags": ["job:eval"], "session_id": f"s{number % 999}", "status": "success",
        "metadata": metadata, "messages": {}, "response": {}, "proxy_server_request": {},
    }  # fmt: skip


def otlp(number: int) -> dict[str, Any]:
    at = int((_START + timedelta(seconds=number * 0.5)).timestamp() * 1e9)
    texts = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini",
             "gen_ai.response.model": "gpt-4o-mini-2024-07-18", "gen_ai.response.id": f"chatcmpl-{number:012d}",
             "server.address": "api.openai.com", "gen_ai.conversation.id": f"s{number % 999}"}  # fmt: skip
    counts = {"gen_ai.usage.input_tokens": 200 + number % 3000, "gen_ai.usage.output_tokens": 150,
              "gen_ai.usage.cache_read.input_tokens": 60, "gen_ai.request.max_tokens": 500}  # fmt: skip
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in texts.items()]
    attributes += [{"key": key, "value": {"intValue": str(value)}} for key, value in counts.items()]
    span = {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "chat gpt-4o-mini", "kind": 3,
            "startTimeUnixNano": str(at), "endTimeUnixNano": str(at + 4 * 10**9), "attributes": attributes}  # fmt: skip
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "support"}}]}
    return {
        "resourceSpans": [
            {"resource": resource, "scopeSpans": [{"scope": {"name": "otel"}, "spans": [span]}]}
        ]
    }


def bedrock(number: int) -> dict[str, Any]:
    at = _START + timedelta(seconds=number * 0.5)
    return {
        "schemaType": "ModelInvocationLog", "schemaVersion": "1.0", "timestamp": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        "accountId": "123456789012", "identity": {"arn": "arn:aws:sts::123456789012:assumed-role/app/i"},
        "region": "us-east-1", "requestId": f"00000000-0000-4000-8000-{number:012d}", "operation": "InvokeModel",
        "modelId": "anthropic.claude-3-5-sonnet-20241022-v2:0",
        "input": {"inputContentType": "application/json", "inputTokenCount": 200 + number % 3000,
                  "cacheReadInputTokenCount": 60,
                  "inputBodyJson": {"messages": [{"role": "user", "content": "x" * 200}]}},
        "output": {"outputContentType": "application/json", "outputTokenCount": 150,
                   "outputBodyJson": {"content": [{"type": "text", "text": "y" * 200}],
                                      "usage": {"output_tokens": 150}}},
    }  # fmt: skip


FORMATS: dict[str, Callable[[int], dict[str, Any]]] = {
    "litellm_spend_logs": litellm,
    "otel_genai": otlp,
    "bedrock_invocation_log": bedrock,
}


def write(path: str, kind: str, size_mb: int) -> int:
    """Write records of a kind until the file has its size."""
    number = 0
    with Path(path).open("w", encoding="utf-8") as file:
        while file.tell() < size_mb << 20:
            file.writelines(f"{json.dumps(FORMATS[kind](number + step))}\n" for step in range(2000))
            number += 2000
    return number


def bare(path: str, kind: str) -> int:
    """Read the top-level columns of the format with DuckDB, and count what is in each."""
    columns = importers()[kind].columns
    counts = ", ".join(f'count("{name}")' for name in columns)
    found = _session().execute(f"SELECT count(*), {counts} FROM {_reader(path, columns)}").fetchall()
    return int(found[0][0])


def tabled(path: str, kind: str) -> int:
    """Read the values that the landing reads, nested ones included, into a table: no record judged."""
    importer = importers()[kind]
    columns = importer.columns if importer.fast is None else importer.fast.columns
    con = _session()
    con.execute(f"CREATE TEMP TABLE found AS FROM {_reader(path, columns)}")
    return int(con.execute("SELECT count(*) FROM found").fetchall()[0][0])


def copied(path: str, kind: str) -> int:
    """Read the top-level columns and write them as they are to Parquet: no record judged, no class told apart."""
    columns = importers()[kind].columns
    _session().execute(
        f"COPY (FROM {_reader(path, columns)}) TO '{path}.parquet' (FORMAT parquet, COMPRESSION zstd)"
    )
    return Path(f"{path}.parquet").stat().st_size


def _session() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("SET enable_progress_bar = false")
    return con


def _reader(path: str, columns: Mapping[str, str]) -> str:
    types = ", ".join(f"'{name}': '{dtype}'" for name, dtype in columns.items())
    return f"read_json('{path}', format = 'newline_delimited', records = true, columns = {{{types}}})"


def landed(path: str, kind: str) -> int:
    """Land the file as `nanodollar ingest` does, without the commit: rows, quarantine and index are written."""
    file = stored_file(Path(path), project=Path(path).parent)
    terms = LandingTerms(
        drafts=Path(path).parent / "drafts", ingested_at=_NOW, not_before=_START, hash_key=b"bench",
        memory_bytes=MEMORY_MB << 20,
    )  # fmt: skip
    landings = list(land_files(SourceSpec("bench", kind), [file], known=LandedBefore(), terms=terms))
    return sum(row["landed_count"] for landing in landings for row in landing.files)


def _tell(what: str, done: Measured) -> None:
    print(f"    {what:<28}  {done.seconds:7.2f} s  {done.cpu_seconds:7.2f} CPU s  {done.peak_mib:7.0f} MiB")


def main() -> None:
    folder = tempfile.mkdtemp(prefix="nanodollar-bench-")
    try:
        print(f"landing: {SIZE_MB} MB a format, {machine()}")
        for kind in FORMATS:
            path = f"{folder}/{kind}.jsonl"
            rows = write(path, kind, SIZE_MB)
            measured(bare, path, kind)
            scan, table, copy, ours = (measured(work, path, kind) for work in (bare, tabled, copied, landed))
            if not scan.result == table.result == ours.result == rows:
                raise SystemExit(
                    f"{kind}: {rows} records were written, {scan.result} read, {ours.result} landed"
                )
            print(f"  {kind}: {rows:,} records")
            _tell("bare DuckDB read_json", scan)
            _tell("table of the values landed", table)
            _tell("DuckDB read_json to Parquet", copy)
            _tell("landed", ours)
            share, of_table, of_copy = (each.seconds / ours.seconds for each in (scan, table, copy))
            print(f"    speed of the bare read        {share:7.0%}  (target at least {TARGET_SHARE:.0%})")
            print(f"    speed of the table            {of_table:7.0%}")
            print(f"    speed of the copy             {of_copy:7.0%}")
            Path(path).unlink()
        path = f"{folder}/large.jsonl"
        write(path, "litellm_spend_logs", LARGE_MB)
        large = measured(landed, path, "litellm_spend_logs")
        print(f"  memory: {LARGE_MB:,} MB of LiteLLM rows under [landing] memory_mb = {MEMORY_MB}")
        _tell("landed", large)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
