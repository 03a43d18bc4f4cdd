"""ref/*: price sheets, aliases, chips and the routing policy as tables. Small, replaced whole."""

import polars as pl

from models.costs.commitments import commitment_prices, load_commitments
from models.costs.overhead import load_overhead
from models.costs.weights import allocation_rules, load_weights
from models.finance.budgets import load_budgets
from models.finance.chargeback_rules import load_chargeback, load_signoffs
from models.finance.journal import load_journal
from models.prices.builtin import builtin_gpu_sheets, builtin_token_sheets
from models.prices.chips import chips
from models.prices.contracts import load_contracts, unit_rates
from models.prices.deployments import load_deployments
from models.prices.families import families, with_makers
from models.prices.fx import load_fx
from models.prices.gpu_book import capacity_rates, gpu_book, pool_models
from models.prices.gpu_sheets import load_gpu_sheets
from models.prices.sheets import load_token_sheets
from models.prices.token_book import model_aliases, token_book
from models.routing.policy import load_policy
from pipelines.project import Project


def reference_frames(project: Project) -> dict[str, pl.DataFrame]:
    """Read every sheet, contract and policy into its table; the first error names its file and line."""
    tokens = load_token_sheets({**builtin_token_sheets(), **project.token_sheet_texts()})
    gpus = load_gpu_sheets({**builtin_gpu_sheets(), **project.gpu_sheet_texts()})
    prices, finance = project.settings.prices, project.settings.finance
    contracts = load_contracts(project.contracts_text(), path=prices.contracts)
    commitments = load_commitments(project.commitments_text(), path=project.commitments_path)
    makers = families(tokens, gpus)
    return {
        "ref.models": with_makers(model_aliases(tokens), makers),
        "ref.pool_models": with_makers(pool_models(gpus), makers),
        "ref.capacity_rates": capacity_rates(gpus),
        "ref.chips": chips(),
        "ref.families": makers,
        "ref.token_prices": token_book(tokens, contracts),
        "ref.gpu_prices": pl.concat([gpu_book(gpus), commitment_prices(commitments)]),
        "ref.commitments": commitments,
        "ref.overhead": load_overhead(project.overhead_text(), path=project.overhead_path),
        "ref.allocation_rules": allocation_rules(
            load_weights(project.weights_text(), path=project.weights_path)
        ),
        "ref.deployments": load_deployments(project.deployments_text(), path=prices.deployments),
        "ref.fx_rates": pl.concat(
            [
                load_fx(project.fx_text(), path=prices.fx),
                unit_rates(project.contracts_text(), path=prices.contracts),
            ]
        ),
        **load_chargeback(project.finance_text("chargeback"), path=finance.chargeback),
        "ref.signoffs": load_signoffs(project.finance_text("signoffs"), path=finance.signoffs),
        **load_budgets(project.finance_text("budgets"), path=finance.budgets),
        "ref.journal_accounts": load_journal(project.finance_text("journal"), path=finance.journal),
        "ref.routing_policy": load_policy(project.policy_text(), path=project.policy_path),
    }
