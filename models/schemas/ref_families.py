import polars as pl

from models.schemas.base import Column, Table

TABLE = Table(
    schema="ref",
    name="families",
    grain="One row per name, or beginning of names, of models: who made them, and whether their weights are open. The longest that fits counts, an exact name before all",
    columns=(
        Column(
            name="stem",
            dtype=pl.String,
            comment="Family of the weights, or a model's own name, in small letters after the last slash",
            required=True,
        ),
        Column(
            name="is_prefix",
            dtype=pl.Boolean,
            comment="Whether every name that begins so fits",
            required=True,
        ),
        Column(name="developer", dtype=pl.String, comment="Who made the model"),
        Column(
            name="is_open_weights",
            dtype=pl.Boolean,
            comment="Whether anybody may download the weights and serve them; NULL = not stated",
        ),
        Column(
            name="sheet_path",
            dtype=pl.String,
            comment="Sheet that states it, else the list that comes with nanodollar",
            required=True,
        ),
    ),
    key=("stem", "is_prefix"),
)
