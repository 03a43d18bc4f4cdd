"""nanodollar explain: from a log row to dollars, step by step."""

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import click

from pipelines.cli.main import Context

_INVOICE_LINE = (
    "line", "charge_period_start", "charge_category", "charge_description", "model", "meter", "service_tier",
    "consumed_quantity", "consumed_unit", "billed_cost", "currency", "usd",
)  # fmt: skip
_CELL = (
    "charge_category", "provider", "model", "region", "service_tier", "meter", "invoiced_quantity", "ledger_quantity",
    "invoiced_usd", "ledger_usd", "difference_usd", "cause",
)  # fmt: skip
_LEDGER_ROW = (
    "day", "log_source", "tenant", "deployment", "model", "region", "service_tier", "meter", "quantity",
    "unpriced_quantity", "usd",
)  # fmt: skip
_RULES = {
    None: "by weight",  # A row of an older version does not say.
    "token_share": "by token_share (weighted tokens a second)",
    "equal_share": "by equal_share (every request in flight alike)",
    "kv_block_share": "by kv_block_share (blocks of the key-value cache x seconds)",
    "reserved_quota": "by reserved_quota (what its tenant reserved, within it by weighted tokens)",
}


@click.command(name="explain")
@click.argument("request_id", metavar="[REQUEST_ID|LINE]", required=False)
@click.option(
    "--invoice", metavar="ID", help="Open an invoice, or with LINE one of its lines, beside the ledger."
)
@click.option(
    "--format", "output_format", type=click.Choice(["table", "json"]), default="table", show_default=True
)
@click.pass_obj
def command(obj: Context, request_id: str | None, invoice: str | None, output_format: str) -> None:
    """Show how a request's dollars were made: log line, tokens, rule, price rows, sheet and run.

    REQUEST_ID is an attempt's id, or that of the logical request whose attempts are all shown. With --invoice ID an
    invoice is opened: its lines, and how they differ from the ledger; LINE shows the rows on both sides of a line. An
    invoice that has no id yet is named by issuer and month, such as "OpenAI 2026-10".
    """
    if invoice is not None:
        _explain_invoice(obj, invoice, request_id, output_format)
        return
    if request_id is None:
        raise click.UsageError("Name a request, or an invoice with --invoice ID.")
    from models.errors import DataError
    from pipelines.reports.explained import days_of_request, explained_attempts
    from pipelines.warehouse.connect import connect_read_only

    project = obj.project()
    with connect_read_only(project) as con:
        days = days_of_request(con, request_id)
        if days is None:
            raise DataError(
                f"No attempt or logical request {request_id!r} is in {project.folder}; look it up with "
                f'`nanodollar sql "SELECT request_id FROM core.request_costs LIMIT 5"`, or run `nanodollar run`.'
            )
        attempts = explained_attempts(con, request_id, days)
    if output_format == "json":
        click.echo(json.dumps({"request_id": request_id, "attempts": attempts}, indent=2, default=_plain))
        return
    for attempt in attempts:
        _show(attempt)
    if len(attempts) > 1:
        known = [attempt["effective_usd"] for attempt in attempts if attempt["effective_usd"] is not None]
        click.echo(
            f"{len(attempts)} attempts, {len(known)} with a price, together {_usd(sum(known, Decimal(0)))}"
        )


def _explain_invoice(obj: Context, name: str, line: str | None, output_format: str) -> None:
    from pipelines.reports.opened_invoice import opened_invoice
    from pipelines.steps.mart_invoice_reconciliation import ledger_sql
    from pipelines.warehouse.connect import connect_read_only

    if line is not None and not line.isdecimal():
        raise click.UsageError(f"{line!r} is no line of an invoice; lines are numbered from 1.")
    project = obj.project()
    with connect_read_only(project) as con:
        opened = opened_invoice(
            con, name, None if line is None else int(line), ledger=ledger_sql(project, is_daily=True)
        )
    if output_format == "json":
        click.echo(json.dumps(opened, indent=2, default=_plain))
        return
    for bill in opened["invoices"]:
        click.echo(
            f"Invoice {bill['invoice_id'] or '(not named yet)'} of {bill['invoice_issuer_name']}, from "
            f"{bill['billing_period_start']:%Y-%m-%d}: {bill['billed_cost'].normalize():f} {bill['billing_currency']} "
            f"in {bill['line_count']} lines, {bill['invoice_issue_status']}, delivery {bill['delivery_count']} of "
            f"source {bill['source']}"
        )
    if line is None:
        _show_rows("lines", opened["lines"], _INVOICE_LINE)
        _show_rows("against the ledger", opened["cells"], _CELL)
        return
    _show_rows("line", [opened["line"]], (*_INVOICE_LINE, "path", "line_number"))
    if opened["cell"] is None:
        click.echo(
            "  It is no usage: the ledger has no side of it; it is a fee, tax, credit or refund of the bill."
        )
        return
    _show_rows("the lines of its cell", opened["lines"], _INVOICE_LINE[1:])
    _show_rows("what the ledger holds of it", opened["ledger"], _LEDGER_ROW)
    _show_rows(
        "its dearest requests", opened["requests"], ("source", "request_id", "quantity", "effective_usd")
    )


def _show_rows(title: str, rows: list[dict[str, Any]], names: tuple[str, ...]) -> None:
    """Show rows as a table without the columns that are empty in all of them."""
    from rich.console import Console
    from rich.table import Table

    click.echo(f"  {title}: {len(rows)}")
    known = [name for name in names if any(row.get(name) is not None for row in rows)]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("")
    for name in known:
        is_number = any(isinstance(row.get(name), int | Decimal) for row in rows)
        table.add_column(name, justify="right" if is_number else "left")
    for row in rows:
        table.add_row("   ", *(_cell(row.get(name)) for name in known))
    Console(width=200, highlight=False, color_system=None).print(table)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    return f"{value.normalize():f}" if isinstance(value, Decimal) else str(value)


def _show(attempt: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=140, highlight=False, color_system=None)
    log = attempt["log"]
    click.echo(
        f"Attempt {attempt['request_id']} of {attempt['source']}, {attempt['started_at']:%Y-%m-%d %H:%M:%S} UTC"
    )
    click.echo(f"  log      {log['log_path'] or log['file_hash'] or '(not kept)'}, line {log['log_line']}")
    names = [attempt[name] or "-" for name in ("requested_model", "routed_model", "served_model")]
    click.echo(f"  model    {' -> '.join(names)} (asked, sent, served), priced as {attempt['model']}")
    place = [attempt[name] for name in ("provider", "region", "route", "tenant") if attempt[name]]
    click.echo(
        f"  where    {', '.join(place)}; tier {attempt['service_tier'] or 'default'}; {attempt['status']}"
    )
    click.echo(f"  usage    counted by {attempt['usage_source']}")
    for part in attempt["slices"]:
        click.echo(f"  accrued  {part['accrued_hour']:%Y-%m-%d %H:%M} UTC, business day {part['accrued_on']}")
        if "pool" in part:
            _show_pool(part)
        elif part["lines"]:
            table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
            for name in ("", "meter", "quantity", "USD per M", "picodollars", "USD", "rule", "sheet"):
                is_number = name in {"quantity", "USD per M", "picodollars", "USD"}
                table.add_column(name, justify="right" if is_number else "left", no_wrap=name != "rule")
            for line in part["lines"]:
                table.add_row("   ", *_line_cells(line))
            console.print(table)
            _show_sheets(part["lines"])
        if part["run_id"]:
            click.echo(f"  run      {part['run_id']}, loaded {part['loaded_at']:%Y-%m-%d %H:%M:%S} UTC")
    _show_outcome(attempt)


def _line_cells(line: dict[str, Any]) -> list[str]:
    rate = line["rate_per_mtok"]
    foreign = line["currency"] if line["fx_usd_per_unit"] else ""
    return [
        line["meter"],
        f"{line['quantity'].normalize():,f}",
        "-" if rate is None else f"{rate.normalize():f} {foreign}".strip(),
        "-" if line["picodollars_per_unit"] is None else f"{line['picodollars_per_unit']:,}",
        _usd(line["effective_usd"]),
        line["rule"] or "no price",
        f"{line['sheet_path']}:{line['sheet_line']}" if line["sheet_path"] else "-",
    ]


def _show_sheets(lines: list[dict[str, Any]]) -> None:
    seen = dict.fromkeys(line["price_id"] for line in lines if line["price_id"])
    by_id = {line["price_id"]: line for line in lines}
    for price_id in seen:
        line = by_id[price_id]
        click.echo(
            f"  price    {price_id}, valid from {line['valid_from']:%Y-%m-%d}, known from "
            f"{line['known_from']:%Y-%m-%d}, sheet version {line['sheet_version']}, {line['source_url']}"
        )
        if line["fx_usd_per_unit"]:
            click.echo(
                f"  rate     {line['fx_usd_per_unit'].normalize():f} USD per {line['currency']} of {line['fx_on']}"
            )


def _show_pool(part: dict[str, Any]) -> None:
    pool, weight = part["pool"], part["pool"]["allocation_weight"]
    rate = _usd(pool["usd_per_gpu_hour"])
    click.echo(
        f"  pool     {pool['deployment']} on {pool['chip']} ({pool['commitment']}), {rate} per GPU-hour"
    )
    click.echo(
        f"  pool-hour served {_usd(pool['pool_serving_usd'])} of {_usd(pool['pool_billed_usd'])} billed"
    )
    share, written = _usd(part["attempt_effective_usd"]), "-" if weight is None else f"{weight.normalize():f}"
    click.echo(
        f"  share    {share} {_RULES[pool['allocation_rule']]} at {pool['allocation_grain'] or 'no'} grain"
    )
    click.echo(f"  weight   {written}, weights of tokens: {pool['weights_from'] or 'not known'}")
    for line in part["lines"]:
        if line["sheet_path"]:
            click.echo(
                f"  price    {line['price_id']}, {line['sheet_path']}:{line['sheet_line']}, {line['source_url']}"
            )


def _show_outcome(attempt: dict[str, Any]) -> None:
    if attempt["price_state"] == "unpriced":
        click.echo(f"  cost     not priced: {attempt['unpriced_reason']}")
        click.echo(f"  to do    {attempt['remedy']}")
        if attempt["estimated_usd"] is not None:
            click.echo(
                f"  estimate {_usd(attempt['estimated_usd'])} at the nearest sibling's price; in no total"
            )
    else:
        click.echo(f"  cost     {_usd(attempt['effective_usd'])} ({attempt['price_state']})")
    if attempt["saved_usd"] is not None:
        click.echo(f"  saved    {_usd(attempt['saved_usd'])} by the gateway's own cache")
    if attempt["gateway_reported_usd"] is not None:
        click.echo(f"  gateway  booked {_usd(attempt['gateway_reported_usd'])} itself{_difference(attempt)}")
    click.echo()


def _difference(attempt: dict[str, Any]) -> str:
    """Say by how much a source's own figure differs from ours, beyond rounding (as the macro costs_differ has it)."""
    ours, reported = attempt["effective_usd"], attempt["gateway_reported_usd"]
    if ours is None or abs(reported - ours) <= max(Decimal("0.000005"), abs(ours) / 1000):
        return ""
    return f", {_usd(abs(reported - ours))} {'more' if reported > ours else 'less'} than ours"


def _usd(value: Decimal | None) -> str:
    return "unknown" if value is None else f"${value.normalize():f}"


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, datetime | date):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
