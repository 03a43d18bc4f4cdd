"""A mark beside the lake's files: which catalog wrote to them last. A copy of it that lags behind is refused.

Two copies of one catalog over one data path would each remove the files that only the other names. So each commit
leaves its snapshot in a small file under the data path, and a catalog that does not have that snapshot may not write.
"""

import json
import socket

import duckdb

from models.errors import DataError
from pipelines.project import Project
from pipelines.warehouse.data_files import LakeFiles

NAME = ".nanodollar.catalog.json"
_METADATA = "__ducklake_metadata_nanodollar"
_OWN = f"""
SELECT epoch_us(snapshot_time::TIMESTAMPTZ), (SELECT max(snapshot_id) FROM {_METADATA}.ducklake_snapshot)
FROM {_METADATA}.ducklake_snapshot WHERE snapshot_id = ?
"""


def keep_mark(con: duckdb.DuckDBPyConnection, project: Project) -> None:
    """Leave the newest snapshot as that of the catalog that wrote last."""
    ((snapshot, made_at),) = con.execute(
        f"SELECT snapshot_id, epoch_us(snapshot_time::TIMESTAMPTZ) FROM {_METADATA}.ducklake_snapshot "
        "ORDER BY snapshot_id DESC LIMIT 1"
    ).fetchall()
    by = f"{socket.gethostname()}:{project.folder}"
    LakeFiles(project).write_note(
        NAME, json.dumps({"snapshot": snapshot, "made_at_us": made_at, "by": by}).encode()
    )


def refuse_a_copy(con: duckdb.DuckDBPyConnection, project: Project) -> None:
    """Refuse a catalog that does not have the snapshot of the last commit to the files under its data path.

    Raises:
        DataError: another copy of the catalog has written to them since.
    """
    try:
        mark = json.loads(LakeFiles(project).read_note(NAME) or b"{}")
        snapshot, made_at, by = mark["snapshot"], mark["made_at_us"], mark["by"]
    except (ValueError, KeyError, TypeError):
        return  # There is none yet, or nothing can be told from it.
    found = con.execute(_OWN, [snapshot]).fetchall()
    if found and found[0][0] == made_at:
        return
    ((newest,),) = con.execute("FROM nanodollar.current_snapshot()").fetchall()
    if not found and newest > snapshot:
        return  # It is expired.
    raise DataError(
        f"The files under {project.data_path} were last written by another copy of this catalog ({by}, snapshot "
        f"{snapshot}); this one ends at snapshot {newest} and would remove files of the other. Use that copy, or "
        f"`nanodollar restore` a backup into a folder of its own; if it is lost for good, remove "
        f"{project.data_path.rstrip('/')}/{NAME} and what only it knew lands again."
    )
