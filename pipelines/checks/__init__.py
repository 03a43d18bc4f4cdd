"""Asset checks: a Great Expectations suite per table, and one file per domain check.

A domain check is a module of this folder with a `CHECK`; a table's suite derives from its schema.
"""

import importlib
import pkgutil
from collections.abc import Collection

import dagster as dg

from models.schemas import tables
from pipelines.checks.domain import DomainCheck, as_asset_check
from pipelines.checks.expectations import suite_check

_SUITED_SCHEMAS = ("ref", "core", "mart")


def domain_checks() -> list[DomainCheck]:
    """Return the domain checks, by the folder's listing."""
    modules = (importlib.import_module(f"{__name__}.{item.name}") for item in pkgutil.iter_modules(__path__))
    return [module.CHECK for module in modules if hasattr(module, "CHECK")]


def all_checks(
    assets: Collection[str], *, hourly: dg.PartitionsDefinition[str], daily: dg.PartitionsDefinition[str]
) -> list[dg.AssetChecksDefinition]:
    """Return every asset check of the code location, whose assets are named as their tables."""
    grains = {"hourly": hourly, "daily": daily}
    suites = [
        suite_check(table, hourly=hourly, daily=daily)
        for table in tables().values()
        if table.schema in _SUITED_SCHEMAS and table.dotted in assets
    ]
    return [*suites, *(as_asset_check(check, grains[check.grain]) for check in domain_checks())]
