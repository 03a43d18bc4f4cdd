import polars as pl

from models.schemas.base import Column, Table

TABLE = Table(
    schema="ref",
    name="pool_models",
    grain="One row per name that a GPU sheet gives a model that its vendor's pools serve",
    columns=(
        Column(name="provider", dtype=pl.String, comment="Vendor of the sheet", required=True),
        Column(
            name="model",
            dtype=pl.String,
            comment="Name under which the pools serve it, in any case",
            required=True,
        ),
        Column(
            name="model_family", dtype=pl.String, comment="Weights shared across providers", required=True
        ),
        Column(name="developer", dtype=pl.String, comment="Who made the model; NULL: not known"),
        Column(
            name="is_open_weights",
            dtype=pl.Boolean,
            comment="Whether anybody may download the weights and serve them; NULL: not known",
        ),
        Column(name="sheet_path", dtype=pl.String, comment="Sheet file", required=True),
    ),
    key=("provider", "model"),
)
