"""Every billed dollar and GPU-second of a pool-hour has an owner, and requests carry what serving cost."""

import duckdb

from models.schemas.vocabulary import POOL_PARTS
from pipelines.checks.domain import Bound, DomainCheck, Outcome

_USD = " + ".join(f"{part}_usd" for part in POOL_PARTS)
_SECONDS = " + ".join(f"{part}_gpu_seconds" for part in POOL_PARTS)
_QUERY = f"""
WITH allocated AS (
  SELECT provider, region, chip, deployment, accrued_hour AS pool_hour, accrued_on, sum(effective_usd) AS allocated_usd
  FROM core.request_costs
  WHERE cost_basis = 'gpu' AND effective_usd IS NOT NULL AND accrued_hour >= $start AND accrued_hour < $end
  GROUP BY ALL
),
pools AS (
  -- A purchase may cover a part of what a request works on, whose one row names the commitment that it began on.
  SELECT provider, region, chip, deployment, pool_hour, accrued_on, sum(serving_usd) AS serving_usd,
         bool_or((billed_usd IS DISTINCT FROM {_USD}) OR (billed_gpu_seconds IS DISTINCT FROM {_SECONDS})) AS is_uneven,
         bool_or(billed_usd IS NULL OR unpriced_gpu_seconds > 0) AS is_unpriced
  FROM core.pool_hours WHERE pool_hour >= $start AND pool_hour < $end GROUP BY ALL
)
SELECT concat_ws(' ', provider, region, chip, deployment, strftime(pool_hour, '%Y-%m-%dT%H:%MZ')),
       coalesce(is_uneven, true) OR (coalesce(serving_usd, 0) <> coalesce(allocated_usd, 0)) AS is_broken,
       coalesce(is_unpriced, false)
FROM pools FULL JOIN allocated USING (provider, region, chip, deployment, pool_hour, accrued_on)
ORDER BY is_broken DESC, 1
"""


def _judge(con: duckdb.DuckDBPyConnection, start: Bound, end: Bound) -> Outcome:
    rows = con.execute(_QUERY, {"start": start, "end": end}).fetchall()
    broken = [name for name, is_broken, _ in rows if is_broken]
    unseen = sum(is_unpriced for _, _, is_unpriced in rows)
    beside = (
        f" The dollars of {unseen} without a price, or with a gap in it, are not known." if unseen else ""
    )
    return Outcome(
        is_passed=not broken,
        failed_count=len(broken),
        failed_ids=broken,
        summary=(
            f"{len(broken)} of {len(rows)} pool-hours do not sum to their bill."
            if broken
            else f"All {len(rows)} pool-hours sum to their bill, and requests carry exactly what serving cost."
        )
        + beside,
    )


CHECK = DomainCheck(
    name="pool_is_conserved",
    table="core.pool_hours",
    grain="hourly",
    description="billed = serving + starting + idle + draining + failed + padding + unheld + unused, to the picodollar",
    judge=_judge,
)
