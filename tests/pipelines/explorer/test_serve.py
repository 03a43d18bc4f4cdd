"""nanodollar serve: it starts or says why not, shows a file that a run has replaced, and ends with a sentence."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from models.errors import DataError
from pipelines.explorer.published import PublishedFile
from pipelines.project import Project
from tests.pipelines.small import make_project, nanodollar


def test_it_serves_until_it_is_interrupted(company: Project) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = "from pipelines.cli.main import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", command, "--project", str(company.folder), "serve", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as server:
        assert server.stdout is not None
        assert f"http://127.0.0.1:{port}" in server.stdout.readline()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/spend?figure=parts&format=csv") as answer:
            assert answer.read().startswith(b"name,usd,share_ratio")
        busy = nanodollar(company, "serve", "--port", str(port))
        server.send_signal(signal.SIGINT)
        _, said = server.communicate()

    assert (busy.code, busy.err.count("\n")) == (2, 1)
    assert f"Port {port} on 127.0.0.1 is in use" in busy.err
    assert (server.returncode, said) == (130, "The explorer has stopped.\n")


def test_what_cannot_be_served_is_one_sentence(tmp_path: Path, company: Project) -> None:
    nothing = nanodollar(make_project(tmp_path), "serve")
    other = nanodollar(company, "serve", "--host", "0.0.0.0")

    assert nothing.code == 1
    assert "run `nanodollar run`" in nothing.err
    assert other.code == 2
    assert "An address that others reach needs a token" in other.err


def test_a_file_that_is_replaced_is_opened_again(company: Project, tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    shutil.copyfile(company.published, path)
    published = PublishedFile(path)
    before = published.opened()
    assert published.opened() is before

    shutil.copyfile(company.published, tmp_path / "draft")
    (tmp_path / "draft").replace(path)
    after = published.opened()

    assert after is not before
    for opened in (before, after):
        assert opened.answer("SELECT count(*) AS n FROM mart.spend_daily").item() > 0
    path.write_bytes(b"no database")
    with pytest.raises(DataError, match="cannot be read as a published warehouse"):
        published.opened()
