import polars as pl

from models.schemas.base import Column, Table
from models.schemas.columns import ENTRY_LINE, ENTRY_PATH

TABLE = Table(
    schema="ref",
    name="journal_accounts",
    grain="One row per entry of journal.yml: to which account a cost or a debt goes",
    columns=(
        Column(
            name="entry_number",
            dtype=pl.Int64,
            comment="Place in the file; of several entries that fit the highest counts",
            required=True,
        ),
        Column(
            name="side",
            dtype=pl.String,
            comment="debit: costs; credit: what is owed to issuers",
            required=True,
            one_of=("debit", "credit"),
        ),
        Column(name="account", dtype=pl.String, comment="Account", required=True),
        Column(name="cost_kind", dtype=pl.String, comment="Of debits: kind of cost; NULL = any"),
        Column(name="cost_centre", dtype=pl.String, comment="Of debits: cost centre; NULL = any"),
        Column(name="invoice_issuer_name", dtype=pl.String, comment="Of credits: issuer; NULL = any"),
        Column(name="memo", dtype=pl.String, comment="Words of its lines; NULL: the kind or the issuer"),
        Column(
            name="entity", dtype=pl.String, comment="Legal entity whose books they are for", required=True
        ),
        Column(
            name="usual_cost_centre",
            dtype=pl.String,
            comment="Cost centre of what no payer has one for",
        ),
        Column(
            name="decimals",
            dtype=pl.Int64,
            comment="Digits after the point of an amount",
            required=True,
            at_least=0,
        ),
        ENTRY_PATH,
        ENTRY_LINE,
    ),
    key=("entry_number", "side", "cost_kind"),
)
