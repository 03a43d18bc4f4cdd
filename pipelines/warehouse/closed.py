"""The closed months, as every room that writes facts asks for them."""

from datetime import date

import duckdb

from models.errors import ConfigurationError
from pipelines.project import Project


def closed_periods(con: duckdb.DuckDBPyConnection, project: Project) -> list[tuple[date, date]]:
    """Return the closed periods of business dates in order, each [from, to).

    Raises:
        ConfigurationError: one was closed by the days of another time zone than the project's.
    """
    rows = con.execute(
        "SELECT closed_from, closed_to, period, time_zone FROM ops.closed_periods "
        "WHERE reopened_at IS NULL ORDER BY 1"
    ).fetchall()
    for _, _, period, zone in rows:
        if zone != project.time_zone:
            raise ConfigurationError(
                f"[reporting] time_zone in {project.folder / 'nanodollar.toml'} is {project.time_zone}, but "
                f"{period} was closed by the days of {zone}; set it back."
            )
    return [(first, last) for first, last, _, _ in rows]
