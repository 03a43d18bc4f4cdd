"""Why a catalog cannot be opened, and what to do about it."""

from pipelines.project import Project

_DAMAGE = ("not a database", "malformed", "disk I/O error", "no such table", "invalid page")


def why_unreadable(text: str, project: Project) -> str:
    """Return the sentence for a catalog that could not be opened.

    Args:
        text: what DuckDB or SQLite said.
        project: whose catalog.
    """
    said, name = text.strip().splitlines()[0], f"The warehouse's catalog {project.catalog}"
    if "version" in text.lower() and "ducklake" in text.lower():
        # Its format is never migrated unasked.
        return (
            f"{name} has another format than DuckLake of this version reads ({said.partition('. To ')[0]}); it is not "
            f"migrated by itself. Use the nanodollar that wrote it. Nothing was changed."
        )
    damage = next((words for words in _DAMAGE if words in text), None)
    if damage is not None and project.catalog.startswith("sqlite:"):
        return (
            f"{name} is damaged ({damage}), and with it is lost which files belong to the lake and which months are "
            f"closed. Restore the newest backup into a new folder (`nanodollar restore`); without one, move the "
            f"catalog and {project.data_path} away, and `nanodollar run` lands and computes all again, with no month "
            f"closed."
        )
    return f"{name} cannot be opened ({said}); check [warehouse] catalog in {project.folder / 'nanodollar.toml'}."
