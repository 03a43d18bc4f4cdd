import polars as pl

from models.money import ROW_USD
from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import (
    AGENT,
    FEATURE,
    IS_FALLBACK,
    IS_PROVISIONAL,
    LOGICAL_REQUEST_ID,
    OPERATION,
    REQUEST_ID,
    SOURCE_OF_ATTEMPT,
    STARTED_AT,
)
from models.schemas.vocabulary import PRICE_STATES, USAGE_SOURCES, attempt_dimensions, token_columns

TABLE = Table(
    schema="core",
    name="request_costs",
    grain="One row per attempt x accrued_hour x accrued_on: what the attempt cost in that slice",
    columns=(
        SOURCE_OF_ATTEMPT,
        REQUEST_ID,
        LOGICAL_REQUEST_ID,
        STARTED_AT,
        Column(
            name="accrued_hour",
            dtype=INSTANT,
            comment="UTC hour in which the cost accrued; the partition",
            required=True,
        ),
        Column(
            name="accrued_on",
            dtype=pl.Date,
            comment="Business date in the reporting zone on which the cost accrued",
            required=True,
        ),
        *attempt_dimensions(),
        OPERATION,
        FEATURE,
        Column(name="environment", dtype=pl.String, comment="Environment, by tag: production, staging, ..."),
        AGENT,
        Column(
            name="first_token_seconds",
            dtype=pl.Float64,
            comment="Start to first token; NULL when unknown, not streamed, or on later slices",
        ),
        Column(
            name="duration_seconds",
            dtype=pl.Float64,
            comment="Start to end; NULL when unknown, or on later slices",
        ),
        Column(name="status", dtype=pl.String, comment="ok, error or cancelled", required=True),
        Column(name="attempt_no", dtype=pl.Int32, comment="1-based try; 0 for a gateway-cache hit"),
        IS_FALLBACK,
        Column(
            name="is_first_accrual",
            dtype=pl.Boolean,
            comment="True on the attempt's earliest slice, the only one that carries its tokens",
            required=True,
        ),
        *token_columns("; 0 on later slices of the same attempt"),
        Column(
            name="other_meters",
            dtype=pl.Map(pl.String, pl.Decimal(18, 6)),
            comment="Meter -> quantity of what is not tokens: searches, seconds, characters, images",
        ),
        Column(name="list_usd", dtype=ROW_USD, comment="Cost at list prices; NULL when unpriced"),
        Column(name="contracted_usd", dtype=ROW_USD, comment="Cost at negotiated prices; NULL when unpriced"),
        Column(
            name="effective_usd",
            dtype=ROW_USD,
            comment="Cost with commitments amortised; NULL when unpriced. The figure of every report",
        ),
        Column(name="input_usd", dtype=ROW_USD, comment="Part of effective_usd for input tokens"),
        Column(name="output_usd", dtype=ROW_USD, comment="Part of effective_usd for output tokens"),
        Column(
            name="meters_usd", dtype=ROW_USD, comment="Part of effective_usd for meters that are not tokens"
        ),
        Column(
            name="estimated_usd",
            dtype=ROW_USD,
            comment="For an unpriced row, the cost at the nearest sibling's price: shown apart, never summed in",
        ),
        Column(
            name="saved_usd",
            dtype=ROW_USD,
            comment="For a gateway-cache hit, what the call would have cost: shown apart",
        ),
        Column(
            name="fallback_premium_usd",
            dtype=ROW_USD,
            comment="For a fallback, cost taken minus what the requested model would have cost",
        ),
        Column(
            name="gateway_reported_usd",
            dtype=pl.Decimal(38, 12),
            comment="Cost that the source booked itself, for comparison",
        ),
        Column(
            name="allocation_weight",
            dtype=pl.Decimal(18, 6),
            comment="Weighted tokens of this slice by which pool overhead is spread; NULL for token-priced rows",
        ),
        Column(
            name="allocation_grain",
            dtype=pl.String,
            comment="replica or pool: how closely the request is tied to a GPU",
            one_of=("replica", "pool"),
        ),
        Column(
            name="allocation_rule",
            dtype=pl.String,
            comment="Rule by which serving dollars of its pool are split; NULL for token-priced rows",
            one_of=("token_share", "equal_share", "kv_block_share", "reserved_quota"),
        ),
        Column(
            name="weights_from",
            dtype=pl.String,
            comment="Where the weights of its tokens are from: default, or file and line; NULL for token-priced rows",
        ),
        Column(
            name="deployment",
            dtype=pl.String,
            comment="Pool's deployment; the capacity paid by the hour whose tokens cost 0; NULL for other token-priced rows",
        ),
        Column(
            name="price_state",
            dtype=pl.String,
            comment="priced, free (declared) or unpriced",
            required=True,
            one_of=PRICE_STATES,
        ),
        Column(
            name="unpriced_reason",
            dtype=pl.String,
            comment="Why it is unpriced: unknown_model, no_price_at_time, class_not_priced, no_fx_rate, missing_usage, unknown_chip, no_replica_ready",
        ),
        Column(
            name="unpriced_meters",
            dtype=pl.String,
            comment="Token classes and meters used that the price card does not offer; NULL where that is not the reason",
        ),
        Column(
            name="assumed_meters",
            dtype=pl.String,
            comment="Token classes used whose rate no sheet states: cache reads, images, video at the input rate; `region` where the place chooses the price and is not told; NULL = none",
        ),
        Column(
            name="cost_basis", dtype=pl.String, comment="token or gpu", required=True, one_of=("token", "gpu")
        ),
        Column(name="price_id", dtype=pl.String, comment="Price card: ref.token_prices or ref.gpu_prices"),
        Column(
            name="sheet_version", dtype=pl.String, comment="Version of the sheet that the price came from"
        ),
        Column(
            name="fx_usd_per_unit",
            dtype=pl.Decimal(38, 12),
            comment="Dollars for one unit of the price card's currency; NULL for a card in dollars",
        ),
        Column(name="fx_on", dtype=pl.Date, comment="Date of that exchange rate"),
        Column(
            name="usage_source",
            dtype=pl.String,
            comment="provider, estimated or missing",
            required=True,
            one_of=USAGE_SOURCES,
        ),
        IS_PROVISIONAL,
    ),
    key=("source", "request_id", "started_at", "accrued_hour", "accrued_on"),
    partition="accrued_hour",
)
