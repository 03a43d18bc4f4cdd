import polars as pl

from models.schemas.base import INSTANT, Column, Table
from models.schemas.columns import DEVELOPER, IS_OPEN_WEIGHTS, KNOWN_TO, MODEL_FAMILY, PROVIDER_ID, SHEET_PATH

TABLE = Table(
    schema="ref",
    name="models",
    grain="One row per name that a model is logged under at a provider, and its validity",
    columns=(
        PROVIDER_ID,
        Column(
            name="alias",
            dtype=pl.String,
            comment="Name in a log; the model's own name is an alias of itself",
            required=True,
        ),
        Column(name="model", dtype=pl.String, comment="Model as the price sheet names it", required=True),
        MODEL_FAMILY,
        Column(
            name="chip",
            dtype=pl.String,
            comment="Accelerator that the provider serves it on, where public (Groq, Cerebras)",
        ),
        Column(name="valid_from", dtype=INSTANT, comment="Alias holds from this instant", required=True),
        Column(name="valid_to", dtype=INSTANT, comment="Alias holds before this instant; NULL = open"),
        Column(name="known_from", dtype=INSTANT, comment="Name was known from this instant; NULL = always"),
        KNOWN_TO,
        DEVELOPER,
        IS_OPEN_WEIGHTS,
        SHEET_PATH,
    ),
    key=("provider", "alias", "valid_from", "known_from"),
)
