import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import ENTRY_LINE, ENTRY_PATH

TABLE = Table(
    schema="ref",
    name="signoffs",
    grain="One row per entry of signoffs.yml: what a payer says of its statement of a month",
    columns=(
        Column(
            name="entry_number",
            dtype=pl.Int64,
            comment="Place in the file; the last entry of a payer and month counts",
            required=True,
        ),
        Column(name="month_on", dtype=pl.Date, comment="First day of the month", required=True),
        Column(name="payer", dtype=pl.String, comment="Cost centre, else team, else tenant", required=True),
        Column(
            name="answer",
            dtype=pl.String,
            comment="accepted or disputed",
            required=True,
            one_of=("accepted", "disputed"),
        ),
        Column(
            name="signed_usd",
            dtype=USD,
            comment="Amount that was signed; counts while the statement still says so",
            required=True,
        ),
        Column(
            name="signed_digits",
            dtype=pl.Int64,
            comment="Decimals in which the amount was written",
            required=True,
        ),
        Column(name="signed_by", dtype=pl.String, comment="Who signed", required=True),
        Column(name="signed_on", dtype=pl.Date, comment="When", required=True),
        Column(name="note", dtype=pl.String, comment="Why it is disputed, or what was agreed"),
        ENTRY_PATH,
        ENTRY_LINE,
    ),
    key=("entry_number",),
)
