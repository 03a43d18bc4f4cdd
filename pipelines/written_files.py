"""The files that people write and what each may hold, as JSON Schemas by which an editor completes and checks them."""

import json
from pathlib import Path

from pydantic import BaseModel

from models.costs.commitments import CommitmentFile
from models.costs.overhead import OverheadFile
from models.costs.weights import WeightFile
from models.finance.budgets import BudgetFile
from models.finance.chargeback_rules import ChargebackFile, SignoffFile
from models.finance.journal import JournalFile
from models.prices.contracts import ContractFile
from models.prices.deployments import DeploymentFile
from models.prices.gpu_sheets import GpuSheet
from models.prices.sheet_schema import TokenSheet
from models.routing.policy import Policy
from models.routing.quality import QualityFile
from pipelines.settings import Settings

WRITTEN: dict[str, type[BaseModel]] = {
    "nanodollar": Settings,
    "routing": Policy,
    "quality": QualityFile,
    "token_prices": TokenSheet,
    "gpu_prices": GpuSheet,
    "contracts": ContractFile,
    "commitments": CommitmentFile,
    "weights": WeightFile,
    "overhead": OverheadFile,
    "deployments": DeploymentFile,
    "chargeback": ChargebackFile,
    "signoffs": SignoffFile,
    "journal": JournalFile,
    "budgets": BudgetFile,
}
"""Name of a schema -> what a file of that kind may hold."""


def write_schemas(folder: Path) -> list[Path]:
    """Write one JSON Schema (draft 2020-12) a kind of file, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, model in WRITTEN.items():
        path = folder / f"{name}.json"
        path.write_text(json.dumps(model.model_json_schema(), indent=1) + "\n", encoding="utf-8")
        written.append(path)
    return written
