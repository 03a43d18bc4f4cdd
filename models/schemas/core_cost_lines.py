import polars as pl

from models.money import ROW_USD
from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import (
    ACCRUED_ON,
    LOGICAL_REQUEST_ID,
    MODEL,
    PROVIDER,
    REGION_OF_CALL,
    TEAM,
    TENANT,
)
from models.schemas.vocabulary import OUTPUT_CLASSES, PROMPT_ORDER, TOOL_FEES

_KEYS = "source, request_id, logical_request_id, started_at, accrued_hour, accrued_on, provider, model, price_state"
# What a roll-up of lines groups by, so that none has to join the attempts again.
_OF_ATTEMPT = "region, service_tier, tenant, team, fx_usd_per_unit, list_ratio"
_ATTEMPTS = """(
    SELECT *, CASE WHEN effective_usd > 0 AND list_usd <> effective_usd
      THEN list_usd::DECIMAL(38,12)::DOUBLE / effective_usd::DOUBLE END AS list_ratio
    FROM core.request_costs
  )"""
_SHOWN = """source, request_id, logical_request_id, started_at, accrued_hour, accrued_on, provider, model, region,
       service_tier, tenant, team, price_state, fx_usd_per_unit, list_ratio"""
_CLASSES = (*PROMPT_ORDER, *OUTPUT_CLASSES)


def _half_even(top: str, bottom: str) -> str:
    return f"(({top}) // {bottom} + CASE WHEN 2 * (({top}) % {bottom}) > {bottom} OR (2 * (({top}) % {bottom}) = {bottom} AND (({top}) // {bottom}) % 2 = 1) THEN 1 ELSE 0 END)"


def _struct(place: int) -> str:
    name = _CLASSES[place]
    # Input tokens so far in prompt order, for the rule that prices those beyond a threshold; outputs have none.
    so_far = " + ".join(f"coalesce({other}_tokens, 0)" for other in PROMPT_ORDER[: place + 1])
    counted = so_far if place < len(PROMPT_ORDER) else "NULL::BIGINT"
    return f"{{'line_no': {place}, 'meter': '{name}', 'tokens': {name}_tokens, 'so_far': {counted}}}"


_STRUCTS = ", ".join(_struct(place) for place in range(len(_CLASSES)))
# Left out before they are rows: an attempt uses a few of all classes.
_USED = f"list_filter([{_STRUCTS}], lambda used: used.tokens > 0)"
# Dollars of tools that a source states cost what they are.
_METER_RATE = f"CASE WHEN m.meter = '{TOOL_FEES}' THEN 1000000000000 ELSE p.picodollars_per_unit END"
_METER_COST = _half_even(f"CAST(m.quantity * 1000000 AS HUGEINT) * ({_METER_RATE})", "1000000")
_CONVERTED = _half_even("so_far * CAST(fx_usd_per_unit * 1000000000000 AS HUGEINT)", "1000000000000")
_CONVERTED_BEFORE = _half_even(
    "(so_far - amount) * CAST(fx_usd_per_unit * 1000000000000 AS HUGEINT)", "1000000000000"
)

_IS_GRADUATED = "price_id IN (SELECT price_id FROM ref.token_prices WHERE beyond_price_id IS NOT NULL)"


def _parted(where: str) -> str:
    """SQL of the token classes of some attempts, with what of each lies beyond the threshold of its card."""
    return f"""
  SELECT c.*, p.picodollars_per_unit AS rate, b.price_id AS beyond_id, b.picodollars_per_unit AS beyond_rate,
         CASE WHEN b.price_id IS NULL THEN 0
           ELSE greatest(least(c.tokens, c.so_far - b.above_input_tokens), 0) END AS beyond
  FROM (
    SELECT {_KEYS}, {_OF_ATTEMPT}, price_id, unnest({_USED}, recursive := true) FROM {_ATTEMPTS} WHERE {where}
  ) c
  LEFT JOIN ref.token_prices p ON p.price_id = c.price_id AND p.meter = c.meter
  -- A condition of one side alone would make DuckDB compare every line with every price.
  LEFT JOIN ref.token_prices b
    ON b.price_id = CASE WHEN c.so_far IS NOT NULL THEN p.beyond_price_id END AND b.meter = c.meter
  WHERE c.tokens > 0
"""


def _amounts(where: str) -> str:
    """SQL of the lines of some attempts: token classes, what of each lies beyond a threshold, other meters, requests."""
    return f"""
  SELECT {_KEYS}, {_OF_ATTEMPT}, line_no, meter, CAST(tokens - beyond AS DECIMAL(38,6)) AS quantity, price_id, rate,
         CAST(tokens - beyond AS HUGEINT) * rate AS amount
  FROM ({_parted(where)}) WHERE tokens > beyond
  UNION ALL
  -- Apart, for what is unnested twice of all attempts would take twice as long.
  SELECT {_KEYS}, {_OF_ATTEMPT}, line_no, meter, beyond, beyond_id, beyond_rate, CAST(beyond AS HUGEINT) * beyond_rate
  FROM ({_parted(f"{where} AND {_IS_GRADUATED}")}) WHERE beyond > 0 AND beyond_id IS NOT NULL
  UNION ALL
  SELECT m.* EXCLUDE (price_id, entry, quantity), quantity, m.price_id, {_METER_RATE}, {_METER_COST}
  FROM (
    SELECT {_KEYS}, {_OF_ATTEMPT}, {len(_CLASSES)} AS line_no, entry.key AS meter, price_id, entry,
           CAST(entry.value AS DECIMAL(38,6)) AS quantity
    FROM (
      SELECT {_KEYS}, {_OF_ATTEMPT}, price_id, unnest(map_entries(other_meters)) AS entry
      FROM {_ATTEMPTS} WHERE {where} AND other_meters IS NOT NULL
    )
  ) m
  LEFT JOIN ref.token_prices p ON p.price_id = m.price_id AND p.meter = m.meter AND p.unit = 'call'
  WHERE m.quantity > 0 AND (
    p.price_id IS NOT NULL OR m.price_state = 'unpriced' OR (m.meter = '{TOOL_FEES}' AND m.price_id IS NOT NULL)
  )
  UNION ALL
  SELECT {", ".join(f"c.{name}" for name in f"{_KEYS}, {_OF_ATTEMPT}".split(", "))}, {len(_CLASSES)}, p.meter, 1,
         p.price_id, p.picodollars_per_unit, CAST(p.picodollars_per_unit AS HUGEINT)
  FROM (FROM {_ATTEMPTS} WHERE {where}) c JOIN ref.token_prices p ON p.price_id = c.price_id AND p.meter = 'request'
"""


TABLE = Table(
    schema="core",
    name="cost_lines",
    grain="One row per attempt x accrual x meter x price card: quantity and dollars; sums to core.request_costs",
    columns=(
        Column(name="source", dtype=pl.String, comment="Configured source of the attempt"),
        Column(name="request_id", dtype=pl.String, comment="Attempt"),
        LOGICAL_REQUEST_ID,
        Column(name="started_at", dtype=INSTANT, comment="When the attempt started, UTC"),
        Column(name="accrued_hour", dtype=INSTANT, comment="UTC hour in which the cost accrued"),
        ACCRUED_ON,
        PROVIDER,
        MODEL,
        REGION_OF_CALL,
        Column(name="service_tier", dtype=pl.String, comment="Tier that was served"),
        TENANT,
        TEAM,
        Column(name="price_state", dtype=pl.String, comment="priced, free or unpriced, as the attempt"),
        Column(
            name="fx_usd_per_unit",
            dtype=pl.Decimal(18, 12),
            comment="Dollars per unit of the card's currency",
        ),
        Column(
            name="list_ratio",
            dtype=pl.Float64,
            comment="List price over effective price of the attempt; NULL where they are the same",
        ),
        Column(
            name="meter",
            dtype=pl.String,
            comment="Token class, or a meter that is not tokens (web_search, ...); provider_bill for what a provider says it "
            "charged where the book has no price; gpu for pool cost",
        ),
        Column(
            name="quantity",
            dtype=pl.Decimal(38, 6),
            comment="Tokens, or units of the meter; NULL for gpu",
        ),
        Column(
            name="picodollars_per_unit",
            dtype=pl.Int64,
            comment="Booked rate, in 1e-12 of the card's currency; NULL when unpriced",
        ),
        Column(
            name="price_id",
            dtype=pl.String,
            comment="Price card; tokens beyond a graduated threshold name a card of their own",
        ),
        Column(name="effective_usd", dtype=ROW_USD, comment="Dollars; NULL when unpriced"),
    ),
    key=("source", "request_id", "started_at", "accrued_hour", "accrued_on", "meter", "price_id"),
    select=f"""
-- Written twice, not read twice: DuckDB would hold a part that is read twice, lines of all attempts, in memory, and look
-- through all attempts for those of one id.
WITH converted AS (
  SELECT * EXCLUDE (so_far), {_CONVERTED} - {_CONVERTED_BEFORE} AS picodollars
  FROM (
    SELECT *, sum(amount) OVER (
      PARTITION BY source, request_id, started_at, accrued_hour, accrued_on ORDER BY line_no, meter, price_id
    )::HUGEINT AS so_far
    FROM ({_amounts("cost_basis = 'token' AND fx_usd_per_unit IS NOT NULL")})
  )
  UNION ALL
  SELECT *, amount FROM ({_amounts("cost_basis = 'token' AND fx_usd_per_unit IS NULL")})
)
SELECT {_SHOWN}, meter, quantity, rate AS picodollars_per_unit, price_id,
       CASE price_state WHEN 'free' THEN 0::DECIMAL(18,12)
         WHEN 'priced' THEN CAST(picodollars * 0.000000000001::DECIMAL(13,12) AS DECIMAL(18,12)) END AS effective_usd
FROM converted
UNION ALL
SELECT {_SHOWN}, 'provider_bill', NULL, NULL, NULL, effective_usd
FROM {_ATTEMPTS} WHERE cost_basis = 'token' AND price_state = 'priced' AND price_id IS NULL
UNION ALL
SELECT {_SHOWN}, 'gpu', NULL, NULL, price_id, effective_usd
FROM {_ATTEMPTS} WHERE cost_basis = 'gpu'
""",
)
