"""A backup stands up elsewhere with the same figures; damage of it, and a second copy of a catalog, are told."""

import shutil
from pathlib import Path

from pipelines.project import Project, find_project
from pipelines.warehouse.connect import Lake
from pipelines.warehouse.resource import Warehouse
from tests.content_hashes import content_hashes
from tests.pipelines.small import CLOSE_NOVEMBER, gateway_row, nanodollar, query, write_lines


def test_a_backup_is_incremental_and_restored_elsewhere_to_a_point_in_time(
    company_copy: Project, tmp_path: Path
) -> None:
    project, target = company_copy, str(tmp_path / "backups")
    with Lake(project).writing() as con:  # leaves a file that names the rows of another that are deleted
        con.execute("DELETE FROM core.pool_hours WHERE hour(pool_hour) = 10")
    with Warehouse(project).committing(run_id="close", job="close") as commit:
        commit.execute(
            "UPDATE ops.partitions SET row_count = 0, content_hash = 'empty' "
            "WHERE table_name = 'core.pool_hours' AND partition_key = '2026-11-02T10:00Z'"
        )
    first = nanodollar(project, "backup", target)
    assert first.code == 0, first.err
    then = content_hashes(project.folder)

    # A run that is at work meanwhile has commits of its own.
    with Warehouse(project).committing(run_id="later", job="facts") as commit:
        commit.execute(CLOSE_NOVEMBER)
        second = nanodollar(project, "backup", target)
        assert second.code == 0, second.err
    assert "0 objects were new" in second.out
    third = nanodollar(project, "backup", target)
    new = int(third.out.split("; ")[1].split()[0])
    assert 1 <= new <= 4  # the catalog, and what the commit wrote

    listed = nanodollar(project, "backup", target, "--list").out.splitlines()
    assert len(listed) == 3
    restored = nanodollar(None, "restore", target, str(tmp_path / "new"), "--at", listed[1].split()[0])
    assert restored.code == 0, restored.err
    assert "are as they were" in restored.out
    elsewhere = find_project(tmp_path / "new")
    assert content_hashes(elsewhere.folder) == then
    assert query(elsewhere, "SELECT count(*) FROM ops.closed_periods") == [(0,)]
    assert elsewhere.hash_key() == project.hash_key()
    assert (tmp_path / "new/nanodollar.toml").stat().st_mode & 0o077 == 0

    # It goes on there: a late call lands, and the rest stays as it is.
    write_lines(elsewhere.folder / "landing/gateway/late.jsonl", [gateway_row("late", "2026-11-02 09:20:00")])
    ran = nanodollar(elsewhere, "run")
    assert "Computed" in ran.out, ran.err
    assert "mended" not in ran.out

    newest = nanodollar(None, "restore", target, str(tmp_path / "newest"))
    assert newest.code == 0, newest.err
    assert query(find_project(tmp_path / "newest"), "SELECT period FROM ops.closed_periods") == [("2026-11",)]

    # Of a damaged backup nothing is restored, and what is damaged is named.
    objects = [file for file in (tmp_path / "backups/objects").rglob("*") if file.is_file()]
    held = max(objects, key=lambda file: file.stat().st_size)
    for content, told in ((None, "is missing; nothing was"), (b"other", "is damaged; nothing was restored")):
        held.write_bytes(content) if content else held.unlink()
        refused = nanodollar(None, "restore", target, str(tmp_path / "damaged"))
        assert refused.code == 1
        assert told in refused.err
        assert not (tmp_path / "damaged").exists()
    manifest = max((tmp_path / "backups/backups").iterdir())
    manifest.write_text(
        manifest.read_text(encoding="utf-8").replace("ops.runs", "ops.rums"), encoding="utf-8"
    )
    assert (
        "is damaged; restore an earlier one with --at."
        in nanodollar(None, "restore", target, str(tmp_path / "x")).err
    )
    # The next backup does not rest on what is damaged, and can be restored.
    (tmp_path / "backups/backups/notes.json").write_text("of somebody", encoding="utf-8")
    fourth = nanodollar(project, "backup", target, "--keep", "2")
    assert fourth.code == 0, fourth.err
    kept = nanodollar(project, "backup", target, "--list").out.splitlines()
    assert [line.split("  ")[1][:7] for line in kept] == ["snapsho", "damaged", "snapsho"]
    assert nanodollar(None, "restore", target, str(tmp_path / "fourth")).code == 0
    file = max((project.folder / "warehouse/data/core/pool_hours").glob("*.parquet"))
    file.write_bytes(file.read_bytes()[:100])
    for place in (target, str(tmp_path / "other")):  # where it was backed up whole, and where it is new
        refused = nanodollar(project, "backup", place)
        assert "so that nothing was backed up; `nanodollar doctor` says what to do." in refused.err, place
    full = nanodollar(None, "restore", target, str(project.folder), "--at", "2027-01-01")
    assert full.code in {1, 2}
    none = nanodollar(None, "restore", target, str(tmp_path / "x"), "--at", "2020-01-01")
    assert "There is no backup of 2020-01-01 00:00 UTC or before" in none.err


def test_a_copy_of_a_catalog_that_lags_behind_its_files_is_refused(
    company_copy: Project, tmp_path: Path
) -> None:
    catalog = company_copy.folder / "warehouse/catalog.sqlite"
    there = tmp_path / "there"
    there.mkdir()
    settings = (company_copy.folder / "nanodollar.toml").read_text(encoding="utf-8")
    own = f'[warehouse]\ncatalog = "sqlite:{there}/catalog.sqlite"\ndata_path = "{catalog.parent}/data"\n'
    (there / "nanodollar.toml").write_text(settings.replace("[warehouse]\n", own), encoding="utf-8")
    Lake(company_copy).close()
    shutil.copyfile(catalog, there / "catalog.sqlite")
    with Warehouse(company_copy).committing(run_id="more", job="more") as commit:
        commit.execute("DELETE FROM ops.progress")
    before = sorted((catalog.parent / "data").rglob("*.parquet"))

    for command in (["run"], ["maintain"]):
        refused = nanodollar(there, *command)
        assert refused.code == 1
        assert "were last written by another copy of this catalog (" in refused.err
        assert f"{company_copy.folder}, snapshot " in refused.err

    assert sorted((catalog.parent / "data").rglob("*.parquet")) == before
    with Warehouse(company_copy).committing(run_id="more", job="more") as commit:
        commit.execute("DELETE FROM ops.progress")
