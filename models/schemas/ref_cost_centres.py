import polars as pl

from models.schemas.base import Column, Table
from models.schemas.columns import ENTRY_LINE, ENTRY_PATH, KNOWN_FROM_OR_ALWAYS, VALID_FROM_DAY, VALID_TO_DAY

TABLE = Table(
    schema="ref",
    name="cost_centres",
    grain="One row per entry of cost_centres in chargeback.yml: which cost centre pays for a team or tenant",
    columns=(
        Column(
            name="entry_number",
            dtype=pl.Int64,
            comment="Place in the file; of two entries that fit equally the later counts",
            required=True,
        ),
        Column(name="tenant", dtype=pl.String, comment="Tenant; NULL = any"),
        Column(name="team", dtype=pl.String, comment="Team; NULL = any"),
        Column(name="cost_centre", dtype=pl.String, comment="Who pays", required=True),
        VALID_FROM_DAY,
        VALID_TO_DAY,
        KNOWN_FROM_OR_ALWAYS,
        ENTRY_PATH,
        ENTRY_LINE,
    ),
    key=("entry_number",),
)
