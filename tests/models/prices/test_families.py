"""Who made a model and whether its weights are open is known for every model that can be bought or owned."""

import polars as pl
import pytest

from models.prices.builtin import builtin_gpu_sheets, builtin_token_sheets
from models.prices.families import families, with_makers
from models.prices.gpu_sheets import load_gpu_sheets
from models.prices.sheets import load_token_sheets
from models.samples.deployments import DEPLOYMENTS
from models.schemas import table

OWN = """\
provider: openai
source_url: https://example.com/prices
checked_on: 2026-11-01
models:
  - model: Org/House-Model
    developer: acme
    is_open_weights: false
    prices: [{valid_from: 2026-01-01, usd_per_mtok: {output: 20}}]
  - model: llama-3.1-8b-acme
    developer: acme
    prices: [{valid_from: 2026-01-01, usd_per_mtok: {output: 20}}]
"""


def facts(names: list[str], known: pl.DataFrame) -> dict[str, tuple[str | None, bool | None]]:
    """Look names up as ref.models has them."""
    models = table("ref.models").frame([{"model": name} for name in sorted(set(names))])
    found = with_makers(models, known).select("model", "developer", "is_open_weights")
    return {name: (developer, is_open) for name, developer, is_open in found.iter_rows()}


def test_every_model_of_every_sheet_and_of_the_fleet_is_known() -> None:
    tokens = load_token_sheets(builtin_token_sheets())
    gpus = load_gpu_sheets(builtin_gpu_sheets())
    sold = [model for sheet in tokens for model in sheet.models]
    names = [model.family or model.model for model in sold]
    names += [model.family for sheet in gpus for model in sheet.models]
    names += [deployment.model for deployment in DEPLOYMENTS]

    found = facts(names, families(tokens, gpus))

    assert all(model.family for model in sold)
    assert {
        name for name, (developer, is_open) in found.items() if developer is None or is_open is None
    } == set()


@pytest.mark.parametrize(
    ("name", "developer", "is_open"),
    [
        ("gpt-oss-120b", "openai", True),
        ("gpt-5.5", "openai", False),
        ("claude-sonnet-4-5", "anthropic", False),
        ("llama-3.1-sonar-large-128k-online", "perplexity", False),
        ("llama-3.1-nemotron-70b", "nvidia", True),
        ("mistral-small-24b-instruct-2501", "mistral_ai", True),
        ("mistral-small", "mistral_ai", False),
        ("meta-llama/Llama-3.1-8B-Instruct", "meta", True),
        ("qwen3.8-max-0902", "alibaba", False),
        ("qwen3-coder-480b-a35b", "alibaba", True),
        ("a-name-that-nobody-knows", None, None),
        ("Org/House-Model", "acme", False),
        # What a sheet leaves open of its own model is as the list has it.
        ("llama-3.1-8b-acme", "acme", True),
    ],
)
def test_the_longest_name_counts_and_a_sheet_before_the_list(
    name: str, developer: str | None, is_open: bool | None
) -> None:
    known = families(load_token_sheets({"own.yml": OWN}))

    assert facts([name], known)[name] == (developer, is_open)
