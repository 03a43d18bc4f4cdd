"""Local files of a glob, by name."""

from pathlib import Path

from pipelines.sources.stored import StoredFile, stored_file, unreachable_file


def local_files(pattern: str, *, project: Path) -> list[StoredFile]:
    """Return the files of a glob (`**` crosses folders), relative patterns from the project folder.

    Folders are passed over. Pipes, sockets and links to nothing are in the list: whoever reads them is told why not.
    """
    if Path(pattern).is_absolute():
        anchor = Path(pattern).anchor
        found = Path(anchor).glob(str(Path(pattern).relative_to(anchor)))
    else:
        found = project.glob(pattern)
    return files_of(sorted(found), project=project)


def files_of(paths: list[Path], *, project: Path) -> list[StoredFile]:
    """Return those of some paths that are no folders."""
    files = []
    for path in paths:
        try:
            if not path.is_dir():
                files.append(stored_file(path, project=project))
        except FileNotFoundError as error:
            # One that went since it was listed is no file any more; a link to nothing is.
            if path.is_symlink():
                files.append(unreachable_file(path, error, project=project))
        except OSError as error:
            files.append(unreachable_file(path, error, project=project))
    return files
