"""The documents say what is true: every link leads somewhere, and every command that they show runs."""

import re
import shlex
import shutil
from pathlib import Path

import duckdb
import pytest
import yaml
from pydantic import ValidationError

from pipelines.project import Project
from pipelines.warehouse.connect import connect_read_only
from pipelines.written_files import WRITTEN
from tests.cookbook import answer, build_sample, recipes
from tests.pipelines.small import nanodollar, query

PAGES = sorted([*Path().glob("*.md"), *Path("docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)#\s]+)")
BLOCK = re.compile(r"^```(?:sh|console|bash)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FEWEST_RECIPES = 50
SEEN_ELSEWHERE = (
    "nanodollar ui", "nanodollar serve", "nanodollar demo", "nanodollar restore", "nanodollar publish --audience",
)  # fmt: skip
"""Commands that serve until interrupted, build a fleet of their own, need a backup or audiences; tests of their own
run them."""


def commands(page: Path) -> list[str]:
    """Return the commands of a page; one whose quotes are open goes on in the next line."""
    if page.parent.name == "generic":
        # A test of their own writes what they show and runs them.
        return []
    found, pending = [], ""
    for block in BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            pending = f"{pending}\n{line}" if pending else line.removeprefix("$ ").strip()
            try:
                shlex.split(pending, comments=True)
            except ValueError:
                continue
            if pending.startswith("nanodollar ") and not pending.startswith(SEEN_ELSEWHERE):
                found.append(pending)
            pending = ""
    return found


# A command that several pages show runs once.
CASES = {line.split("  #")[0].strip(): page for page in reversed(PAGES) for line in commands(page)}


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A small sample fleet after its run, with a closed month before."""
    return build_sample(tmp_path_factory.mktemp("docs") / "fleet")


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.fixture(scope="module")
def costs(fleet: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project that the first page makes of an export, after its run."""
    folder = tmp_path_factory.mktemp("readme") / "costs"
    assert nanodollar(None, "init", str(folder)).code == 0
    shutil.copyfile(export_of(fleet), folder / "landing/gateway/spend_logs.jsonl")
    nanodollar(folder, "run")
    return folder


READING = ("nanodollar sql", "nanodollar explain", "nanodollar quarantine list", "nanodollar close --list")
"""Commands that leave a project as it is, so that one copy serves them all."""


def project_of_the_pages(fleet: Project, folder: Path) -> Path:
    """Copy the sample project, with the files that the pages speak of under the names that they use."""
    shutil.copytree(fleet.folder, folder)
    for name in ("spend_logs.jsonl", "export.jsonl"):
        shutil.copyfile(export_of(fleet), folder / name)
    return folder


def export_of(fleet: Project) -> Path:
    return min((fleet.folder / "landing/gateway").rglob("*.jsonl"))


@pytest.fixture(scope="module")
def read_only(fleet: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project_of_the_pages(fleet, tmp_path_factory.mktemp("read") / "project")


@pytest.fixture(scope="module")
def request_id(fleet: Project) -> str:
    ((found,),) = query(fleet, "SELECT min(request_id) FROM core.request_costs WHERE cost_basis = 'token'")
    return str(found)


@pytest.mark.parametrize("line", CASES, ids=[f"{page}: {line}" for line, page in CASES.items()])
def test_every_command_that_is_shown_runs(
    fleet: Project, costs: Path, read_only: Path, request_id: str, line: str, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    folder = read_only if line.startswith(READING) else project_of_the_pages(fleet, tmp_path / "project")
    monkeypatch.chdir(folder)
    named = line.replace("REQUEST_ID", request_id)
    # What is taken out again has landed.
    landed = export_of(fleet).relative_to(fleet.folder)
    words = shlex.split(named.replace("landing/gateway/export.jsonl", str(landed)), comments=True)[1:]
    words = words[: words.index(">")] if ">" in words else words
    if words[:2] == ["--project", "costs"]:
        shutil.copytree(costs, folder / "costs")

    outcome = nanodollar(None, *words)

    # A failing check is a finding about the sample, not about the command.
    assert outcome.code in {0, 1}
    assert "Error:" not in outcome.err, outcome.err


def test_the_cookbook_answers_as_it_says_on_the_lake_and_in_the_published_file(fleet: Project) -> None:
    shown = recipes()
    found: dict[str, set[str]] = {}

    with (
        connect_read_only(fleet) as lake,
        duckdb.connect(str(fleet.published), read_only=True) as published,
    ):
        published.execute("SET TimeZone = 'UTC'")
        for recipe in shown:
            found[recipe.question] = {answer(con, recipe.sql) for con in (lake, published)}

    assert len(shown) > FEWEST_RECIPES
    # After a change that is meant, `make docs` writes the answers anew.
    assert found == {recipe.question: {recipe.answer} for recipe in shown}


YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
NOT_OURS = ("alerts.md", "cluster.md")
"""Pages whose YAML is of other programs: rules of Prometheus, values of Helm."""
FILES = {
    f"{page}: {block.splitlines()[-1]}": block
    for page in PAGES
    if page.name not in NOT_OURS
    for block in YAML.findall(page.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("block", FILES.values(), ids=FILES)
def test_every_file_that_is_shown_is_one_that_may_be_written(block: str) -> None:
    values = list(yaml.safe_load_all(block))
    refused = {}
    for name, model in WRITTEN.items():
        try:
            for value in values:
                model.model_validate(value)
        except ValidationError as error:
            refused[name] = str(error)
        else:
            return
    raise AssertionError(refused)


def test_every_file_that_may_be_written_has_its_page() -> None:
    page = Path("docs/files.md").read_text(encoding="utf-8")
    template = Path("data/templates/nanodollar.toml").read_text(encoding="utf-8")
    named = set(re.findall(r'"([\w/]+\.(?:yml|csv))"', template))
    assert len(named) >= len(WRITTEN) - 3
    assert {name for name in named if f"`{name}`" not in page} == set()


def test_every_sentence_of_troubleshooting_is_one_that_is_said() -> None:
    text = Path("docs/troubleshooting.md").read_text(encoding="utf-8")
    quoted = re.findall(
        r'"([^"]+)"', "\n".join(line.split("|")[1] for line in text.splitlines() if line.count("|") > 1)
    )
    code = "".join(
        path.read_text(encoding="utf-8")
        for room in ("pipelines", "models")
        for path in Path(room).rglob("*.py")
    )
    # Words of a sentence may stand in two strings.
    said = re.sub(r'"\s*f?"', "", code)
    assert len(quoted) > 25
    assert [words for words in quoted if words not in said] == []
