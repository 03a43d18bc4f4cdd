"""Every computed table, one file per table; the listing of this folder is the list of steps.

Assets, jobs, staleness, repricing, rebuilds of the past and the order of a run derive from it.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from graphlib import TopologicalSorter

from pipelines.steps.base import Grain, Step


@cache
def steps() -> dict[str, Step]:
    """Return every step by its table, each after those that it reads."""
    modules = (importlib.import_module(f"{__name__}.{item.name}") for item in pkgutil.iter_modules(__path__))
    return in_order(
        replace(module.STEP, compute=module.compute) for module in modules if hasattr(module, "STEP")
    )


def in_order(found: Iterable[Step]) -> dict[str, Step]:
    """Return steps by their table, each after those that it reads."""
    by_table = {step.table: step for step in found}
    makers = {dotted: step.table for step in by_table.values() for dotted in step.tables}
    upstream = {
        name: sorted({makers[read.table] for read in step.inputs if read.table in makers} - {name})
        for name, step in sorted(by_table.items())
    }
    return {name: by_table[name] for name in TopologicalSorter(upstream).static_order()}


def steps_of(grain: Grain) -> dict[str, Step]:
    """Return the steps whose partitions are hours, or business days."""
    return {name: step for name, step in steps().items() if step.grain == grain}


def step_of(dotted: str) -> Step:
    """Return the step that fills a table."""
    return next(step for step in steps().values() if dotted in step.tables)


def made_of() -> dict[str, list[str]]:
    """Return the tables that each computed table is made of."""
    return {
        name: sorted({read.table for read in step.inputs} - {*step.tables})
        for step in steps().values()
        for name in step.tables
    }
