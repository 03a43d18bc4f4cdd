import polars as pl

from models.schemas.base import Column, Table
from models.schemas.columns import SHEET_PATH, VALID_FROM, VALID_TO, VENDOR

_WEIGHT = pl.Decimal(18, 6)

TABLE = Table(
    schema="ref",
    name="capacity_rates",
    grain="One row per model of provisioned throughput and validity: what a unit does a minute",
    columns=(
        VENDOR,
        Column(name="model", dtype=pl.String, comment="Model in lower case", required=True),
        Column(
            name="input_tokens_per_minute",
            dtype=_WEIGHT,
            comment="Input tokens that a unit processes in a minute, as published",
            required=True,
        ),
        Column(
            name="output_weight",
            dtype=_WEIGHT,
            comment="Input tokens that an output token counts as",
            required=True,
        ),
        Column(
            name="cache_read_weight",
            dtype=_WEIGHT,
            comment="Input tokens that a cached token counts as",
            required=True,
        ),
        VALID_FROM,
        VALID_TO,
        Column(name="source_url", dtype=pl.String, comment="Where it was published", required=True),
        SHEET_PATH,
    ),
    key=("provider", "model", "valid_from"),
)
