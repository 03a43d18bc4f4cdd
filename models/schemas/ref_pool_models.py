import polars as pl

from models.schemas.base import Column, Table
from models.schemas.columns import DEVELOPER, IS_OPEN_WEIGHTS, SHEET_PATH, VENDOR

TABLE = Table(
    schema="ref",
    name="pool_models",
    grain="One row per name that a GPU sheet gives a model that its vendor's pools serve",
    columns=(
        VENDOR,
        Column(
            name="model",
            dtype=pl.String,
            comment="Name under which the pools serve it, in any case",
            required=True,
        ),
        Column(
            name="model_family", dtype=pl.String, comment="Weights shared across providers", required=True
        ),
        DEVELOPER,
        IS_OPEN_WEIGHTS,
        SHEET_PATH,
    ),
    key=("provider", "model"),
)
