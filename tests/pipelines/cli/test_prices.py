"""nanodollar prices: every error of a sheet at once, imports that write nothing over, differences with their size."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.project import Project
from tests.pipelines.small import make_project, nanodollar

SHEET = """\
provider: openai
source_url: https://example.com
checked_on: 2026-01-01
models:
  - model: known
    prices: [{valid_from: 2025-01-01, usd_per_mtok: {input_uncached: 2, output: 8}}]
"""
MAP = {
    "gpt-of-ours": {
        "input_cost_per_token": 1e-06,
        "output_cost_per_token": 4e-06,
        "litellm_provider": "openai",
    },
    "wandb/huge": {"input_cost_per_token": 0.071, "litellm_provider": "wandb"},
}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return make_project(tmp_path / "project")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def map_file(folder: Path, content: dict[str, Any] = MAP, day: str = "2026-07-24") -> str:
    return str(write(folder / f"map_{day}.json", json.dumps(content)))


def test_check_names_every_error_of_every_file_with_its_line(project: Project) -> None:
    broken = SHEET.replace("output: 8", "outptu: 8").replace("checked_on", "cheked_on")
    write(project.folder / "prices/tokens/openai.yml", broken)
    write(
        project.folder / "prices/tokens/more.yml", SHEET.replace("input_uncached: 2", "input_uncached: 71000")
    )
    write(project.folder / "prices/gpu/x.yml", "vendor: lambda\n")
    outcome = nanodollar(project, "prices", "check")
    assert outcome.code == 1
    for sentence in (
        "prices/tokens/openai.yml, line 3: unknown key 'cheked_on'; did you mean 'checked_on'?",
        "prices/tokens/openai.yml, line 6: models.0.prices.0.usd_per_mtok: unknown token class 'outptu'",
        "prices/tokens/more.yml, line 6: models.0.prices.0.usd_per_mtok: input_uncached of 71000 per million tokens",
        "prices/gpu/x.yml, line 1: 'checked_on' is missing; add it",
        "problems.",
    ):
        assert sentence in outcome.out


def test_a_rate_far_from_the_same_weights_elsewhere_is_a_problem(project: Project) -> None:
    thousand = SHEET.replace("  - model: known", "  - model: known\n    family: llama-3.3-70b").replace(
        "8}", "0.0088}"
    )
    write(
        project.folder / "prices/tokens/openai.yml",
        thousand.replace("input_uncached: 2", "input_uncached: 0.0059"),
    )
    outcome = nanodollar(project, "prices", "check")
    assert "input_uncached of 0.0059 lies far from" in outcome.out
    assert "usual for llama-3.3-70b; check the unit" in outcome.out


def test_the_built_in_sheets_have_no_problem(project: Project) -> None:
    outcome = nanodollar(project, "prices", "check")
    assert (outcome.code, outcome.out.splitlines()[-1].split(": ")[1]) == (0, "0 problems.")


def test_contracts_and_exchange_rates_are_checked_too(project: Project) -> None:
    entry = "{name: a, provider: openai, valid_from: 2026-01-01, multiplyer: 0.9}"
    terms = f"checked_on: 2026-01-01\ncontracts:\n  - {entry}\n"
    write(project.folder / "contracts.yml", terms)
    write(
        project.folder / "fx.csv", "currency,rate_on,usd_per_unit,source_url\nEUR,2026-01-01,none,https://x\n"
    )
    outcome = nanodollar(project, "prices", "check")
    assert "contracts.yml, line 3: unknown key 'multiplyer'; did you mean 'multiplier'?" in outcome.out
    assert "fx.csv, line 2: " in outcome.out


def test_import_writes_a_dated_file_once_and_the_next_time_nothing(project: Project, tmp_path: Path) -> None:
    file = map_file(tmp_path)
    first = nanodollar(project, "prices", "import", "litellm", file)
    written = project.folder / "prices/tokens/openai.litellm-2026-07-24.yml"
    text = written.read_text(encoding="utf-8")
    assert "1 new, 0 changed, 0 as in the book, 1 refused" in first.out
    assert (
        "refused wandb wandb/huge: input_uncached of 71000 per million tokens is beyond the bound"
        in first.out
    )
    second = nanodollar(project, "prices", "import", "litellm", file)
    assert "0 new, 0 changed, 1 as in the book" in second.out
    assert written.read_text(encoding="utf-8") == text
    assert nanodollar(project, "prices", "check").code == 0


def test_import_never_writes_over_a_file(project: Project, tmp_path: Path) -> None:
    nanodollar(project, "prices", "import", "litellm", map_file(tmp_path))
    dearer = {"gpt-of-ours": MAP["gpt-of-ours"] | {"input_cost_per_token": 2e-06}}
    outcome = nanodollar(project, "prices", "import", "litellm", map_file(tmp_path, dearer))
    assert outcome.code == 2
    assert "openai.litellm-2026-07-24.yml exists and says something else" in outcome.err
    later = nanodollar(project, "prices", "import", "litellm", map_file(tmp_path, dearer, "2026-08-01"))
    assert "0 new, 1 changed" in later.out


def test_a_dry_run_writes_nothing_and_other_providers_can_be_left_out(
    project: Project, tmp_path: Path
) -> None:
    outcome = nanodollar(
        project, "prices", "import", "litellm", map_file(tmp_path), "--dry-run", "--provider", "openai"
    )
    assert "would write" in outcome.out
    assert "refused wandb" not in outcome.out
    assert not (project.folder / "prices").exists()


def test_a_list_without_a_date_must_be_told_when_it_was_read(project: Project, tmp_path: Path) -> None:
    file = str(write(tmp_path / "map.json", json.dumps(MAP)))
    assert (
        "say when it was read with --read-on" in nanodollar(project, "prices", "import", "litellm", file).err
    )
    assert nanodollar(project, "prices", "import", "litellm", file, "--read-on", "2026-07-01").code == 0


def test_diff_shows_ratio_and_unit_traps(project: Project, tmp_path: Path) -> None:
    write(
        project.folder / "prices/tokens/mine.yml",
        SHEET.replace("known", "gpt-of-ours").replace("2, ", "10, "),
    )
    outcome = nanodollar(project, "prices", "diff", map_file(tmp_path))
    assert "1 names in both, 1 differ" in outcome.out
    assert "10^1: a unit or a digit" in outcome.out
    assert "2.000" in outcome.out or " 2 " in outcome.out


def test_a_file_that_is_no_list_is_one_sentence(project: Project, tmp_path: Path) -> None:
    file = str(write(tmp_path / "x_2026-01-01.json", "{}"))
    outcome = nanodollar(project, "prices", "diff", file)
    assert (outcome.code, "is no list that can be read; there are aws, azure" in outcome.err) == (2, True)
