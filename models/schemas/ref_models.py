import polars as pl

from models.schemas.base import INSTANT, Column, Table

TABLE = Table(
    schema="ref",
    name="models",
    grain="One row per name that a model is logged under at a provider, and its validity",
    columns=(
        Column(name="provider", dtype=pl.String, comment="Provider id", required=True),
        Column(
            name="alias",
            dtype=pl.String,
            comment="Name in a log; the model's own name is an alias of itself",
            required=True,
        ),
        Column(name="model", dtype=pl.String, comment="Model as the price sheet names it", required=True),
        Column(name="model_family", dtype=pl.String, comment="Weights shared across providers"),
        Column(
            name="chip",
            dtype=pl.String,
            comment="Accelerator that the provider serves it on, where public (Groq, Cerebras)",
        ),
        Column(name="valid_from", dtype=INSTANT, comment="Alias holds from this instant", required=True),
        Column(name="valid_to", dtype=INSTANT, comment="Alias holds before this instant; NULL = open"),
        Column(name="known_from", dtype=INSTANT, comment="Name was known from this instant; NULL = always"),
        Column(name="known_to", dtype=INSTANT, comment="Corrected at this instant; NULL = open"),
        Column(name="developer", dtype=pl.String, comment="Who made the model; NULL: not known"),
        Column(
            name="is_open_weights",
            dtype=pl.Boolean,
            comment="Whether anybody may download the weights and serve them; NULL: not known",
        ),
        Column(name="sheet_path", dtype=pl.String, comment="Sheet file", required=True),
    ),
    key=("provider", "alias", "valid_from", "known_from"),
)
