"""A mark beside the lake's files: which catalog wrote to them last. A copy of it that lags behind is refused.

Two copies of one catalog over one data path would each remove the files that only the other names. So each commit
leaves its snapshot in a small file under the data path, and a catalog that does not have that snapshot may not write.
"""

import hashlib
import json
import socket

import duckdb

from models.errors import DataError
from pipelines.project import Project
from pipelines.warehouse.claim import is_shared
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
    mark = {"snapshot": snapshot, "made_at_us": made_at, "by": by} | _key_mark(project)
    LakeFiles(project).write_note(NAME, json.dumps(mark).encode())


def _key_mark(project: Project) -> dict[str, str]:
    """Return what tells one key for hashing API keys from another, where machines with theirs may share a lake."""
    return {"hash_key": hashlib.sha256(project.hash_key()).hexdigest()[:16]} if is_shared(project) else {}


def refuse_a_copy(con: duckdb.DuckDBPyConnection, project: Project) -> None:
    """Refuse a catalog that does not have the snapshot of the last commit to the files under its data path.

    Raises:
        DataError: another copy of the catalog has written to them since, or a machine that hashes API keys otherwise.
    """
    try:
        mark = json.loads(LakeFiles(project).read_note(NAME) or b"{}")
        snapshot, made_at, by = mark["snapshot"], mark["made_at_us"], mark["by"]
    except (ValueError, KeyError, TypeError):
        return  # There is none yet, or nothing can be told from it.
    own = _key_mark(project).get("hash_key")
    if own is not None and mark.get("hash_key", own) != own:
        raise DataError(
            f"The project {project.folder} hashes API keys by another key than the one that wrote to this lake last "
            f"({by}), so that one caller would look like two: copy its file .hash_key. Nothing was committed."
        )
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
