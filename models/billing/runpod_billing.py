"""RunPod's billing records of pods, endpoints and network volumes: a record a bucket of time, dollars.

`time` is the bucket's start. Records of a bucket that is asked for again replace the ones before: amounts come late.
Source: https://docs.runpod.io/api-reference/billing/GET/billing/pods, checked 2026-11-29.
"""

import polars as pl

from models.billing.lines import completed, decimal, line_columns, line_select
from models.records import Importer

_FIELDS = {
    "billed_cost": ("amount",),
    "milliseconds": ("timeBilledMs",),
    "disk": ("diskSpaceBilledGb",),
    "chip": ("gpuTypeId",),
    "pod": ("podId",),
    "endpoint": ("endpointId",),
    "volume": ("networkVolumeId",),
}
_INSTANTS = {"charge_period_start": ("time",)}


def _canonical(frame: pl.LazyFrame) -> pl.LazyFrame:
    seconds = (decimal(pl.col("milliseconds")).cast(pl.Decimal(38, 15)) / 1000).cast(pl.Decimal(38, 12))
    is_machine = pl.col("milliseconds").is_not_null()
    return completed(
        frame.with_columns(
            invoice_issuer_name=pl.lit("RunPod"),
            provider=pl.lit("runpod"),
            service_name=pl.when(pl.col("endpoint").is_not_null()).then(pl.lit("Serverless"))
            .when(pl.col("volume").is_not_null()).then(pl.lit("Network volumes"))
            .otherwise(pl.lit("Pods")),
            resource_id=pl.coalesce("endpoint", "pod", "volume"),
            meter=pl.coalesce("chip", pl.when(is_machine).then(pl.lit("time billed")).otherwise(pl.lit("disk"))),
            service_tier=pl.when(is_machine).then(pl.lit("on_demand")),
            currency=pl.lit("USD"),
            effective_cost="billed_cost",
            consumed_quantity=seconds.cast(pl.String),
            consumed_unit=pl.lit("seconds"),
        ),
        key=("charge_period_start", "service_name", "resource_id", "chip"),
    )  # fmt: skip


IMPORTER = Importer(
    kind="runpod_billing",
    table="raw.invoice_lines",
    columns=line_columns(_FIELDS, _INSTANTS),
    select=line_select(_FIELDS, _INSTANTS),
    canonical=_canonical,
    formats=("jsonl", "csv"),
    signature=(
        frozenset({"amount", "time", "timeBilledMs"}),
        frozenset({"amount", "time", "diskSpaceBilledGb"}),
    ),
    rank=11,
)
