"""The pages of the generic kinds are complete: what they show, written as they show it, gives what they say."""

import re
import shlex
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

import models.logs
from models.importers import importers
from pipelines.project import Project
from tests.pipelines.small import make_project, nanodollar, query

PAGES = sorted(Path("docs/generic").glob("*.md"))
_PART = re.compile(r"(?:^`([^`\n]+)`:\n\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
RUN = "nanodollar run"


def parts(page: Path) -> Iterator[tuple[str | None, str, str]]:
    """Yield each block of a page: the file that it is, its language, its text."""
    for name, language, text in _PART.findall(page.read_text(encoding="utf-8")):
        yield name or None, language, text


RUNBOOK = Path("docs/runbooks/add_a_source.md")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project of all pages' files, after the run that each of them shows."""
    folder = tmp_path_factory.mktemp("generic")
    settings = "[warehouse]\nstart_on = 2026-11-01\n"
    runs = set()
    for page in PAGES:
        for name, language, text in parts(page):
            if name == "nanodollar.toml":
                settings += text
            elif name is not None:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text, encoding="utf-8")
            elif language == "sh":
                runs |= {line for line in text.splitlines() if line.startswith(RUN)}
    made = make_project(folder, settings)
    (run,) = runs
    outcome = nanodollar(made, *shlex.split(run)[1:])
    assert outcome.code in (0, 1), outcome.err
    return made


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_gives_what_it_says(page: Path, project: Project) -> None:
    blocks = list(parts(page))
    (asked,) = (
        line for name, language, text in blocks if name is None and language == "sh"
        for line in text.splitlines() if not line.startswith(RUN)
    )  # fmt: skip
    (expected,) = (text for name, language, text in blocks if name is None and language == "csv")

    outcome = nanodollar(project, *shlex.split(asked)[1:])

    assert (outcome.out, outcome.err) == (expected, "")


def test_every_generic_kind_has_a_page() -> None:
    assert [page.stem for page in PAGES] == ["invoice_lines", "replica_events", "requests", "usage_counters"]


def test_the_reader_that_the_runbook_writes_reads_the_line_that_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {language: text for _, language, text in parts(RUNBOOK) if language in ("python", "json")}
    (tmp_path / "rooms").mkdir()
    (tmp_path / "rooms/acme_log.py").write_text(shown["python"], encoding="utf-8")
    monkeypatch.setattr(models.logs, "__path__", [*models.logs.__path__, str(tmp_path / "rooms")])
    importers.cache_clear()
    try:
        project = make_project(tmp_path / "project", "[warehouse]\nstart_on = 2026-11-01\n")
        file = tmp_path / "project/landing/acme/calls.jsonl"
        file.parent.mkdir(parents=True)
        file.write_text(shown["json"], encoding="utf-8")
        outcome = nanodollar(project, "ingest", str(file))
        (call,) = query(
            project,
            "SELECT source_kind, request_id, provider, input_uncached_tokens, cache_read_tokens, output_text_tokens, "
            "provider_reported_cost_usd, tags['team'], dedupe_key FROM raw.requests",
        )
    finally:
        importers.cache_clear()
        sys.modules.pop("models.logs.acme_log", None)

    assert "acme_log" in outcome.out, outcome.err
    assert call == (
        "acme_log", "a-1", "openai", 360, 640, 300, Decimal("0.0007"), "search", "id:chatcmpl-9"
    )  # fmt: skip
