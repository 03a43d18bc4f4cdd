import polars as pl

from models.money import USD
from models.schemas.base import Column, Table
from models.schemas.columns import ACCRUED_ON_PARTITION, BILLING_PROVIDER, CHIP

_SECONDS = pl.Decimal(38, 6)

TABLE = Table(
    schema="mart",
    name="cost_by_chip",
    grain="One row per business day x model family x chip x provider x cost basis: the same model side by side",
    columns=(
        ACCRUED_ON_PARTITION,
        Column(
            name="cost_basis",
            dtype=pl.String,
            comment="gpu (an owned pool) or token (an API whose chip is known)",
            required=True,
            one_of=("gpu", "token"),
        ),
        BILLING_PROVIDER,
        CHIP,
        Column(
            name="model_family", dtype=pl.String, comment="Weights shared across providers; else the model"
        ),
        Column(
            name="input_tokens", dtype=pl.Int64, comment="Priced input tokens, all classes", required=True
        ),
        Column(
            name="output_tokens", dtype=pl.Int64, comment="Priced output tokens, all classes", required=True
        ),
        Column(name="usage_usd", dtype=USD, comment="Cost while serving; what an API charged"),
        Column(
            name="available_usd",
            dtype=USD,
            comment="All that the pool was billed; for an API the same as usage",
        ),
        Column(
            name="usage_usd_per_mtok", dtype=pl.Float64, comment="usage_usd per million tokens. Never summed"
        ),
        Column(
            name="available_usd_per_mtok",
            dtype=pl.Float64,
            comment="available_usd per million tokens: compare an API with this. Never summed",
        ),
        Column(
            name="billed_gpu_seconds",
            dtype=_SECONDS,
            comment="GPU-seconds that the vendor billed; NULL for an API",
        ),
        Column(name="serving_gpu_seconds", dtype=_SECONDS, comment="Of them, those spent serving"),
        Column(
            name="tokens_per_gpu_second",
            dtype=pl.Float64,
            comment="Tokens per serving GPU-second; NULL for an API. Never summed",
        ),
    ),
    key=("accrued_on", "cost_basis", "provider", "chip", "model_family"),
    partition="accrued_on",
)
