"""The units of systemd are read by systemd itself, and start commands that exist."""

import re
import shutil
import subprocess
from importlib.metadata import entry_points
from pathlib import Path

import pytest

UNITS = sorted(Path("deploy/systemd").glob("*.service"))


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_a_unit_is_valid_and_starts_a_command_that_is_installed(unit: Path) -> None:
    started = re.search(
        r"^ExecStart=/usr/bin/env \S+/bin/(\S+) (.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert started is not None
    assert started[1] in {script.name for script in entry_points(group="console_scripts")} | {"nanodollar"}
    if (systemd := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd is not installed here")
    judged = subprocess.run(
        [systemd, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    assert (judged.returncode, judged.stderr) == (0, "")
