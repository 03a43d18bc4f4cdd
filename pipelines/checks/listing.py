"""Which checks there are: the suites by the tables' schemas, the domain checks by the listing of this folder."""

import importlib
import pkgutil
from collections.abc import Collection

import pipelines.checks
from models.schemas import tables
from models.schemas.base import Table
from pipelines.checks.domain import DomainCheck

_SUITED_SCHEMAS = ("ref", "core", "mart")


def domain_checks() -> list[DomainCheck]:
    """Return the domain checks."""
    names = [item.name for item in pkgutil.iter_modules(pipelines.checks.__path__)]
    modules = [importlib.import_module(f"pipelines.checks.{name}") for name in names]
    return [module.CHECK for module in modules if hasattr(module, "CHECK")]


def suited_tables(assets: Collection[str]) -> list[Table]:
    """Return the tables that have a suite: those of `ref`, `core` and `mart` that an asset fills."""
    return [
        table for table in tables().values() if table.schema in _SUITED_SCHEMAS and table.dotted in assets
    ]
