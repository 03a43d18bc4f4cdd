"""ref/*: price sheets, aliases, chips and the routing policy as tables. Small, replaced whole."""

from functools import lru_cache

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
    prices, finance = project.settings.prices, project.settings.finance
    listed = _listed(
        tuple({**builtin_token_sheets(), **project.token_sheet_texts()}.items()),
        tuple({**builtin_gpu_sheets(), **project.gpu_sheet_texts()}.items()),
        project.contracts_text(),
        prices.contracts,
    )
    commitments = load_commitments(project.commitments_text(), path=project.commitments_path)
    return {
        **listed,
        "ref.chips": chips(),
        "ref.gpu_prices": pl.concat([listed["ref.gpu_prices"], commitment_prices(commitments)]),
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


@lru_cache(maxsize=8)
def _listed(
    token_texts: tuple[tuple[str, str], ...],
    gpu_texts: tuple[tuple[str, str], ...],
    contracts_text: str,
    contracts_path: str,
) -> dict[str, pl.DataFrame]:
    """Return the tables of price sheets and contracts, made once for their texts: to close a month asks three times."""
    tokens, gpus = load_token_sheets(dict(token_texts)), load_gpu_sheets(dict(gpu_texts))
    makers = families(tokens, gpus)
    return {
        "ref.models": with_makers(model_aliases(tokens), makers),
        "ref.pool_models": with_makers(pool_models(gpus), makers),
        "ref.capacity_rates": capacity_rates(gpus),
        "ref.families": makers,
        "ref.token_prices": token_book(tokens, load_contracts(contracts_text, path=contracts_path)),
        "ref.gpu_prices": gpu_book(gpus),
    }
