"""Projects that many tests read: each is built once for all workers of a test run."""

import fcntl
import os
import shutil
from pathlib import Path

import pytest

from pipelines.project import Project, find_project
from tests.pipelines.small import nanodollar, write_company


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small company after its first run. Tests read it; one that changes it takes `company_copy`."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "built_company"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            project = write_company(folder / "company")
            outcome = nanodollar(project, "run", "--data-docs")
            # A model without a price is more than 5 % of the tokens: a check fails, the run is done.
            assert outcome.code == 1, outcome.err
            assert "prices_cover_usage: 1 attempts" in outcome.out
            (folder / "done").touch()
    return find_project(folder / "company")


@pytest.fixture
def company_copy(company: Project, tmp_path: Path) -> Project:
    """The company's folder, to be changed by a test."""
    shutil.copytree(company.folder, tmp_path / "company")
    return find_project(tmp_path / "company")
