"""Two machines on one lake: `python -m benchmarks machines [MINUTES]`; exit 1 where something is lost, doubled or torn.

Each is a project folder of its own; the catalog is in PostgreSQL and the files are in a store. First both run
`nanodollar run` over the same logs at once, then each has two processes that write and maintain and one that reads.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import boto3

from benchmarks.readers import readers
from pipelines.project import find_project
from pipelines.warehouse.resource import Warehouse
from tests.content_hashes import content_hashes
from tests.pipelines.servers import AWS, postgres_server, s3_server
from tests.pipelines.small import HOUSE_SHEET, SETTINGS, write_company

_SHARED = """\
[warehouse]
catalog = { env = "NANODOLLAR_CATALOG" }
data_path = "s3://lake/house"
"""
_COMMAND = [sys.executable, "-c", "from pipelines.cli.main import main; main()", "--project"]


def runs_at_once(folders: list[Path], alone: Path) -> Iterator[str]:
    """Yield what two runs over the same logs at once make otherwise than one machine alone."""
    for at_work in ([alone], folders):
        runs = [subprocess.Popen([*_COMMAND, str(one), "run"], stdout=subprocess.DEVNULL) for one in at_work]
        yield from (f"a run ended with {run.returncode}" for run in runs if run.wait())
    whole = {*content_hashes(alone)}
    for folder in folders:
        differing = whole ^ {*content_hashes(folder)}
        if differing:
            yield f"{folder.name} differs from one machine alone in {sorted(differing)}"
    print(f"machines: runs at once make {len(whole)} partitions as one machine alone", flush=True)


def main(minutes: int = 5) -> None:
    """Let two machines work for some minutes; raise SystemExit(1) where something was wrong."""
    with (
        tempfile.TemporaryDirectory(prefix="machines-") as name,
        s3_server() as store,
        postgres_server(Path(name) / "postgres", Path(name)) as catalog,
    ):
        os.environ.update({"AWS_ENDPOINT_URL": store, "NANODOLLAR_CATALOG": f"postgres:{catalog}"} | AWS)
        boto3.resource("s3", endpoint_url=store, region_name="us-east-1").create_bucket(Bucket="lake")
        alone = write_company(Path(name) / "alone")
        sheet = alone.folder / "prices/tokens/house.yml"
        sheet.parent.mkdir(parents=True)
        sheet.write_text(HOUSE_SHEET.format(rate=10), encoding="utf-8")
        alone.hash_key()
        folders = [shutil.copytree(alone.folder, Path(name) / machine) for machine in ("first", "second")]
        for folder in folders:
            shared = SETTINGS.replace("[warehouse]\n", _SHARED)
            (folder / "nanodollar.toml").write_text(shared, encoding="utf-8")
        found = list(runs_at_once(folders, alone.folder))
        with Warehouse(find_project(folders[0])).committing(run_id="empty", job="facts") as commit:
            commit.execute("DELETE FROM core.requests")
            commit.execute("DELETE FROM ops.partitions WHERE table_name = 'core.requests'")
        found += readers(folders, seconds=60.0 * minutes, writing=2, reading=1)
    for line in found:
        print(f"FAILED: {line}")
    print(f"machines: two for {minutes} minutes, {len(found)} faults", flush=True)
    raise SystemExit(bool(found))
