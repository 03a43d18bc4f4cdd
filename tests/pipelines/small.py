"""A small company for tests: a few gateway rows and one owned GPU, small enough to work out by hand."""

import contextlib
import io
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from pipelines.automation.code_location import build_defs
from pipelines.automation.runner import dagster_home
from pipelines.cli.main import main
from pipelines.project import Project, find_project

SETTINGS = """\
[warehouse]
start_on = 2026-11-01
[[sources]]
name = "gateway"
kind = "litellm_spend_logs"
path = "landing/gateway/**/*.jsonl*"
[[sources]]
name = "fleet"
kind = "requests"
path = "landing/fleet/*.jsonl"
[[sources]]
name = "replicas"
kind = "replica_events"
path = "landing/replicas/*.jsonl"
"""
HOUSE_SHEET = """\
provider: openai
currency: USD
source_url: https://example.com/prices
checked_on: 2026-11-01
models:
  - model: house-model
    prices:
      - valid_from: 2026-01-01
        usd_per_mtok: {{input_uncached: {rate}, output: 20}}
"""
"""Prices of the model that the books lack; `rate` is that of its uncached input."""

CLOSE_NOVEMBER = """
INSERT INTO ops.closed_periods (period, closed_from, closed_to, closed_at, known_at, time_zone)
VALUES ('2026-11', DATE '2026-11-01', DATE '2026-12-01', now(), now(), 'UTC')
"""
"""SQL that closes the month of the small company before it has ended, which the command refuses."""


@dataclass(frozen=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str


def nanodollar(project: Path | Project | None, *arguments: str) -> Outcome:
    """Run a command in this process and return its exit code and what it printed."""
    folder = project.folder if isinstance(project, Project) else project
    words = ["nanodollar", *(["--project", str(folder)] if folder else []), *arguments]
    out, err = io.TextIOWrapper(io.BytesIO()), io.StringIO()
    before, code = sys.argv, 0
    sys.argv = words
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = before
    out.flush()
    text = out.buffer.getvalue().decode()  # type: ignore[attr-defined]
    return Outcome(code, text, err.getvalue())


def materialize(
    project: Project, job: str, *partitions: str, assets: Iterable[str] | None = None
) -> dg.ExecuteInProcessResult:
    """Materialize the assets of a job, or some of them, over a range of partitions, as a backfill in Dagster does."""
    sides = zip(("start", "end"), partitions, strict=False)
    with dg.DagsterInstance.from_config(str(dagster_home(project))) as instance:
        return build_defs(project=project).resolve_job_def(job).execute_in_process(
            instance=instance,
            tags={f"dagster/asset_partition_range_{side}": key for side, key in sides},
            asset_selection=assets and [dg.AssetKey(key.split("/")) for key in assets],
            raise_on_error=False,
        )  # fmt: skip


def make_project(folder: Path, settings: str = SETTINGS) -> Project:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nanodollar.toml").write_text(settings, encoding="utf-8")
    return find_project(folder)


def write_lines(path: Path, records: Iterable[dict[str, Any] | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [record if isinstance(record, str) else json.dumps(record) for record in records]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def gateway_row(request_id: str, started_at: str, **changes: Any) -> dict[str, Any]:
    """Return a LiteLLM spend row: gpt-4o-mini, 1,000 tokens in (400 of them cached) and 200 out."""
    usage = {
        "prompt_tokens": changes.pop("prompt_tokens", 1000),
        "completion_tokens": changes.pop("completion_tokens", 200),
        "prompt_tokens_details": {"cached_tokens": changes.pop("cached_tokens", 400)},
    }
    metadata = {"usage_object": usage, **changes.pop("metadata", {})}
    return {
        "request_id": request_id, "litellm_call_id": f"call-{request_id}", "call_type": "acompletion",
        "api_key": "k" * 64, "spend": 0.001, "startTime": started_at, "endTime": started_at,
        "prompt_tokens": usage["prompt_tokens"], "completion_tokens": usage["completion_tokens"],
        "total_tokens": usage["prompt_tokens"] + usage["completion_tokens"], "model": "gpt-4o-mini",
        "model_group": "support", "custom_llm_provider": "openai", "api_base": "https://api.openai.com/v1",
        "organization_id": "acme", "status": "success", "cache_hit": "False", "request_tags": "[]",
        "session_id": "s1", "metadata": json.dumps(metadata),
    } | changes  # fmt: skip


def lifecycle(
    replica_id: str, deployment: str, chip: str, *events: tuple[str, str], **more: Any
) -> list[dict[str, Any]]:
    """Return the events of a replica, given as (event, instant)."""
    return [
        {
            "replica_id": replica_id, "deployment": deployment, "model": "llama-3.3-70b", "chip": chip,
            "chip_count": 1, "provider": "lambda", "region": "us-east-1", "event": event, "event_at": at,
        } | more
        for event, at in events
    ]  # fmt: skip


def fleet_row(
    request_id: str, replica_id: str | None, route: str, started_at: str, finished_at: str, **more: Any
) -> dict[str, Any]:
    """Return a generic request that one of the owned replicas served."""
    return {
        "request_id": request_id, "replica_id": replica_id, "route": route, "started_at": started_at,
        "finished_at": finished_at, "provider": "lambda", "region": "us-east-1", "served_model": "llama-3.3-70b",
        "input_uncached_tokens": 1000, "output_text_tokens": 100, "status": "ok", "tenant": "acme",
    } | more  # fmt: skip


def write_company(folder: Path) -> Project:
    """Write a morning of the small company: three gateway calls, a broken line, one GPU and its two requests."""
    project = make_project(folder)
    write_lines(
        folder / "landing/gateway/morning.jsonl",
        [
            gateway_row("r1", "2026-11-02 09:10:00"),
            gateway_row("r2", "2026-11-02 09:50:00", model="house-model", prompt_tokens=90, cached_tokens=0),
            gateway_row("r3", "2026-11-02 10:10:00"),
            '{"request_id": "half',
        ],
    )
    write_lines(
        folder / "landing/replicas/morning.jsonl",
        lifecycle(
            "replica-1", "llama-pool", "H100",
            ("requested", "2026-11-02T09:00:00Z"), ("scheduled", "2026-11-02T09:02:00Z"),
            ("image_pulled", "2026-11-02T09:05:00Z"), ("ready", "2026-11-02T09:10:00Z"),
            ("draining", "2026-11-02T10:50:00Z"), ("stopped", "2026-11-02T10:51:00Z"),
        ),
    )  # fmt: skip
    write_lines(
        folder / "landing/fleet/morning.jsonl",
        [
            fleet_row("f1", "replica-1", "llama-pool", "2026-11-02T09:20:00Z", "2026-11-02T09:30:00Z"),
            fleet_row("f2", "replica-1", "llama-pool", "2026-11-02T09:25:00Z", "2026-11-02T10:10:00Z"),
        ],
    )
    return project


def query(project: Project, sql: str) -> list[tuple[Any, ...]]:
    """Run SQL on the live warehouse as an analyst does."""
    from pipelines.warehouse.connect import connect_read_only

    with connect_read_only(project) as con:
        return con.execute(sql).fetchall()
