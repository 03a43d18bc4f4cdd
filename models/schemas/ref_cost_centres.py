import polars as pl

from models.schemas.base import INSTANT, Column, Table

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
        Column(name="valid_from", dtype=INSTANT, comment="First day that it holds for; NULL: always"),
        Column(name="valid_to", dtype=INSTANT, comment="Day after the last; NULL: for good"),
        Column(name="known_from", dtype=INSTANT, comment="Known from this instant; NULL: always"),
        Column(name="sheet_path", dtype=pl.String, comment="File", required=True),
        Column(name="sheet_line", dtype=pl.Int64, comment="Line of the entry in the file", required=True),
    ),
    key=("entry_number",),
)
