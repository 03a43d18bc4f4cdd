"""Deliver a report as the settings say: into a folder, by e-mail, to a webhook; each once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from models.errors import ConfigurationError, NanodollarError
from models.schemas import table
from pipelines.deliveries import DeliverySettings
from pipelines.notify.email import send_email
from pipelines.notify.webhook import post
from pipelines.replacing import replace_file, replace_folder
from pipelines.reports.pages import render_period
from pipelines.reports.period import PeriodReport, summary_lines
from pipelines.warehouse.resource import Warehouse

_KEY = "delivery = ? AND way = ? AND report = ? AND period = ?"


@dataclass(frozen=True)
class Delivered:
    """What became of one delivery: its name and way, whether it is out, and the trouble with it."""

    name: str
    way: str
    is_out: bool
    trouble: str | None = None


def deliver(warehouse: Warehouse, report: PeriodReport, *, run_id: str) -> list[Delivered]:
    """Send a written report each way that the settings ask for, unless it has gone that way already.

    A way that fails is noted and may be tried again; one that a kill cut off while it was being sent is not, for it may
    have gone out.

    Args:
        warehouse: the project's lake; its reports folder holds the files of the report.
        report: the report.
        run_id: who sends.
    """
    return [
        _once(warehouse, report, settings.name, way, send, run_id)
        for settings in warehouse.project.settings.deliveries
        if report.kind in settings.reports
        for way, send in _ways(warehouse, report, settings)
    ]


def forget_deliveries(warehouse: Warehouse, report: PeriodReport, *, run_id: str) -> None:
    """Forget what became of a report, so that it goes out once more."""
    with warehouse.committing(run_id=run_id, job="deliver") as commit:
        commit.execute(
            "DELETE FROM ops.deliveries WHERE report = ? AND period = ?", [report.kind, report.stem]
        )


def _once(
    warehouse: Warehouse,
    report: PeriodReport,
    name: str,
    way: str,
    send: Callable[[], str | None],
    run_id: str,
) -> Delivered:
    key = [name, way, report.kind, report.stem]
    with warehouse.committing(run_id=run_id, job="deliver") as commit:
        # The claim is taken in the committing room, so that of two runs one sends.
        with warehouse.reading() as con:
            row = con.execute(f"SELECT state, attempt_count FROM ops.deliveries WHERE {_KEY}", key).fetchone()
        state, attempts = row or (None, 0)
        if state == "sent":
            return Delivered(name, way, is_out=True)
        if state == "sending":
            return Delivered(
                name, way, is_out=False,
                trouble="a run was cut off while it was sending and it may have gone out, so it is not sent again",
            )  # fmt: skip
        commit.execute(f"DELETE FROM ops.deliveries WHERE {_KEY}", key)
        fresh = dict(zip(("delivery", "way", "report", "period"), key, strict=True)) | {
            "state": "sending", "attempt_count": attempts + 1, "state_at": datetime.now(UTC), "run_id": run_id,
        }  # fmt: skip
        commit.append("ops.deliveries", table("ops.deliveries").frame([fresh]))
    try:
        note, outcome = send(), "sent"
    except (NanodollarError, OSError) as error:
        note, outcome = str(error), "failed"
    with warehouse.committing(run_id=run_id, job="deliver") as commit:
        commit.execute(
            f"UPDATE ops.deliveries SET state = ?, state_at = ?, note = ? WHERE {_KEY}",
            [outcome, datetime.now(UTC), note, *key],
        )
    return Delivered(name, way, is_out=outcome == "sent", trouble=note)


def _ways(
    warehouse: Warehouse, report: PeriodReport, settings: DeliverySettings
) -> Iterator[tuple[str, Callable[[], str | None]]]:
    project = warehouse.project
    files = [project.reports / report.kind / f"{report.stem}.{each}" for each in settings.formats]
    folder, email, webhook = settings.folder, settings.email, settings.webhook
    if folder is not None:
        yield "folder", lambda: _copy(files, project.folder / folder / report.kind)
    if email is not None:
        yield (
            "email",
            lambda: send_email(
                email,
                subject=f"{report.title}: {report.answer[0]}",
                text="\n".join(summary_lines(report)),
                html=render_period(report),
                attachments=dict(_attached(files)),
                message_id=f"nanodollar-{settings.name}-{report.kind}-{report.stem}",
            ),
        )
    if webhook is not None:
        yield "webhook", lambda: post(webhook, "\n".join(summary_lines(report)))


def _attached(files: list[Path]) -> Iterator[tuple[str, bytes]]:
    for file in files:
        if file.is_dir():
            yield from ((f"{file.stem}-{part.name}", part.read_bytes()) for part in sorted(file.iterdir()))
        else:
            yield file.name, file.read_bytes()


def _copy(files: list[Path], folder: Path) -> None:
    """Put files into a folder, each as a whole.

    Raises:
        ConfigurationError: the folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            target = folder / file.name
            if file.is_dir():
                replace_folder(target, {each.name: each.read_bytes() for each in sorted(file.iterdir())})
            else:
                replace_file(target, file.read_bytes())
    except OSError as error:
        raise ConfigurationError(
            f"The folder {folder} cannot be written ({error.strerror}); mend `folder` of the delivery."
        ) from error
