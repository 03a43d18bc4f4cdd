import polars as pl

from models.schemas.base import INSTANT, Column, Table

_WEIGHT = pl.Decimal(18, 6)

TABLE = Table(
    schema="ref",
    name="capacity_rates",
    grain="One row per model of provisioned throughput and validity: what a unit does a minute",
    columns=(
        Column(name="provider", dtype=pl.String, comment="Vendor of the sheet", required=True),
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
        Column(name="valid_from", dtype=INSTANT, comment="Holds from this instant", required=True),
        Column(name="valid_to", dtype=INSTANT, comment="Holds before this instant; NULL = open"),
        Column(name="source_url", dtype=pl.String, comment="Where it was published", required=True),
        Column(name="sheet_path", dtype=pl.String, comment="Sheet file", required=True),
    ),
    key=("provider", "model", "valid_from"),
)
