"""Who made a model and whether its weights are open: by the family of its weights, else by its own name."""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Any

import polars as pl

from models.documents import read_yaml
from models.prices.gpu_sheets import GpuSheet
from models.prices.sheet_schema import TokenSheet
from models.schemas import table

_PATH = "aliases/families.yml"


def families(tokens: Iterable[TokenSheet] = (), gpus: Iterable[GpuSheet] = ()) -> pl.DataFrame:
    """Return `ref.families`: what sheets state of their own models, then data/aliases/families.yml."""
    stated: dict[str, dict[str, Any]] = {}
    sheets: list[TokenSheet | GpuSheet] = [*tokens, *gpus]
    for sheet in sheets:
        for served in sheet.models:
            facts = {"developer": served.developer, "is_open_weights": served.is_open_weights}
            if any(fact is not None for fact in facts.values()):
                stem = (served.family or served.model).lower().rpartition("/")[2]
                stated[stem] = {"stem": stem, "is_prefix": False, **facts, "sheet_path": sheet.path}
    rows = [row for row in _known() if row["is_prefix"] or row["stem"] not in stated]
    return table("ref.families").frame([*stated.values(), *rows])


@cache
def _known() -> tuple[dict[str, Any], ...]:
    """Return the rows of data/aliases/families.yml.

    Raises:
        ConfigurationError: a name that stands there twice.
    """
    document = read_yaml((files("data") / _PATH).read_text(encoding="utf-8"), path=f"data/{_PATH}")
    rows: dict[str, dict[str, Any]] = {}
    for developer, by_access in document.value.items():
        for access, names in by_access.items():
            for name in names:
                if name in rows:
                    raise document.error((developer, access), f"{name!r} stands here twice; keep one")
                rows[name] = {
                    "stem": name.removesuffix("*"),
                    "is_prefix": name.endswith("*"),
                    "developer": developer,
                    "is_open_weights": access == "open",
                    "sheet_path": f"data/{_PATH}",
                }
    return tuple(rows.values())


def with_makers(models: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Fill `developer, is_open_weights` of models by their family, else by their own name.

    Args:
        models: `model, model_family, developer, is_open_weights`.
        known: `ref.families`; the longest stem that fits counts, an exact one before all, and what it leaves open is
            as the next one says.
    """
    facts: dict[tuple[str, bool], tuple[str | None, bool | None]] = {
        (stem, is_prefix): (developer, is_open)
        for stem, is_prefix, developer, is_open in known.select(
            "stem", "is_prefix", "developer", "is_open_weights"
        ).iter_rows()
    }
    name = pl.coalesce("model_family", "model").str.to_lowercase().str.extract(r"([^/]+)$")
    names = models.select(name).to_series().unique().drop_nulls().to_list()
    rows = []
    for each in names:
        fitting = [(each, False), *((each[:length], True) for length in range(len(each), 0, -1))]
        found = [facts[key] for key in fitting if key in facts]
        rows.append(
            {
                "name": each,
                "developer": next((developer for developer, _ in found if developer is not None), None),
                "is_open_weights": next((is_open for _, is_open in found if is_open is not None), None),
            }
        )
    schema = {"name": pl.String, "developer": pl.String, "is_open_weights": pl.Boolean}
    makers = pl.DataFrame(rows, schema=schema)
    columns = models.columns
    return (
        models.drop("developer", "is_open_weights")
        .with_columns(name=name)
        .join(makers, on="name", how="left", maintain_order="left")
        .select(columns)
    )
