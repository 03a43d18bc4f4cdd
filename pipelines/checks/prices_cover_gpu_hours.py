"""Every billed GPU-second has a rate; what has none is named, with an estimate and the line of a sheet to add."""

from decimal import Decimal

import duckdb

from pipelines.checks.domain import Bound, DomainCheck, Outcome

_QUERY = """
WITH missing AS (
  SELECT provider, chip, region, commitment, min(pool_hour) AS from_at,
    sum(coalesce(unpriced_gpu_seconds, billed_gpu_seconds)) / 3600 AS gpu_hours
  FROM core.pool_hours
  WHERE pool_hour >= $start AND pool_hour < $end
    AND (unpriced_gpu_seconds > 0 OR (unpriced_gpu_seconds IS NULL AND billed_usd IS NULL AND billed_gpu_seconds > 0))
  GROUP BY ALL
),
offers AS (
  SELECT m.provider, m.chip, m.region, m.commitment, p.usd_per_gpu_hour, p.region AS offered_region,
    p.provider AS offered_by, p.commitment AS offered_as,
    row_number() OVER (
      PARTITION BY m.provider, m.chip, m.region, m.commitment
      ORDER BY p.provider = m.provider DESC, p.commitment = m.commitment DESC, p.commitment = 'on_demand' DESC,
        -- The nearest region shares most of its name: us-east-1 with us-east-2 rather than with us-west-2.
        list_count([n FOR n IN range(1, 33) IF p.region[1:n] = m.region[1:n] AND length(m.region) >= n]) DESC,
        p.valid_from <= m.from_at DESC, abs(epoch(p.valid_from) - epoch(m.from_at)), p.price_id
    ) AS place
  FROM missing m JOIN ref.gpu_prices p ON p.chip = m.chip AND p.usd_per_gpu_hour > 0
)
SELECT m.*, o.usd_per_gpu_hour, o.offered_by, o.offered_region, o.offered_as, m.gpu_hours * o.usd_per_gpu_hour AS usd
FROM missing m
LEFT JOIN offers o ON o.place = 1 AND o.provider = m.provider AND o.chip = m.chip AND o.region = m.region
  AND o.commitment = m.commitment
ORDER BY gpu_hours DESC, m.provider, m.chip, m.region, m.commitment
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
        summary=f"{hours:,.1f} GPU hours have no price{about}; add to `rates:` of prices/gpu/{_line(cells[0])}",
    )


def _cell(cell: dict[str, object]) -> str:
    """Say what a pool lacks, what it costs about, and the line of a sheet that cures it."""
    about = "no sheet has the chip"
    if cell["usd"] is not None:
        about = (
            f"about ${cell['usd']:,.2f} as {cell['offered_by']} bills {cell['offered_as']} in "
            f"{cell['offered_region'] or 'any region'}"
        )
    return f"{cell['gpu_hours']:,.1f} GPU hours, {about}; prices/gpu/{_line(cell)}"


def _line(cell: dict[str, object]) -> str:
    """Return the sheet and the line of YAML to paste; the rate is the nearest one that is known, to be mended."""
    rate = (
        "?" if cell["usd_per_gpu_hour"] is None else f"{cell['usd_per_gpu_hour']:.4f}".rstrip("0").rstrip(".")
    )
    series = ", ".join(f"{name}: {cell[name]}" for name in ("chip", "region", "commitment"))
    dated = f"usd_per_gpu_hour: {rate}, valid_from: {cell['from_at']:%Y-%m-%d}"
    return f"{cell['provider']}.yml: - {{{series}, {dated}}}"


CHECK = DomainCheck(
    name="prices_cover_gpu_hours",
    table="core.pool_hours",
    grain="hourly",
    description="no billed GPU hour is unpriced",
    judge=_judge,
)
