"""The rows of some tenants or teams as a published file of their own: what others have is not in it at all.

So no page, download or query of such an audience can show it, whatever it asks.
"""

import shutil
import tempfile
import threading
import weakref
from datetime import date, timedelta
from pathlib import Path

import duckdb

from models.marts import macros_sql
from models.schemas import tables
from models.schemas.base import Table
from pipelines.explorer.audience import Audience
from pipelines.explorer.published import Opened, Published, open_published
from pipelines.quoting import sql_text
from pipelines.warehouse.connect import SCHEMAS, memory_connection

OWN_TABLES = (
    "core.adjustments", "core.other_charges", "core.request_costs", "core.requests", "mart.chargeback_monthly",
    "mart.cost_per_meter_daily", "mart.cost_per_outcome", "mart.cost_per_session", "mart.cost_per_token_daily",
    "mart.cost_per_token_hourly", "mart.routing_mistakes", "mart.spend_daily",
)  # fmt: skip
"""Tables whose rows belong to one tenant and team and tell nothing of others. A new table is shown once it is named."""
_DETAIL_DAYS = 7
_SHARED = {
    "ref.token_prices": "SELECT * FROM published.ref.token_prices WHERE layer = 'list'",
    "ref.models": "SELECT * FROM published.ref.models",
    "ref.chips": "SELECT * FROM published.ref.chips",
    "ops.closed_periods": "SELECT * REPLACE (NULL AS closed_by, NULL AS reopened_by, NULL AS reopen_reason) "
    "FROM published.ops.closed_periods",
}
"""What everybody may read: list prices, names of models and chips, which months are closed. No contract, no person."""


class OwnRows:
    """The files of audiences that see some rows, made when they first ask and when a run has published.

    Args:
        published: the file of all.
    """

    def __init__(self, published: Published) -> None:
        self._published = published
        self._folder = Path(tempfile.mkdtemp(prefix="nanodollar-explorer-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self._lock = threading.Lock()
        self._made: dict[str, tuple[Opened, Opened]] = {}

    def opened(self, audience: Audience) -> Opened:
        """Return what an audience may read, whole."""
        whole = self._published.opened()
        if not audience.has_rules:
            return whole
        with self._lock:
            found = self._made.get(audience.name)
            if found is not None and found[0] is whole:
                return found[1]
            path = self._folder / f"{audience.name}.duckdb"
            path.unlink(missing_ok=True)
            write_own_rows(whole.path, path, audience, last_on=whole.last_on)
            own = open_published(path)
            self._made[audience.name] = (whole, own)
            return own


def write_own_rows(whole: Path, path: Path, audience: Audience, *, last_on: date | None) -> None:
    """Write the rows of an audience into a new file that has every table; single requests of the last days only."""
    since = date.min if last_on is None else last_on - timedelta(days=_DETAIL_DAYS - 1)
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
            if table.select is None:
                _fill(con, table, audience, since)
        for statement in macros_sql():
            con.execute(statement)
        con.execute(f"CREATE OR REPLACE MACRO lake_snapshot() AS {sql_text(snapshot)}")
        con.execute("USE memory")
        con.execute("DETACH own")


def _fill(con: duckdb.DuckDBPyConnection, table: Table, audience: Audience, since: date) -> None:
    shared = _SHARED.get(table.dotted)
    if shared is not None:
        con.execute(f"INSERT INTO own.{table.dotted} BY NAME {shared}")
        return
    rules = {
        name: values for name, values in (("tenant", audience.tenants), ("team", audience.teams)) if values
    }
    if table.dotted not in OWN_TABLES or not rules.keys() <= {*table.column_names}:
        return
    conditions = [f"{name} IN ({', '.join(map(sql_text, values))})" for name, values in rules.items()]
    if table.dotted == "core.request_costs":
        conditions.append(f"accrued_on >= DATE '{since}'")
    if table.dotted == "core.requests":
        conditions.append(f"started_at >= TIMESTAMPTZ '{since} 00:00:00+00' - INTERVAL 2 DAY")
    con.execute(
        f"INSERT INTO own.{table.dotted} BY NAME FROM published.{table.dotted} WHERE {' AND '.join(conditions)}"
    )
