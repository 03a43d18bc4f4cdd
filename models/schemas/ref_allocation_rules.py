import polars as pl

from models.schemas.base import Column, Table

TABLE = Table(
    schema="ref",
    name="allocation_rules",
    grain="One row per rule of weights.yml, and tenant where it has quotas: who carries the cost of which pools",
    columns=(
        Column(
            name="rule_number",
            dtype=pl.Int64,
            comment="Place in the file; of several rules that hold for a pool the highest counts",
            required=True,
            at_least=1,
        ),
        *(
            Column(name=name, dtype=pl.String, comment=f"The pool's {name}; NULL = any")
            for name in ("provider", "region", "chip", "deployment", "commitment")
        ),
        Column(
            name="rule",
            dtype=pl.String,
            comment="How serving dollars are split",
            required=True,
            one_of=("token_share", "equal_share", "kv_block_share", "reserved_quota"),
        ),
        Column(
            name="overhead",
            dtype=pl.String,
            comment="What becomes of the pool's other dollars on the available basis",
            required=True,
            one_of=("spread", "unallocated"),
        ),
        Column(name="tenant", dtype=pl.String, comment="Reserving tenant; NULL: a rule without quotas"),
        Column(name="quota", dtype=pl.Decimal(38, 6), comment="What it reserved, in any unit", at_least=0),
    ),
    key=("rule_number", "tenant"),
)
