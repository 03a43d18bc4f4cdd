"""What Dagster's catalog shows of a table: its columns with types and meanings, its name, and where to read more."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from models.schemas import table, tables
from models.schemas.base import duckdb_type
from pipelines.partitions import dagster_previews
from pipelines.reports.catalog import CATALOG

_EXPLORER = "http://127.0.0.1:8765/sql?q=FROM+"


def with_catalog(definitions: dg.Definitions, reports: Path) -> dg.Definitions:
    """Return definitions whose assets that are tables say what a table is.

    Args:
        definitions: of a project.
        reports: the folder in which the catalog and the daily reports are written.
    """

    def described(spec: dg.AssetSpec) -> dg.AssetSpec:
        dotted = ".".join(spec.key.path)
        if dotted not in tables():
            return spec
        spec = spec.merge_attributes(metadata=_entry(dotted, reports))
        return spec.replace_attributes(description=f"{table(dotted).grain}.")

    with dagster_previews():
        return definitions.map_asset_specs(func=described)


def _entry(dotted: str, reports: Path) -> Mapping[str, Any]:
    entry = table(dotted)
    columns = [
        dg.TableColumn(
            column.name,
            duckdb_type(column.dtype),
            column.comment,
            constraints=dg.TableColumnConstraints(nullable=not column.required),
            tags={"key": ""} if column.name in entry.key else None,
        )
        for column in entry.columns
    ]
    return {
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "dagster/table_name": f"nanodollar.{dotted}",
        "catalog": dg.MetadataValue.path(f"{reports / CATALOG}#{dotted.replace('.', '-')}"),
        "rows, while `nanodollar serve` runs": dg.MetadataValue.url(f"{_EXPLORER}{dotted}"),
    }
