"""The rows of some tenants or teams, or of one user, as a published file of their own: what others have is not in it.

So no page, download or query of such an audience can show it, whatever it asks.
"""

import re
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import duckdb

from models.marts import macros_sql, mart_sql
from models.schemas import tables
from pipelines.explorer.audience import Audience
from pipelines.explorer.published import OpenedVersion, PublishedFile, open_published
from pipelines.quoting import sql_text
from pipelines.warehouse.connect import SCHEMAS, memory_connection

OWN_TABLES = (
    "core.adjustments", "core.other_charges", "core.request_costs", "core.requests", "mart.chargeback_monthly",
    "mart.cost_per_meter_daily", "mart.cost_per_outcome", "mart.cost_per_session", "mart.cost_per_token_daily",
    "mart.cost_per_token_hourly", "mart.routing_mistakes", "mart.spend_daily",
)  # fmt: skip
"""Tables whose rows belong to one tenant and team and tell nothing of others. A new table is shown once it is named."""
_DETAIL_DAYS = 7
_PERSONAL_TABLES = ("core.requests", "core.request_costs", "mart.cost_per_session", "mart.spend_daily")
"""Tables of a person: the attempts that name the user, and what is computed of these alone."""
_PERSONAL_DAYS = 31
_LONGEST_ATTEMPT = timedelta(days=2)
_KEPT_FILES = 60
_TABLE_NAME = re.compile(rf"\b(?:{'|'.join(SCHEMAS)})\.\w+")
_SHARED = {
    "ref.token_prices": "SELECT * FROM published.ref.token_prices WHERE layer = 'list'",
    "ref.models": "SELECT * FROM published.ref.models",
    "ref.chips": "SELECT * FROM published.ref.chips",
    "ops.closed_periods": "SELECT * REPLACE (NULL AS closed_by, NULL AS reopened_by, NULL AS reopen_reason) "
    "FROM published.ops.closed_periods",
}
"""What everybody may read: list prices, names of models and chips, which months are closed. No contract, no person."""


def tables_of(audience: Audience) -> frozenset[str]:
    """Return the tables of which an audience with row rules is given rows; the others are empty in its file."""
    if audience.is_person:
        return frozenset({*_PERSONAL_TABLES, *_SHARED})
    rules = {name for name, _ in _rules(audience)}
    return frozenset(name for name in OWN_TABLES if rules <= {*tables()[name].column_names}) | {*_SHARED}


def unseen_tables(audience: Audience, sql: str) -> list[str]:
    """Return the tables of a query whose rows an audience is not given."""
    if not audience.has_rules:
        return []
    return sorted(({*_TABLE_NAME.findall(sql)} & {*tables()}) - tables_of(audience))


@dataclass
class _Made:
    """The file of an audience, the version of the whole that it was made of, and who makes it now."""

    path: Path
    lock: threading.Lock = field(default_factory=threading.Lock)
    whole: OpenedVersion | None = None
    own: OpenedVersion | None = None


class OwnRows:
    """The files of audiences that see some rows, made when they first ask and when a run has published.

    Args:
        published: the file of all.
    """

    def __init__(self, published: PublishedFile) -> None:
        self._published = published
        self._folder = Path(tempfile.mkdtemp(prefix="nanodollar-explorer-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._lock = threading.Lock()
        self._made: OrderedDict[Audience, _Made] = OrderedDict()
        self._number = 0

    def opened(self, audience: Audience) -> OpenedVersion:
        """Return what an audience may read, whole."""
        whole = self._published.opened()
        if not audience.has_rules:
            return whole
        made = self._place(audience)
        with made.lock:
            if made.own is None or made.whole is not whole:
                made.path.unlink(missing_ok=True)
                write_own_rows(whole.path, made.path, audience, last_on=whole.last_on)
                made.whole, made.own = whole, open_published(made.path)
            return made.own

    def _place(self, audience: Audience) -> _Made:
        """Return where an audience's file is kept; of many, the file that was asked for longest ago makes room."""
        with self._lock:
            found = self._made.get(audience)
            if found is None:
                self._number += 1
                found = self._made[audience] = _Made(self._folder / f"{self._number}.duckdb")
                if len(self._made) > _KEPT_FILES:
                    _, oldest = self._made.popitem(last=False)
                    oldest.path.unlink(missing_ok=True)
            self._made.move_to_end(audience)
            return found


def write_own_rows(whole: Path, path: Path, audience: Audience, *, last_on: date | None) -> None:
    """Write the rows of an audience into a new file that has every table; single requests of the last days only."""
    days = _PERSONAL_DAYS if audience.is_person else _DETAIL_DAYS
    since = date.min if last_on is None else last_on - timedelta(days=days - 1)
    with memory_connection() as con:
        con.execute(f"ATTACH {sql_text(whole)} AS published (READ_ONLY)")
        ((snapshot,),) = con.execute("SELECT published.lake_snapshot()").fetchall()
        con.execute(f"ATTACH {sql_text(path)} AS own")
        con.execute("USE own")
        for schema in SCHEMAS:
            con.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for table in sorted(tables().values(), key=lambda one: (one.select is not None, one.dotted)):
            for statement in table.ddl():
                con.execute(statement)
        for name, shared in _SHARED.items():
            con.execute(f"INSERT INTO own.{name} BY NAME {shared}")
        if audience.is_person:
            _fill_of_user(con, audience, since, last_on or since)
        else:
            for name in tables_of(audience) - {*_SHARED}:
                _fill(con, name, audience, since)
        for statement in macros_sql():
            con.execute(statement)
        con.execute(f"CREATE OR REPLACE MACRO lake_snapshot() AS {sql_text(snapshot)}")
        con.execute("USE memory")
        con.execute("DETACH own")


def _rules(audience: Audience) -> list[tuple[str, str]]:
    """Return the columns by which rows are chosen, each with its condition."""
    if audience.is_person and not audience.user_ids:
        return [("user_id", "false")]
    chosen = {"tenant": audience.tenants, "team": audience.teams, "user_id": audience.user_ids}
    return [
        (name, f"{name} IN ({', '.join(map(sql_text, values))})") for name, values in chosen.items() if values
    ]


def _fill(con: duckdb.DuckDBPyConnection, name: str, audience: Audience, since: date) -> None:
    conditions = [condition for _, condition in _rules(audience)]
    if name == "core.request_costs":
        conditions.append(f"accrued_on >= DATE '{since}'")
    if name == "core.requests":
        conditions.append(_started_since(since))
    con.execute(f"INSERT INTO own.{name} BY NAME FROM published.{name} WHERE {' AND '.join(conditions)}")


def _started_since(since: date) -> str:
    return f"started_at >= TIMESTAMPTZ '{since} 00:00:00+00' - INTERVAL {_LONGEST_ATTEMPT.days} DAY"


def _fill_of_user(con: duckdb.DuckDBPyConnection, audience: Audience, since: date, last: date) -> None:
    """Write the attempts of a user, and the tables that are computed of attempts alone, of these."""
    conditions = [*(condition for _, condition in _rules(audience)), _started_since(since)]
    con.execute(
        f"INSERT INTO own.core.requests BY NAME FROM published.core.requests WHERE {' AND '.join(conditions)}"
    )
    con.execute(
        "INSERT INTO own.core.request_costs BY NAME SELECT * FROM published.core.request_costs "
        "SEMI JOIN own.core.requests USING (source, request_id, started_at) "
        f"WHERE accrued_on >= DATE '{since}'"
    )
    days = {"from_on": since, "to_on": last + timedelta(days=1)}
    midnight = datetime.combine(since, time(), UTC)
    started = {"early": midnight - _LONGEST_ATTEMPT, "late": midnight + timedelta(days=_PERSONAL_DAYS + 2)}
    con.execute(f"INSERT INTO own.mart.spend_daily BY NAME (\n{mart_sql('spend_daily')}\n)", days)
    con.execute(
        f"INSERT INTO own.mart.cost_per_session BY NAME (\n{mart_sql('cost_per_session')}\n)", days | started
    )
