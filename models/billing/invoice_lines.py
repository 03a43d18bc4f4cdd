"""Generic lines of bills whose columns are those of raw.invoice_lines; `columns` maps and states what is missing."""

import polars as pl

from models.billing.lines import AMOUNTS, INSTANTS, TEXTS, completed
from models.records import Importer, instant, text

KIND = "invoice_lines"

_SELECT = f"""
SELECT line_number, 1::INTEGER AS record_number, {", ".join(f"{text(name)} AS {name}" for name in (*TEXTS, *AMOUNTS))},
       {", ".join(f"{instant(name)} AS {name}" for name in INSTANTS)}
FROM records
"""


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    return completed(frame, key=())


IMPORTER = Importer(
    kind=KIND,
    table="raw.invoice_lines",
    columns=dict.fromkeys((*TEXTS, *AMOUNTS, *INSTANTS), "VARCHAR"),
    select=_SELECT,
    canonical=_canonical,
    formats=("jsonl", "csv", "parquet"),
    signature=(frozenset({"invoice_issuer_name", "billed_cost", "charge_period_start"}),),
    rank=92,
    takes_columns=True,
)
