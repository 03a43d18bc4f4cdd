"""nanodollar policy: check the routing policy, and explain one request by it."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from pipelines.cli.main import Context

if TYPE_CHECKING:
    import duckdb
    import polars as pl

    from models.routing.explain import Choice
    from models.routing.judged import JudgedAttempts
    from pipelines.project import Project

_ATTEMPT = """
SELECT * FROM core.request_costs
WHERE (request_id = $name OR logical_request_id = $name) AND is_first_accrual ORDER BY started_at, source LIMIT 1
"""
_MISTAKE = """
SELECT kind, also_kinds, regret_usd, regret_low_usd, regret_high_usd, confidence_ratio, evidence
FROM mart.routing_mistakes WHERE source = $source AND request_id = $name AND started_at = $at
"""
_SHOWN = 15


@click.group(name="policy")
def command() -> None:
    """Check the routing policy, or explain one request by it."""


@command.command(name="check")
@click.pass_obj
def check(obj: Context) -> None:
    """Validate the policy and its quality scores; name what no price sheet knows."""
    from models.routing.explain import unknown_names
    from models.routing.offers import Market, offers
    from pipelines.steps.reference import reference_frames
    from pipelines.steps.routes import project_policy

    project, now = obj.project(), datetime.now(UTC)
    policy = project_policy(project, as_known_at=now)
    frames = reference_frames(project)
    market = Market(offers(frames["ref.token_prices"], frames["ref.models"], as_known_at=now))
    clauses = policy.clauses.filter(policy.clauses["policy_line"].is_not_null())
    if not project.policy_text():
        click.echo(
            f"{project.policy_path} does not exist: every attempt is judged by the default, the same model anywhere."
        )
        return
    click.echo(
        f"{project.policy_path} is valid: {clauses.height} clauses, {len(policy.quality)} quality scores."
    )
    warnings = unknown_names(
        policy,
        market,
        gpu_vendors=frames["ref.gpu_prices"].get_column("provider").unique().to_list(),
        chips=frames["ref.chips"].get_column("chip").to_list(),
    )
    for warning in warnings:
        click.echo(f"  {project.policy_path}, {warning}")


@command.command(name="explain")
@click.argument("request_id")
@click.pass_obj
def explain(obj: Context, request_id: str) -> None:
    """Show the clause of a request, what every other place would have cost it, and its verdict."""
    from models.errors import DataError
    from models.routing.explain import choices
    from pipelines.warehouse.connect import connect_read_only
    from pipelines.warehouse.resource import frame

    project = obj.project()
    with connect_read_only(project) as con:
        found = frame(con, _ATTEMPT, {"name": request_id})
        if found.is_empty():
            raise DataError(
                f"core.request_costs has no request {request_id!r}; look for it with "
                f'nanodollar sql "SELECT request_id FROM core.requests LIMIT 10".'
            )
        judged = _judged(con, project, found)
        _print_attempt(found.row(0, named=True), judged)
        _print_verdict(con, found.row(0, named=True))
    if judged.attempts.is_empty():
        return
    cost = judged.attempts.get_column("cost")[0]
    _print_choices(
        choices(judged, 0), None if cost is None else cost - judged.attempts.get_column("meters")[0]
    )


def _judged(con: "duckdb.DuckDBPyConnection", project: "Project", found: "pl.DataFrame") -> "JudgedAttempts":
    """Lay the policy over one attempt as the marts do."""
    from models.costs.weights import load_weights
    from models.routing.attempts import attempts_of
    from models.routing.judged import judge
    from models.routing.rules import Rules
    from pipelines.steps.base import Window
    from pipelines.steps.inputs import Inputs
    from pipelines.steps.routes import market_of, measured_latency, project_policy

    now = datetime.now(UTC)
    policy = project_policy(project, as_known_at=now)
    weights = load_weights(project.weights_text(), path=project.weights_path)
    on = found.get_column("accrued_on")[0]
    attempts = attempts_of(found.lazy(), policy.task_rules)
    inputs = Inputs(con, project)
    day = Window.of_days(on, on + timedelta(days=1), now=now, time_zone=project.time_zone)
    return judge(
        attempts.filter(attempts.get_column("status") == "ok"),
        rules=Rules(policy, market_of(inputs, day, weights=weights)),
        latency=measured_latency(inputs, day),
        days=(day.from_on, day.to_on),
    )


def _print_attempt(attempt: dict[str, Any], judged: "JudgedAttempts") -> None:
    from models.routing.explain import ruling_of

    place = f"{attempt['model']} at {attempt['provider']}" + (
        f" in {attempt['region']}" if attempt["region"] else ""
    )
    cost = "no price" if attempt["effective_usd"] is None else f"${attempt['effective_usd']}"
    click.echo(f"{attempt['request_id']} at {attempt['started_at']:%Y-%m-%d %H:%M:%S} UTC: {place}, {cost}")
    click.echo(
        f"  route {attempt['route']}, class {attempt['task_class'] or '(none)'}, tenant {attempt['tenant']}"
    )
    if judged.attempts.is_empty():
        click.echo(f"  ended in {attempt['status']}: it is not judged")
        return
    cell, ruling = ruling_of(judged, 0)
    if cell["is_guessed"]:
        click.echo(f"  class of work guessed: {cell['task_class']}")
    for clause in (ruling.clause, ruling.rights):
        if clause is not None:
            line = "" if clause["policy_line"] is None else f" (line {clause['policy_line']})"
            click.echo(f"  clause {clause['clause']}{line} of policy {clause['policy_version']}")
    for kind, breach in ruling.breaches.items():
        click.echo(f"  {kind}: {breach.evidence}")


def _print_verdict(con: "duckdb.DuckDBPyConnection", attempt: dict[str, Any]) -> None:
    key = {"source": attempt["source"], "name": attempt["request_id"], "at": attempt["started_at"]}
    row = con.execute(_MISTAKE, key).fetchone()
    if row is None:
        click.echo("  mart.routing_mistakes does not list it")
        return
    kind, also, regret, low, high, confidence, evidence = row
    more = f", also {', '.join(also)}" if also else ""
    money = (
        "no regret, as nothing eligible has a price"
        if regret is None
        else f"regret ${regret} (${low} to ${high})"
    )
    click.echo(f"  mart.routing_mistakes: {kind}{more}: {money}, confidence {confidence:.2f}: {evidence}")


def _print_choices(found: "list[Choice]", cost: int | None) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title="\nThe same work elsewhere", title_justify="left")
    for name, justify in (
        ("place", "left"),
        ("model", "left"),
        ("$", "right"),
        ("$ saved", "right"),
        ("eligible", "left"),
    ):
        table.add_column(name, justify="right" if justify == "right" else "left", overflow="fold")
    for choice in found[:_SHOWN]:
        place = choice.offer.provider + (f" {choice.region}" if choice.region else "")
        usd = "not all priced" if choice.picodollars is None else f"{choice.picodollars / 1e12:.9f}"
        saved = (
            "" if cost is None or choice.picodollars is None else f"{(cost - choice.picodollars) / 1e12:.9f}"
        )
        table.add_row(
            place, choice.offer.model, usd, saved, "yes" if choice.reason is None else f"no: {choice.reason}"
        )
    Console(width=140, highlight=False, color_system=None).print(table)
    if len(found) > _SHOWN:
        click.echo(f"  and {len(found) - _SHOWN} more")
