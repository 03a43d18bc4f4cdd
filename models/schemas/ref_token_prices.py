import polars as pl

from models.schemas.base import INSTANT, Column, Table

TABLE = Table(
    schema="ref",
    name="token_prices",
    grain="One row per price card x meter: a dated rate of a model at a provider, with when it was known",
    columns=(
        Column(
            name="price_id",
            dtype=pl.String,
            comment="Price card: all meters of one model, region, tier, threshold and validity share it",
            required=True,
        ),
        Column(
            name="meter",
            dtype=pl.String,
            comment="Token class (input_uncached, output_text, ...) or a meter charged per call",
            required=True,
        ),
        Column(name="provider", dtype=pl.String, comment="Provider id", required=True),
        Column(name="model", dtype=pl.String, comment="Model as the sheet names it", required=True),
        Column(name="model_family", dtype=pl.String, comment="Weights shared across providers"),
        Column(
            name="region", dtype=pl.String, comment="Region; NULL = any region without a price of its own"
        ),
        Column(name="service_tier", dtype=pl.String, comment="Served tier", required=True),
        Column(
            name="above_input_tokens",
            dtype=pl.Int64,
            comment="Applies when all input classes together exceed this; NULL = base rate",
        ),
        Column(
            name="long_context_mode",
            dtype=pl.String,
            comment="whole_request or graduated; NULL on base rates",
        ),
        Column(
            name="schedule",
            dtype=pl.String,
            comment="Off-peak hours in UTC as written in the sheet; NULL = always",
        ),
        Column(
            name="priced_at",
            dtype=pl.String,
            comment="Instant that picks the rate: started or finished",
            required=True,
        ),
        Column(name="layer", dtype=pl.String, comment="list or contracted", required=True),
        Column(name="contract", dtype=pl.String, comment="Contract of a contracted card"),
        Column(name="list_price_id", dtype=pl.String, comment="List card that a contracted card replaces"),
        Column(
            name="beyond_price_id",
            dtype=pl.String,
            comment="Card of the input tokens beyond a graduated threshold; NULL = no such rule",
        ),
        Column(name="currency", dtype=pl.String, comment="ISO 4217 code of the rates; NULL = USD"),
        Column(name="unit", dtype=pl.String, comment="token or call", required=True),
        Column(
            name="rate_per_mtok",
            dtype=pl.Decimal(38, 12),
            comment="Rate per million units in `currency` after multipliers, as exact as printed; NULL = not offered",
        ),
        Column(
            name="usd_per_mtok",
            dtype=pl.Decimal(38, 12),
            comment="rate_per_mtok of a card in dollars; NULL = not offered, or another currency",
        ),
        Column(
            name="picodollars_per_unit",
            dtype=pl.Int64,
            comment="Booked rate: rounded once half-even to whole picodollars (1e-12 of `currency`); NULL = not offered",
            at_least=0,
        ),
        Column(name="is_rounded", dtype=pl.Boolean, comment="Whether booking moved the rate", required=True),
        Column(
            name="is_assumed",
            dtype=pl.Boolean,
            comment="Whether the sheet states no rate and that of uncached input stands in (cache reads, images, video); NULL = no",
        ),
        Column(name="valid_from", dtype=INSTANT, comment="Rate applies from this instant", required=True),
        Column(name="valid_to", dtype=INSTANT, comment="Rate applies before this instant; NULL = open"),
        Column(name="known_from", dtype=INSTANT, comment="Rate was known from this instant", required=True),
        Column(name="known_to", dtype=INSTANT, comment="Corrected at this instant; NULL = open"),
        Column(name="sheet_version", dtype=pl.String, comment="Content hash of the sheet", required=True),
        Column(name="sheet_path", dtype=pl.String, comment="Sheet file", required=True),
        Column(name="sheet_line", dtype=pl.Int64, comment="Line of the entry in the sheet"),
        Column(name="source_url", dtype=pl.String, comment="Where the price was published", required=True),
        Column(name="read_on", dtype=pl.Date, comment="Day on which the model's prices were last read there"),
    ),
    key=("price_id", "meter"),
)
