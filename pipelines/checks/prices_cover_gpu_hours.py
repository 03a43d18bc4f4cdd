"""Every billed GPU-second has a rate; what has none is named, with an estimate and the line of a sheet to add."""

from decimal import Decimal

import duckdb

from models.costs.rates import UNKNOWN
from models.prices.remedies import written
from pipelines.checks.domain import Bound, DomainCheck, Outcome

_QUERY = """
SELECT provider, chip, region, commitment, model, min(pool_hour) AS from_at, sum(gpu_seconds) / 3600 AS gpu_hours,
  any_value(nearest_usd_per_gpu_hour) AS usd_per_gpu_hour, any_value(nearest_provider) AS offered_by,
  any_value(nearest_region) AS offered_region, any_value(nearest_commitment) AS offered_as, sum(estimated_usd) AS usd,
  provider IN (SELECT provider FROM ref.gpu_prices WHERE region IS NOT NULL) AS is_by_region
FROM ops.unpriced_gpu_hours WHERE pool_hour >= $start AND pool_hour < $end
GROUP BY provider, chip, region, commitment, model
ORDER BY gpu_hours DESC, provider, chip, region, commitment, model
"""


def _judge(con: duckdb.DuckDBPyConnection, start: Bound, end: Bound) -> Outcome:
    found = con.execute(_QUERY, {"start": start, "end": end})
    names = [column[0] for column in found.description or ()]
    cells = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    if not cells:
        return Outcome(is_passed=True, summary="Every billed GPU hour has a price.")
    hours = sum(Decimal(str(cell["gpu_hours"])) for cell in cells)
    known = [Decimal(str(cell["usd"])) for cell in cells if cell["usd"] is not None]
    about = f" (about ${sum(known):,.2f} at the nearest rates, in no sum)" if known else ""
    return Outcome(
        is_passed=False,
        failed_count=len(cells),
        failed_ids=[_cell(cell) for cell in cells],
        summary=f"{hours:,.1f} GPU hours have no price{about}; {_cure(cells[0])}",
    )


def _cure(cell: dict[str, object]) -> str:
    """Say what gives a pool its price: a line of a sheet, or first what nobody says of its replicas."""
    unknown = [
        name
        for name in ("provider", "region", "chip")
        if cell[name] == UNKNOWN and (name != "region" or cell["is_by_region"])
    ]
    if not unknown:
        return f"add to `rates:` of prices/gpu/{_line(cell)}"
    stated = ", ".join(f'{name} = {{ value = "..." }}' for name in unknown)
    return (
        f"no record says the {' or '.join(unknown)} of replicas: land their nodes too "
        f"(`kubectl get nodes,pods -A -o json`), or state it once in their source (columns = {{ {stated} }})"
    )


def _cell(cell: dict[str, object]) -> str:
    """Say what a pool lacks, what it costs about, and what cures it."""
    about = "no sheet has the chip"
    if cell["usd"] is not None:
        about = (
            f"about ${cell['usd']:,.2f} as {cell['offered_by']} bills {cell['offered_as']} in "
            f"{cell['offered_region'] or 'any region'}"
        )
    return f"{cell['gpu_hours']:,.1f} GPU hours, {about}; {_cure(cell)}"


def _line(cell: dict[str, object]) -> str:
    """Return the sheet and the line of YAML to paste; the rate is the nearest one that is known, to be mended."""
    rate = (
        "?" if cell["usd_per_gpu_hour"] is None else f"{cell['usd_per_gpu_hour']:.4f}".rstrip("0").rstrip(".")
    )
    series = ", ".join(
        f"{name}: {written(str(cell[name]))}"
        for name in ("chip", "region", "commitment", "model")
        if cell[name] and cell[name] != UNKNOWN
    )
    dated = f"usd_per_gpu_hour: {rate}, valid_from: {cell['from_at']:%Y-%m-%d}"
    return f"{cell['provider']}.yml: - {{{series}, {dated}}}"


CHECK = DomainCheck(
    name="prices_cover_gpu_hours",
    table="core.pool_hours",
    grain="hourly",
    description="no billed GPU hour is unpriced",
    judge=_judge,
)
