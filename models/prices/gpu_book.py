"""GPU sheets as tables: ref.gpu_prices, whose rows are bitemporal, ref.pool_models and ref.capacity_rates."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import polars as pl

from models.errors import ConfigurationError
from models.money import booked_picodollars
from models.prices.chips import chip_aliases
from models.prices.gpu_sheets import GpuSheet, Rate
from models.prices.versions import DatedStatement, Version, versions
from models.schemas import table

_Entry = tuple[GpuSheet, int, Rate]
_Key = tuple[str, str, str | None, str, str | None]
"""Vendor, chip, region, commitment and model."""


def gpu_book(sheets: Iterable[GpuSheet]) -> pl.DataFrame:
    """Return `ref.gpu_prices`, chips by the names of `ref.chips`.

    A later rate ends an earlier one from the instant at which it was known; a correction (same `valid_from`,
    later `known_from`) closes the earlier entry. Sheets of one vendor are one book: a later sheet adds to it.

    Raises:
        ConfigurationError: two sheets that state the same rate for the same time.
    """
    series: dict[_Key, list[_Entry]] = defaultdict(list)
    for sheet in sheets:
        for index, rate in enumerate(sheet.rates):
            chip = chip_aliases().get(rate.chip.lower(), rate.chip)
            series[sheet.vendor, chip, rate.region, rate.commitment, rate.model].append((sheet, index, rate))
    rows = [
        _row(key, version)
        for key, entries in sorted(series.items(), key=lambda item: tuple(part or "" for part in item[0]))
        for version in versions(_stated(key, entries))
    ]
    return table("ref.gpu_prices").frame(rows)


def pool_models(sheets: Iterable[GpuSheet]) -> pl.DataFrame:
    """Return `ref.pool_models`; of two sheets of one vendor that name a model the later counts."""
    rows = {
        (sheet.vendor, served.model): {
            "provider": sheet.vendor,
            "model": served.model,
            "model_family": served.family,
            "sheet_path": sheet.path,
        }
        for sheet in sheets
        for served in sheet.models
    }
    return table("ref.pool_models").frame(rows.values())


def capacity_rates(sheets: Iterable[GpuSheet]) -> pl.DataFrame:
    """Return `ref.capacity_rates`; of two entries of one model and day that of the later sheet counts."""
    found: dict[tuple[str, str, datetime], dict[str, Any]] = {}
    for sheet in sheets:
        for stated in sheet.capacities:
            found[sheet.vendor, stated.model.lower(), stated.valid_from] = {
                "provider": sheet.vendor,
                **stated.model_dump(exclude={"note"}),
                "model": stated.model.lower(),
                "source_url": stated.source_url or sheet.source_url,
                "sheet_path": sheet.path,
            }
    rows = pl.col("valid_from").shift(-1).over("provider", "model")
    return (
        table("ref.capacity_rates")
        .frame(found.values())
        .sort("provider", "model", "valid_from")
        .with_columns(pl.min_horizontal("valid_to", rows).alias("valid_to"))
    )


def _stated(key: _Key, entries: list[_Entry]) -> list[DatedStatement[_Entry]]:
    seen: dict[tuple[datetime, datetime], _Entry] = {}
    for entry in entries:
        sheet, index, rate = entry
        other = seen.setdefault((rate.valid_from, sheet.known_from(rate)), entry)
        if other is not entry:
            raise ConfigurationError(
                f"{sheet.path}, line {sheet.rate_line(index)}: {key[1]} from {rate.valid_from:%Y-%m-%d} is already "
                f"stated in {other[0].path}, line {other[0].rate_line(other[1])}; keep one or give a later "
                "`known_from`"
            )
    return [
        DatedStatement(entry, valid_from, entry[2].valid_to, known)
        for (valid_from, known), entry in seen.items()
    ]


def _row(key: _Key, version: Version[_Entry]) -> dict[str, Any]:
    provider, chip, region, commitment, model = key
    sheet, index, rate = version.item
    billing = rate.billing or sheet.billing
    picodollars, is_rounded = booked_picodollars(rate.usd_per_gpu_hour)
    name = "|".join(
        str(part)
        for part in (
            *(key if model else key[:-1]),
            version.valid_from,
            version.valid_to,
            version.known_from,
            rate.usd_per_gpu_hour,
            billing.model_dump_json(exclude={"note"}),
        )
    )
    return {
        "price_id": f"gpu-{hashlib.sha256(name.encode()).hexdigest()[:16]}",
        "provider": provider,
        "chip": chip,
        "region": region,
        "commitment": commitment,
        "model": model,
        "usd_per_gpu_hour": rate.usd_per_gpu_hour,
        "picodollars_per_gpu_hour": picodollars,
        "is_rounded": is_rounded,
        "granularity_seconds": billing.granularity_seconds,
        "minimum_seconds": billing.minimum_seconds,
        "free_if_interrupted_within_seconds": billing.free_if_interrupted_within_seconds
        if commitment == "spot"
        else None,
        "billed_phases": list(billing.billed_phases),
        "valid_from": version.valid_from,
        "valid_to": version.valid_to,
        "known_from": version.known_from,
        "known_to": version.known_to,
        "sheet_version": sheet.version_at(version.known_from),
        "sheet_path": sheet.path,
        "sheet_line": sheet.rate_line(index),
        "source_url": rate.source_url or sheet.source_url,
    }
