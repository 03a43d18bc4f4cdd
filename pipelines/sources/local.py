"""Local files of a glob, oldest name first."""

from pathlib import Path


def local_files(pattern: str, *, project: Path) -> list[Path]:
    """Return the files of a glob (`**` crosses folders), relative patterns from the project folder."""
    if Path(pattern).is_absolute():
        anchor = Path(pattern).anchor
        found = Path(anchor).glob(str(Path(pattern).relative_to(anchor)))
    else:
        found = project.glob(pattern)
    return sorted(path for path in found if path.is_file())
