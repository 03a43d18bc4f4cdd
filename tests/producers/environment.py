"""Environments of their own for producers whose requirements do not fit ours: built once per lock, in the cache."""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest


def producer_environment(name: str) -> Path:
    """Return the folder of the environment of tests/producers/<name>; the test is skipped where it cannot be built."""
    lock = Path(__file__).parent / name / "requirements.lock"
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nanodollar" / "producers"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{name}-{digest}"
    with (cache / f"{name}.lock").open("w") as handle:
        # Workers of one test run build it once.
        fcntl.flock(handle, fcntl.LOCK_EX)
        if not (folder / "complete").exists():
            _build(folder, lock)
    return folder


def _build(folder: Path, lock: Path) -> None:
    uv = Path(sys.executable).parent / "uv"
    install = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        folder / "bin" / "python",
        "--no-deps",
        "--require-hashes",
    ]
    try:
        for command in (
            [uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder],
            [*install, "-r", lock],
        ):
            subprocess.run([str(part) for part in command], check=True, capture_output=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, "stderr", None) or b""
        pytest.skip(
            f"{folder.name} cannot be built here: {told.decode(errors='replace').strip()[-300:] or error}"
        )
    (folder / "complete").touch()
