"""A landing that is killed or runs out of disk loses nothing and books nothing twice: running again heals it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.errors import DataError
from pipelines.project import find_project
from pipelines.warehouse.resource import Warehouse
from tests.pipelines.landing.lake import call, count, files, lake, land_all, put, query
from tests.pipelines.small import nanodollar

KILL = "os.kill(os.getpid(), signal.SIGKILL)"
# Where the process is killed: after a part is written, after a batch is committed, and inside a transaction.
MOMENTS = {
    "a part is written": f"""
flush = parts.ParquetParts.flush
def killed(self):
    flush(self)
    if self.paths: {KILL}
parts.ParquetParts.flush = killed
""",
    "one of two batches is committed": f"""
batch._COMMIT_FILES = 1
commit_landing, seen = drive.commit_landing, []
def killed(*arguments, **options):
    if seen: {KILL}
    seen.append(1)
    commit_landing(*arguments, **options)
drive.commit_landing = killed
""",
    "parts are in the lake's folder and the transaction is open": f"""
def killed(self): {KILL}
apply = commit.Commit._apply
def killed(self):
    apply(self)
    {KILL}
commit.Commit._apply = killed
""",
}
SCRIPT = """
import os, signal, sys
from pathlib import Path
from pipelines.landing import batch, drive, parts
from pipelines.project import find_project
from pipelines.warehouse import commit
from pipelines.warehouse.resource import Warehouse
{moment}
warehouse = Warehouse(find_project(Path(sys.argv[1])))
drive.land(warehouse, warehouse.project.sources[0], run_id="killed")
"""


def two_files(folder: Path) -> Warehouse:
    warehouse = lake(folder)
    for name, first in (("a.jsonl", 1), ("b.jsonl", 20)):
        put(warehouse, name, "".join(f"{json.dumps(call(number))}\n" for number in range(first, first + 15)))
    return warehouse


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_landing_is_healed_by_the_next(tmp_path: Path, moment: str) -> None:
    warehouse = two_files(tmp_path)
    script = SCRIPT.format(moment=MOMENTS[moment])
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert killed.returncode == -9

    land_all(warehouse)
    land_all(warehouse)
    count(warehouse)

    assert sorted(files(warehouse)) == [("a.jsonl", 15, 15, 0, 0), ("b.jsonl", 15, 15, 0, 0)]
    assert query(warehouse, "SELECT count(*), count(DISTINCT request_id) FROM raw.requests") == [(30, 30)]
    assert query(warehouse, "SELECT count(*) FROM core.requests") == [(30,)]
    assert not (tmp_path / "warehouse" / "data" / "raw" / ".drafts").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A project whose lake lies on a disk of 64 kB."""
    lake(tmp_path)
    data = tmp_path / "warehouse" / "data"
    data.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(data)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root only")
    yield tmp_path
    subprocess.run(["umount", str(data)], check=True)


def test_a_full_disk_is_one_sentence_and_is_healed(small_disk: Path) -> None:
    warehouse = Warehouse(find_project(small_disk))
    calls = (call(number, route=f"{number * 7919:x}" * 40) for number in range(9000))
    put(warehouse, "a.jsonl", "".join(f"{json.dumps(row)}\n" for row in calls))

    with pytest.raises(
        DataError, match=r"The disk of .*data.* is full \(0 MB of 0.0 GB free\); free some: .* Then run again"
    ):
        land_all(warehouse)

    assert query(warehouse, "SELECT count(*) FROM ops.landed_files") == [(0,)]
    data = small_disk / "warehouse" / "data"
    # So are a backup to it, and what is restored on it.
    told = nanodollar(small_disk, "backup", str(data / "backups")).err
    assert f"The disk of {data}/backups is full; this backup does not count" in told
    shutil.rmtree(data / "backups")
    assert nanodollar(small_disk, "backup", str(small_disk / "backups")).code == 0
    told = nanodollar(None, "restore", str(small_disk / "backups"), str(data / "restored")).err
    assert f"The disk of {data}/restored is full; nothing was restored. The backup holds" in told
    assert not (data / "restored").exists()

    subprocess.run(["mount", "-o", "remount,size=30m", str(data)], check=True)
    land_all(warehouse)
    assert files(warehouse) == [("a.jsonl", 9000, 9000, 0, 0)]
    warehouse.lake.close()
