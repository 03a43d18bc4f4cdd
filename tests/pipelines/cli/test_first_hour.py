"""The first hour of a newcomer: a typo in every file and on the command line, a Ctrl-C, a port in use.

What they read is one sentence that says where and what to do, in no library's words.
"""

import re
import signal
import socket
import subprocess
import sys

import pytest

from pipelines.project import Project, find_project
from tests.pipelines.small import Outcome, gateway_row, nanodollar, write_lines

JARGON = re.compile(
    r"Errno|Invariant|JSONDecode|pydantic|Dagster\w+Error|dagster\._|duckdb\.|Traceback|Exception|[a-z]Error\b|"
    r"instance of|NoneType|object at 0x"
)
RATES = "checked_on: 2026-11-01\nmodels:\n  - model: m\n    prices:\n      - valid_from: 2026-01-01\n"
HEAD = f"provider: openai\ncurrency: USD\nsource_url: https://example.com\n{RATES}"
FILES = [
    (
        "nanodollar.toml",
        "[warehouse]\nstart = 2026-01-01\n",
        "line 2: unknown key 'start'; did you mean 'start_on'?",
    ),
    ("nanodollar.toml", "[warehouse]\nstart_on = 2026-13-01\n", "line 2: it is not valid TOML"),
    ("nanodollar.toml", "[warehouse\n", "line 1: it is not valid TOML"),
    (
        "policies/routing.yml",
        "version: 1\nvalid_form: 2026-01-01\n",
        "line 2: unknown key 'valid_form'; did you mean",
    ),
    (
        "policies/routing.yml",
        "version: 1\nvalid_from: 2026-02-30\n",
        "line 2: '2026-02-30' is no date; write it like",
    ),
    ("policies/routing.yml", "version: [1\n", "not valid YAML"),
    (
        "policies/routing.yml",
        b"version: 1\n# caf\xe9\n",
        "line 2: it is not UTF-8 text; save the file as UTF-8",
    ),
    ("policies/routing.yml", "- 1\n", "line 1: the file is a mapping"),
    (
        "policies/quality.yml",
        "version: 1\nmodel: {}\n",
        "line 2: unknown key 'model'; did you mean 'models'?",
    ),
    ("prices/tokens/own.yml", HEAD + "        usd_per_mtok: {inptu_uncached: 1}\n", "line 9: "),
    ("prices/tokens/own.yml", HEAD.replace("01-01", "01-45"), "line 8: '2026-01-45' is no date"),
    (
        "prices/gpu/own.yml",
        "vendor: x\ncurency: USD\nsource_url: https://example.com\nchecked_on: 2026-11-01\nrates: []\n",
        "line 2: unknown key 'curency'; did you mean 'currency'?",
    ),
    (
        "contracts.yml",
        "checkd_on: 2026-11-01\ncontracts: []\n",
        "line 1: unknown key 'checkd_on'; did you mean 'checked_on'?",
    ),
    (
        "commitments.yml",
        "version: 1\ncommitment: []\n",
        "line 2: unknown key 'commitment'; did you mean 'commitments'?",
    ),
    ("commitments.yml", "a: &a [x, x]\nb: &b " + "[*a, *a]\nc: " * 3, "commitments.yml, line "),
    (
        "fx.csv",
        "currency,rate_at,usd_per_unit,source_url\nEUR,2026-01-01,1.1,https://e.com\n",
        "line 1: column",
    ),
    (
        "fx.csv",
        "currency,rate_on,usd_per_unit,source_url\nEUR,2026-13-01,1.1,https://e.com\n",
        "fx.csv, line 2: ",
    ),
]
LINES = [
    (["rnu"], "Did you mean 'run'?"),
    (["run", "--sorce", "x"], "Did you mean '--source'?"),
    (["run", "--source", "gatewy"], "did you mean 'gateway'?"),
    (
        ["run", "--from", "2026-11-03", "--to", "2026-11-02"],
        "--from 2026-11-03 is not before --to 2026-11-02",
    ),
    (["run", "--from", "yesterday"], "write it like 2026-11-02 or 2026-11-02T13:00"),
    (["policy", "chekc"], "Did you mean 'check'?"),
    (["sql", "--format", "cvs", "SELECT 1"], "Did you mean 'csv'?"),
    (["ingest", "no/such/file.jsonl"], "does not exist; check the path"),
    (["close", "2026-13"], "2026-13"),
    (["report", "daily", "--date", "2026-13-01"], "'2026-13-01' is no date; write it like 2026-11-02"),
    (["ui", "--port", "99999"], "99999"),
]


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    folder = tmp_path_factory.mktemp("newcomer") / "costs"
    assert nanodollar(None, "init", str(folder)).code == 0
    return find_project(folder)


def said(outcome: Outcome) -> str:
    """Return what a refused command says, which holds none of the words of our libraries."""
    assert JARGON.findall(outcome.out + outcome.err) == []
    return outcome.err


@pytest.mark.parametrize(("name", "text", "sentence"), FILES)
def test_a_typo_in_a_file_is_one_sentence_with_file_and_line(
    fresh: Project, name: str, text: str | bytes, sentence: str
) -> None:
    file = fresh.folder / name
    before = file.read_bytes() if file.exists() else None
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    try:
        outcome = nanodollar(None, "policy", "check", "--project", str(fresh.folder))
    finally:
        if before is None:
            file.unlink()
        else:
            file.write_bytes(before)

    told = said(outcome)
    assert outcome.code == 2
    assert name in told
    assert sentence in told
    assert len(told.strip().splitlines()) == 1


@pytest.mark.parametrize(("arguments", "sentence"), LINES)
def test_a_typo_on_the_command_line_says_what_was_meant(
    fresh: Project, arguments: list[str], sentence: str
) -> None:
    outcome = nanodollar(fresh, *arguments)

    assert outcome.code == 2
    assert sentence in said(outcome)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_project_is_named_anywhere_on_the_line(fresh: Project, place: int) -> None:
    words = ["policy", "check"]
    words[place:place] = ["--project", str(fresh.folder)] if place else [f"--project={fresh.folder}"]

    assert "policies/routing.yml is valid" in nanodollar(None, *words).out


def test_a_port_in_use_is_refused_before_anything_starts(fresh: Project) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        outcome = nanodollar(fresh, "ui", "--port", str(port))

    assert outcome.code == 2
    assert f"Port {port} on 127.0.0.1 is in use or may not be used; choose another" in said(outcome)


def test_ctrl_c_in_a_run_is_one_sentence(fresh: Project) -> None:
    rows = [gateway_row(f"r{n}", f"2026-11-02 {n % 24:02}:10:00") for n in range(60)]
    write_lines(fresh.folder / "landing/gateway/a.jsonl", rows)
    command = [sys.executable, "-c", "from pipelines.cli.main import main; main()", "run"]
    with subprocess.Popen(
        [*command, "--project", str(fresh.folder)], stderr=subprocess.PIPE, stdout=subprocess.PIPE
    ) as run:
        assert run.stderr is not None
        progress = next(line for line in run.stderr if b"raw/gateway" in line)
        run.send_signal(signal.SIGINT)
        rest = run.stderr.read().decode()

    assert progress
    assert run.returncode == 130
    told = [line for line in rest.splitlines() if line.strip() and not line.startswith("[")]
    assert told == ["Stopped. What was committed stays; the same command goes on from there."]
