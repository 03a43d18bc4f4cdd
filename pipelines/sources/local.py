"""Local files of a glob, by name."""

from pathlib import Path

from pipelines.sources.stored import StoredFile, stored_file


def local_files(pattern: str, *, project: Path) -> list[StoredFile]:
    """Return the files of a glob (`**` crosses folders), relative patterns from the project folder."""
    if Path(pattern).is_absolute():
        anchor = Path(pattern).anchor
        found = Path(anchor).glob(str(Path(pattern).relative_to(anchor)))
    else:
        found = project.glob(pattern)
    return [stored_file(path, project=project) for path in sorted(found) if path.is_file()]
