"""Every step from a log row to the dollars of a request, as attempts that have slices, which have lines."""

from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any

import duckdb

from models.prices.remedies import remedy
from pipelines.quoting import sql_text

_ATTEMPT = ("source", "request_id", "started_at")
_SLICE = ("accrued_hour", "accrued_on")
_ATTEMPT_FIELDS = (
    *_ATTEMPT, "logical_request_id", "attempt_no", "status", "provider", "region", "route", "requested_model",
    "routed_model", "served_model", "model", "service_tier", "tenant", "usage_source", "cost_basis", "price_state",
    "unpriced_reason", "estimated_usd", "saved_usd", "gateway_reported_usd",
)  # fmt: skip
_LOG_FIELDS = ("log_path", "log_line", "record_number", "file_hash")
_SLICE_FIELDS = (
    *_SLICE,
    "attempt_list_usd",
    "attempt_effective_usd",
    "is_provisional",
    "run_id",
    "loaded_at",
)
_POOL_FIELDS = (
    "chip", "deployment", "commitment", "usd_per_gpu_hour", "allocation_grain", "allocation_rule",
    "weights_from", "allocation_weight",
    "pool_serving_usd", "pool_billed_usd",
)  # fmt: skip
_LINE_FIELDS = (
    "meter", "quantity", "rule", "unit", "currency", "rate_per_mtok", "picodollars_per_unit", "is_rounded",
    "fx_usd_per_unit", "fx_on", "effective_usd", "price_id", "sheet_version", "sheet_path", "sheet_line", "valid_from",
    "known_from", "source_url",
)  # fmt: skip


def explanation_sql(request_id: str, days: tuple[date, date]) -> str:
    """Return the call that explains a request whose cost accrued in the business days [first, last)."""
    return f"explain_cost({sql_text(request_id)}, from_on := DATE '{days[0]}', to_on := DATE '{days[1]}')"


def days_of_request(
    con: duckdb.DuckDBPyConnection, request_id: str, days: tuple[date, date] | None = None
) -> tuple[date, date] | None:
    """Return the business days [first, last) in which a request's cost accrued; None where it is not known.

    To look for them costs the scan of two columns; to explain a request reads what it needs of these days alone.

    Args:
        con: a session in which the warehouse's schemas are the current ones.
        request_id: id of an attempt, or of a logical request.
        days: business days [first, last) to look in; None: all.
    """
    within = "" if days is None else f" AND accrued_on >= DATE '{days[0]}' AND accrued_on < DATE '{days[1]}'"
    named = " UNION ALL ".join(
        f"SELECT accrued_on FROM core.request_costs WHERE {column} = $request_id{within}"
        for column in ("request_id", "logical_request_id")
    )
    ((first, last),) = con.execute(
        f"SELECT min(accrued_on), max(accrued_on) + 1 FROM ({named})", {"request_id": request_id}
    ).fetchall()
    return None if first is None else (first, last)


def explained_attempts(
    con: duckdb.DuckDBPyConnection, request_id: str, days: tuple[date, date]
) -> list[dict[str, Any]]:
    """Return the attempts of a request in order.

    Args:
        con: a session in which the warehouse's schemas are the current ones.
        request_id: id of an attempt, or of the logical request whose attempts are all returned.
        days: business days [first, last) in which its cost accrued.
    """
    cursor = con.execute(f"FROM {explanation_sql(request_id, days)}")
    names = [column[0] for column in cursor.description or ()]
    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return [_attempt(con, list(group)) for _, group in groupby(rows, key=lambda row: _of(row, _ATTEMPT))]


def _of(row: dict[str, Any], names: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(row[name] for name in names)


def _attempt(con: duckdb.DuckDBPyConnection, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Nest the flat steps: an attempt has slices (an accrual each), a slice has lines."""
    first = rows[0]
    slices = []
    for _, group in groupby(rows, key=lambda row: _of(row, _SLICE)):
        steps = list(group)
        part = {name: steps[0][name] for name in _SLICE_FIELDS}
        if first["cost_basis"] == "gpu":
            part["pool"] = {name: steps[0][name] for name in _POOL_FIELDS}
        part["lines"] = [{name: step[name] for name in _LINE_FIELDS} for step in steps if step["meter"]]
        slices.append(part)
    costs = [part["attempt_effective_usd"] for part in slices]
    attempt = {name: first[name] for name in _ATTEMPT_FIELDS}
    attempt["effective_usd"] = None if None in costs else sum(costs, Decimal(0))
    attempt["log"] = {name: first[name] for name in _LOG_FIELDS}
    attempt["slices"] = slices
    attempt["remedy"] = _remedy(con, first, rows) if first["unpriced_reason"] else None
    return attempt


def _remedy(con: duckdb.DuckDBPyConnection, first: dict[str, Any], rows: list[dict[str, Any]]) -> str:
    offered = con.execute(
        "SELECT DISTINCT meter FROM ref.token_prices WHERE provider = ? AND model = ? "
        "AND picodollars_per_unit IS NOT NULL",
        [first["provider"], first["model"]],
    ).fetchall()
    names = con.execute(
        "SELECT DISTINCT alias FROM ref.models WHERE provider = ?", [first["provider"]]
    ).fetchall()
    return remedy(
        first["unpriced_reason"],
        provider=first["provider"],
        model=first["model"],
        tier=first["service_tier"],
        chip=first["chip"],
        used=[row["meter"] for row in rows if row["meter"]],
        offered=[meter for (meter,) in offered],
        names=[name for (name,) in names],
        started_at=first["started_at"],
    )
