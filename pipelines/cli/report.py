"""nanodollar report: write a report by hand that the schedules write by themselves."""

import uuid
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import click

from pipelines.cli.dates import DAY
from pipelines.cli.main import Context

if TYPE_CHECKING:
    from pipelines.reports.period import Kind
    from pipelines.reports.write import Format

_NEWEST = """
SELECT greatest((SELECT max(accrued_on) FROM mart.cost_per_token_daily), CASE WHEN $of_month THEN
    (SELECT max(booked_on) FROM mart.accruals_monthly) END),
  count(*), CAST(coalesce(sum(quarantined_count), 0) AS BIGINT)
FROM ops.landed_files
"""
_FORMATS = ("html", "pdf", "xlsx", "csv")


class _Formats(click.ParamType[tuple[str, ...]]):
    """One format or several, split by commas."""

    name = "html,pdf,xlsx,csv"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        words = tuple(word.strip() for word in str(value).split(","))
        for word in words:
            if word not in _FORMATS:
                self.fail(
                    f"{word!r} is no format of a report; write one or more of {', '.join(_FORMATS)}.",
                    param,
                    ctx,
                )
        return words


def _options(function: Callable[..., None]) -> Callable[..., None]:
    on = click.option(
        "--date",
        "on",
        type=DAY,
        help="A business day in it; by default the latest with rows.",
    )
    formats = click.option(
        "--format",
        "formats",
        type=_Formats(),
        default="html",
        show_default=True,
        help="Split several by commas.",
    )
    sends = click.option(
        "--deliver",
        "is_delivered",
        is_flag=True,
        help="Send it as the settings say, each way that it has not gone.",
    )
    again = click.option(
        "--again", "is_again", is_flag=True, help="With --deliver: also where it has gone already."
    )
    return on(formats(sends(again(click.pass_obj(function)))))


@click.group(name="report")
def command() -> None:
    """Write a report."""


@command.command(name="daily")
@_options
def daily(
    obj: Context, on: datetime | None, formats: tuple["Format", ...], is_delivered: bool, is_again: bool
) -> None:
    """Write the report of one business day."""
    _write(obj, "daily", on, formats, is_delivered=is_delivered, is_again=is_again)


@command.command(name="weekly")
@_options
def weekly(
    obj: Context, on: datetime | None, formats: tuple["Format", ...], is_delivered: bool, is_again: bool
) -> None:
    """Write the report of the week, Monday to Sunday, that holds a business day."""
    _write(obj, "weekly", on, formats, is_delivered=is_delivered, is_again=is_again)


@command.command(name="month-close")
@_options
def month_close(
    obj: Context, on: datetime | None, formats: tuple["Format", ...], is_delivered: bool, is_again: bool
) -> None:
    """Write the report of the month that holds a business day; `nanodollar close` writes what is handed over."""
    _write(obj, "month-close", on, formats, is_delivered=is_delivered, is_again=is_again)


def _write(
    obj: Context,
    kind: "Kind",
    on: datetime | None,
    formats: tuple["Format", ...],
    *,
    is_delivered: bool,
    is_again: bool,
) -> None:
    from models.errors import DataError
    from pipelines.assets.reports import write_daily
    from pipelines.reports.deliver import deliver, forget_deliveries
    from pipelines.reports.wording import plural
    from pipelines.reports.write import FORMATS, read_report, write_report
    from pipelines.warehouse.resource import Warehouse

    warehouse = Warehouse(obj.project())
    day = on.date() if on else None
    if day is None:
        with warehouse.reading() as con:
            ((day, file_count, refused_count),) = con.execute(
                _NEWEST, {"of_month": kind == "month-close"}
            ).fetchall()
        if day is None:
            read = (
                "no file was read; see the paths of [[sources]] in nanodollar.toml, then run `nanodollar run`"
                if not file_count
                else f"of {plural(file_count, 'file')} read no record is an attempt or an hour of a GPU"
                + (f", and {plural(refused_count, 'record')} could not be used" if refused_count else "")
                + "; `nanodollar quarantine list` and ops.source_files say what became of them"
            )
            raise DataError(f"There is no day to report on: {read}.")
    if is_again and not is_delivered:
        raise click.UsageError("--again says that --deliver sends once more; write both.")
    report = read_report(warehouse, kind, day)
    formats = FORMATS if is_delivered else formats
    paths = write_daily(warehouse, [day]) if kind == "daily" and "html" in formats else []
    for path in [*paths, *write_report(warehouse, report, formats)]:
        click.echo(f"Wrote {path}")
    if not is_delivered:
        return
    run_id = str(uuid.uuid4())
    if is_again:
        forget_deliveries(warehouse, report, run_id=run_id)
    results = deliver(warehouse, report, run_id=run_id)
    for one in results:
        click.echo(
            f"{one.name} by {one.way}: {'out' if one.is_out else 'not out'}{f'; {one.trouble}' if one.trouble else ''}"
        )
    if not results:
        raise DataError(f"No [[deliveries]] of nanodollar.toml asks for {kind} reports; add one.")
    if not all(one.is_out for one in results):
        raise DataError(f"The {kind} report of {report.stem} did not go out everywhere.")
