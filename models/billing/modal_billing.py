"""Modal's billing report (`modal billing report --json` or `--csv`, `--resolution h` by the hour): dollars by object.

With `--show-resources` a line is an object's cost of one resource (CPU, memory, a kind of GPU), which is its meter. An
interval begins on a day or at an instant, and is a day or an hour long. A report that is made again replaces its lines.
Source: modal 1.6.4, `modal/cli/billing.py`.
"""

import polars as pl

from models.billing.lines import completed, line_columns, line_select
from models.records import Importer

_FIELDS = {
    "billed_cost": ("cost",),
    "resource_id": ("object_id",),
    "charge_description": ("description",),
    "sub_account_id": ("environment",),
    "meter": ("resource",),
    "written": ("interval_start",),
}
_INSTANTS = {"charge_period_start": ("interval_start",)}


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    length = (
        pl.when(pl.col("written").str.len_chars() <= len("2026-11-02"))
        .then(pl.lit("1d"))
        .otherwise(pl.lit("1h"))
    )
    return completed(
        frame.with_columns(
            invoice_issuer_name=pl.lit("Modal"),
            provider=pl.lit("modal"),
            service_name=pl.lit("Modal"),
            meter=pl.coalesce("meter", "charge_description"),
            currency=pl.lit("USD"),
            effective_cost="billed_cost",
            charge_period_end=pl.col("charge_period_start").dt.offset_by(length),
        ),
        key=("charge_period_start", "resource_id", "sub_account_id", "meter"),
    )


IMPORTER = Importer(
    kind="modal_billing",
    table="raw.invoice_lines",
    columns=line_columns(_FIELDS, _INSTANTS),
    select=line_select(_FIELDS, _INSTANTS),
    canonical=_canonical,
    formats=("jsonl", "csv"),
    signature=(frozenset({"object_id", "environment", "interval_start", "cost"}),),
    rank=11,
)
