"""ref/*: price sheets, aliases, chips and the routing policy as tables. Small, replaced whole."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import polars as pl

from models.costs.commitments import commitment_prices, load_commitments
from models.costs.overhead import load_overhead
from models.costs.weights import allocation_rules, load_weights
from models.prices.builtin import builtin_gpu_sheets, builtin_token_sheets
from models.prices.chips import chips
from models.prices.contracts import load_contracts
from models.prices.fx import load_fx
from models.prices.gpu_book import gpu_book, pool_models
from models.prices.gpu_sheets import load_gpu_sheets
from models.prices.sheets import load_token_sheets
from models.prices.token_book import model_aliases, token_book
from models.routing.policy import load_policy
from pipelines.automation.repricing import outdate
from pipelines.project import Project
from pipelines.warehouse.resource import Warehouse

TABLES = (
    "ref.models", "ref.pool_models", "ref.chips", "ref.token_prices", "ref.gpu_prices", "ref.commitments",
    "ref.overhead", "ref.allocation_rules", "ref.fx_rates", "ref.routing_policy",
)  # fmt: skip


def reference_frames(project: Project) -> dict[str, pl.DataFrame]:
    """Read every sheet, contract and policy into its table; the first error names its file and line."""
    tokens = load_token_sheets({**builtin_token_sheets(), **project.token_sheet_texts()})
    gpus = load_gpu_sheets({**builtin_gpu_sheets(), **project.gpu_sheet_texts()})
    prices = project.settings.prices
    contracts = load_contracts(project.contracts_text(), path=prices.contracts)
    commitments = load_commitments(project.commitments_text(), path=project.commitments_path)
    return {
        "ref.models": model_aliases(tokens),
        "ref.pool_models": pool_models(gpus),
        "ref.chips": chips(),
        "ref.token_prices": token_book(tokens, contracts),
        "ref.gpu_prices": pl.concat([gpu_book(gpus), commitment_prices(commitments)]),
        "ref.commitments": commitments,
        "ref.overhead": load_overhead(project.overhead_text(), path=project.overhead_path),
        "ref.allocation_rules": allocation_rules(
            load_weights(project.weights_text(), path=project.weights_path)
        ),
        "ref.fx_rates": load_fx(project.fx_text(), path=prices.fx),
        "ref.routing_policy": load_policy(project.policy_text(), path=project.policy_path),
    }


@dg.multi_asset(
    specs=[dg.AssetSpec(dotted.split("."), group_name="ref", kinds={"yaml", "duckdb"}) for dotted in TABLES],
    pool="lake",
    name="reference",
)
def reference(
    context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
) -> Iterator[dg.MaterializeResult[Any]]:
    """Load every price sheet, alias list and policy in one transaction, and outdate what they change."""
    frames = reference_frames(warehouse.project)
    with (
        warehouse.reading() as con,
        warehouse.committing(run_id=context.run.run_id, job="ref") as commit,
    ):
        for dotted, rows in frames.items():
            commit.replace(dotted, rows)
        again = outdate(con, commit, frames)
    if any(again.values()):
        words = ", ".join(f"{count:,} {name}" for name, count in again.items() if count)
        warehouse.progress("ref", f"prices or policy changed; partitions to compute again: {words}")
    for dotted, rows in frames.items():
        yield dg.MaterializeResult(asset_key=dotted.split("."), metadata={"dagster/row_count": rows.height})
