"""Options that take a day."""

from datetime import datetime

import click


class Day(click.ParamType[datetime]):
    """A date as 2026-11-02, which becomes its midnight."""

    name = "date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read a date, or say how one is written."""
        if isinstance(value, datetime):
            return value
        try:
            return datetime.strptime(str(value).strip(), "%Y-%m-%d")  # noqa: DTZ007  a day has no zone
        except ValueError:
            self.fail(f"{value!r} is no date; write it like 2026-11-02", param, ctx)


DAY = Day()
