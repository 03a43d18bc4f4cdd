"""A secret is planted in every setting; no command shows it, and no file of the project holds it, whatever fails."""

import gzip
import json
import os
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote

import pytest

from pipelines.masking import MaskedStream, mask, remember, remember_parts
from pipelines.project import Project
from pipelines.sources import http_api
from tests.pipelines.loopback import Silent, serving
from tests.pipelines.small import gateway_row, make_project, materialize, nanodollar, write_lines

CATALOG = "planted-catalog-Pa55"
DATABASE = "planted/database Pa55"
TOKEN = "planted-api-token"
HEADER = "planted-header-value"
PARAM = "planted-param-value"
PLAIN = "planted-plain-password"
HOOK = "planted-hook-path"
AWS_KEY = "PLANTEDAWSKEYID00000"
AWS_SECRET = "planted-aws-secret"
SECRETS = (CATALOG, DATABASE, TOKEN, HEADER, PARAM, PLAIN, HOOK, AWS_KEY, AWS_SECRET)

SOURCES = """
[[sources]]
name = "gateway"
kind = "litellm_spend_logs"
path = "landing/gateway/*.jsonl"
[[sources]]
name = "proxy"
kind = "litellm_spend_logs"
url = {{ env = "PLANTED_DATABASE" }}
allow_private_addresses = true
[[sources]]
name = "metering"
kind = "requests"
url = "{url}/calls?api_key={param}"
allow_private_addresses = true
[sources.api]
token = {{ env = "PLANTED_TOKEN" }}
headers = {{ x-api-key = {{ env = "PLANTED_HEADER" }} }}
params = {{ access_token = "{param}" }}
[[sources]]
name = "plain"
kind = "requests"
url = "http://someone:{plain}@127.0.0.1:9/calls"
allow_private_addresses = true
[[sources]]
name = "bucket"
kind = "requests"
path = "s3://archive/**/*.jsonl"
[notifications]
webhook = {{ env = "PLANTED_HOOK" }}
"""


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {
        "PLANTED_CATALOG": f"postgres:host=127.0.0.1 port=9 dbname=lake user=lake password={CATALOG}",
        "PLANTED_DATABASE": f"postgresql://proxy:{quote(DATABASE, safe='')}@127.0.0.1:9/litellm",
        "PLANTED_TOKEN": TOKEN,
        "PLANTED_HEADER": HEADER,
        "PLANTED_HOOK": f"http://127.0.0.1:9/services/{HOOK}",
        "AWS_ACCESS_KEY_ID": AWS_KEY,
        "AWS_SECRET_ACCESS_KEY": AWS_SECRET,
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def echo() -> Iterator[str]:
    """Yield the address of an API that answers with whatever it was sent."""

    class Handler(Silent, BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"error": f"{self.path} {dict(self.headers.items())}"}).encode()
            self.send_response(401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with serving(Handler) as url:
        yield url


def found_in(text: str) -> list[str]:
    spellings = {spelling: secret for secret in SECRETS for spelling in (secret, quote(secret, safe=""))}
    return [secret for spelling, secret in spellings.items() if spelling in text]


def found_in_files(project: Project) -> list[str]:
    found = []
    for path in project.folder.rglob("*"):
        if path.is_file() and path.name != "nanodollar.toml":
            content = path.read_bytes()
            content += gzip.decompress(content) if path.suffix == ".gz" else b""
            found += [f"{path}: {secret}" for secret in found_in(content.decode(errors="replace"))]
    return found


@pytest.mark.usefixtures("planted")
def test_a_catalog_that_cannot_be_reached_shows_no_password(tmp_path: Path) -> None:
    project = make_project(tmp_path, '[warehouse]\ncatalog = { env = "PLANTED_CATALOG" }\n')
    for arguments in (["run", "--debug"], ["sql", "SELECT 1"], ["close", "--list"]):
        outcome = nanodollar(project, *arguments)
        assert outcome.code == 1
        assert "catalog" in outcome.err
        assert found_in(outcome.out + outcome.err) == []

    # Dagster keeps the error of a step and all its causes in its own records.
    failed = materialize(project, "land")
    assert not failed.success
    records = b"".join(path.read_bytes() for path in project.dagster_home.rglob("*.db"))
    assert b"cannot be opened" in records
    assert found_in_files(project) == []


@pytest.mark.usefixtures("planted")
def test_sources_that_fail_show_no_secret(tmp_path: Path, echo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # That an API is asked five times, with growing pauses, is seen where APIs are tested.
    monkeypatch.setattr(http_api, "_ATTEMPTS", 2)
    settings = SOURCES.format(url=echo, param=PARAM, plain=PLAIN)
    project = make_project(tmp_path, "[warehouse]\nstart_on = 2026-11-01\n" + settings)
    write_lines(tmp_path / "landing/gateway/a.jsonl", [gateway_row("r1", "2026-11-02 09:10:00")])

    for arguments in (["run"], ["run", "--source", "metering"]):
        outcome = nanodollar(project, *arguments)
        assert outcome.code == 1
        assert found_in(outcome.out + outcome.err) == []
    assert not materialize(project, "land").success
    records = b"".join(path.read_bytes() for path in project.dagster_home.rglob("*.db"))
    for said in (
        b"PostgreSQL cannot be read",
        b"refuses the token",
        b"cannot be listed",
        b"cannot be read (no connection",
    ):
        assert said in records

    before = {*project.folder.rglob("*.parquet")}
    assert nanodollar(project, "run", "--source", "gateway").code == 0
    # What it wrote is its user's alone; folders that were made above with this process's own mask are closed since.
    made = [project.folder / name for name in (".dagster", "warehouse", "reports", ".hash_key")]
    made += [
        *({*project.folder.rglob("*.parquet")} - before),
        project.published,
        *project.reports.rglob("*.html"),
    ]
    assert len(made) > 10
    assert [path for path in made if path.stat().st_mode & 0o077] == []
    for query in (f"SELECT '{TOKEN}' AS x", "FROM duckdb_secrets()", "FROM ops.landed_files"):
        for form in ("table", "csv", "json"):
            asked = nanodollar(project, "sql", query, "--format", form)
            assert found_in(asked.out + asked.err) == []
    assert found_in_files(project) == []


def test_every_spelling_of_a_secret_is_masked() -> None:
    remember("p@ss/word one")
    remember('quo"ted\\value')
    remember("https://hooks.example.com/services/T000/B000/X?sig=abcdefgh")
    remember_parts("postgres:host=db user=u password='quoted one' dbname=x")
    for text, shown in (
        ("p@ss/word one", "***"),
        ("postgres://u:p%40ss%2Fword%20one@db/x", "postgres://u:***@db/x"),
        ("postgres://somebody:never-told@db/x?a=1", "postgres://somebody:***@db/x?a=1"),
        (json.dumps({"a": 'quo"ted\\value'}), '{"a": "***"}'),
        (
            "POST https://hooks.example.com/services/T000/B000/X?sig=abcdefgh",
            "POST https://hooks.example.com/***",
        ),
        ('connect("host=db password=told")', 'connect("host=db password=***")'),
        ("the quoted one is", "the *** is"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        (
            "https://api.example.com/v1?page=2, a price of 3:4@5",
            "https://api.example.com/v1?page=2, a price of 3:4@5",
        ),
    ):
        assert mask(text) == shown


def test_a_masked_stream_masks_what_is_written(tmp_path: Path) -> None:
    remember("planted-in-a-stream")
    with (tmp_path / "out").open("w", encoding="utf-8") as file:
        stream = MaskedStream(file)
        stream.writelines(["a planted-in-a-stream b", os.linesep])
        assert not stream.isatty()
    assert (tmp_path / "out").read_text(encoding="utf-8") == "a *** b\n"
