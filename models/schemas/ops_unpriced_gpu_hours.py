import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import ACCRUED_ON, OPTIONAL_CHIP, REGION

TABLE = Table(
    schema="ops",
    name="unpriced_gpu_hours",
    grain="One row per pool-hour of which some GPU time has no rate, with the nearest rate that is known",
    columns=(
        Column(name="provider", dtype=pl.String, comment="Who rents the accelerators out"),
        REGION,
        OPTIONAL_CHIP,
        Column(name="deployment", dtype=pl.String, comment="Whose pool it is"),
        Column(name="commitment", dtype=pl.String, comment="Terms that no sheet has a rate for"),
        Column(
            name="model",
            dtype=pl.String,
            comment="Model whose units of provisioned throughput they are; else NULL",
        ),
        Column(name="pool_hour", dtype=pl.Datetime("us", "UTC"), comment="UTC hour"),
        ACCRUED_ON,
        Column(name="gpu_seconds", dtype=pl.Decimal(18, 6), comment="Billed accelerator time without a rate"),
        Column(
            name="nearest_usd_per_gpu_hour",
            dtype=pl.Decimal(38, 12),
            comment="A rate of the chip: of the same provider, then the same terms, then the nearest region; NULL: none",
        ),
        Column(name="nearest_provider", dtype=pl.String, comment="Whose rate that is"),
        Column(name="nearest_region", dtype=pl.String, comment="Where it holds; NULL: anywhere"),
        Column(name="nearest_commitment", dtype=pl.String, comment="Its terms"),
        Column(name="estimated_usd", dtype=USD, comment="What the time costs at that rate; in no sum"),
    ),
    key=("provider", "region", "chip", "deployment", "commitment", "pool_hour", "accrued_on"),
    select="""
WITH missing AS (
  SELECT provider, region, chip, deployment, commitment,
         -- A unit of provisioned throughput costs by its model.
         CASE WHEN chip = 'capacity_unit' THEN model END AS model, pool_hour, accrued_on,
         coalesce(unpriced_gpu_seconds, billed_gpu_seconds)::DECIMAL(18, 6) AS gpu_seconds
  FROM core.pool_hours
  WHERE unpriced_gpu_seconds > 0
    OR (unpriced_gpu_seconds IS NULL AND billed_usd IS NULL AND billed_gpu_seconds > 0)
),
series AS (
  SELECT provider, region, chip, commitment, model, min(pool_hour) AS from_at FROM missing GROUP BY ALL
),
nearest AS (
  SELECT s.provider, s.region, s.chip, s.commitment, s.model, p.usd_per_gpu_hour::DECIMAL(38, 12) AS usd_per_gpu_hour,
         p.provider AS nearest_provider, p.region AS nearest_region, p.commitment AS nearest_commitment
  FROM series s JOIN ref.gpu_prices p ON p.chip = s.chip AND p.usd_per_gpu_hour > 0
    -- A unit of provisioned throughput is another thing at each vendor.
    AND (s.chip <> 'capacity_unit' OR p.provider = s.provider)
    AND (p.model IS NULL OR lower(p.model) = lower(s.model))
  QUALIFY row_number() OVER (
    PARTITION BY s.provider, s.region, s.chip, s.commitment, s.model
    ORDER BY p.provider = s.provider DESC, p.commitment = s.commitment DESC, p.commitment = 'on_demand' DESC,
      -- The nearest region shares most of its name: us-east-1 with us-east-2 rather than with us-west-2.
      list_count([n FOR n IN range(1, 33) IF p.region[1:n] = s.region[1:n] AND length(s.region) >= n]) DESC,
      p.valid_from <= s.from_at DESC, abs(epoch(p.valid_from) - epoch(s.from_at)), p.price_id) = 1
)
SELECT m.*, n.usd_per_gpu_hour AS nearest_usd_per_gpu_hour, n.nearest_provider, n.nearest_region,
       n.nearest_commitment,
       (m.gpu_seconds::DOUBLE * n.usd_per_gpu_hour::DOUBLE / 3600)::DECIMAL(38, 12) AS estimated_usd
FROM missing m LEFT JOIN nearest n ON n.provider IS NOT DISTINCT FROM m.provider
  AND n.region IS NOT DISTINCT FROM m.region AND n.chip IS NOT DISTINCT FROM m.chip
  AND n.commitment IS NOT DISTINCT FROM m.commitment AND n.model IS NOT DISTINCT FROM m.model
""",
)
