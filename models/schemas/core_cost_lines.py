import polars as pl

from models.money import ROW_USD
from models.schemas.base import INSTANT, Column, Table
from models.schemas.vocabulary import TOKEN_CLASSES

_STRUCTS = ", ".join(f"{{'meter': '{name}', 'quantity': {name}_tokens}}" for name in TOKEN_CLASSES)

TABLE = Table(
    schema="core",
    name="cost_lines",
    grain="One row per attempt x accrual x meter: quantity, price row and dollars; sums to core.request_costs",
    columns=(
        Column(name="source", dtype=pl.String, comment="Configured source of the attempt"),
        Column(name="request_id", dtype=pl.String, comment="Attempt"),
        Column(name="accrued_hour", dtype=INSTANT, comment="UTC hour in which the cost accrued"),
        Column(name="accrued_on", dtype=pl.Date, comment="Business date"),
        Column(name="provider", dtype=pl.String, comment="Who ran it"),
        Column(name="model", dtype=pl.String, comment="Model"),
        Column(
            name="meter",
            dtype=pl.String,
            comment="Token class; gpu for pool cost; meters for what is not tokens",
        ),
        Column(name="quantity", dtype=pl.Int64, comment="Tokens; NULL for gpu and meters"),
        Column(name="picodollars_per_unit", dtype=pl.Int64, comment="Booked rate"),
        Column(name="price_id", dtype=pl.String, comment="Price card"),
        Column(name="effective_usd", dtype=ROW_USD, comment="Dollars; NULL when unpriced"),
    ),
    key=("source", "request_id", "accrued_hour", "accrued_on", "meter"),
    select=f"""
WITH lines AS (
  SELECT source, request_id, accrued_hour, accrued_on, provider, model, price_id, price_state,
         unnest([{_STRUCTS}], recursive := true)
  FROM core.request_costs WHERE cost_basis = 'token'
)
SELECT l.source, l.request_id, l.accrued_hour, l.accrued_on, l.provider, l.model, l.meter, l.quantity,
       p.picodollars_per_unit, l.price_id,
       CASE l.price_state WHEN 'priced' THEN
         CAST(CAST(l.quantity AS HUGEINT) * p.picodollars_per_unit * 0.000000000001::DECIMAL(13,12) AS DECIMAL(18,12))
       WHEN 'free' THEN 0::DECIMAL(18,12) END AS effective_usd
FROM lines l LEFT JOIN ref.token_prices p ON p.price_id = l.price_id AND p.meter = l.meter
WHERE l.quantity > 0
UNION ALL
SELECT source, request_id, accrued_hour, accrued_on, provider, model, 'gpu', NULL, NULL, price_id, effective_usd
FROM core.request_costs WHERE cost_basis = 'gpu'
UNION ALL
SELECT source, request_id, accrued_hour, accrued_on, provider, model, 'meters', NULL, NULL, price_id, meters_usd
FROM core.request_costs WHERE cost_basis = 'token' AND meters_usd <> 0
""",
)
