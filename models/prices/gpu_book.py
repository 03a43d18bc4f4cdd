"""ref.gpu_prices: GPU sheets as bitemporal rows, so that what was known at any instant is one filter."""

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
from models.schemas import table

_Entry = tuple[GpuSheet, int, Rate]


def gpu_book(sheets: Iterable[GpuSheet]) -> pl.DataFrame:
    """Return `ref.gpu_prices`, chips by the names of `ref.chips`.

    A later rate ends an earlier one from the instant at which it was known; a correction (same `valid_from`,
    later `known_from`) closes the earlier entry. Sheets of one vendor are one book: a later sheet adds to it.

    Raises:
        ConfigurationError: two sheets that state the same rate for the same time.
    """
    series: dict[tuple[str, str, str | None, str], list[_Entry]] = defaultdict(list)
    for sheet in sheets:
        for index, rate in enumerate(sheet.rates):
            chip = chip_aliases().get(rate.chip.lower(), rate.chip)
            series[sheet.vendor, chip, rate.region, rate.commitment].append((sheet, index, rate))
    rows = [
        row for key in sorted(series, key=lambda key: tuple(part or "" for part in key))
        for row in _rows(key, series[key])
    ]  # fmt: skip
    return table("ref.gpu_prices").frame(rows)


def _rows(key: tuple[str, str, str | None, str], entries: list[_Entry]) -> list[dict[str, Any]]:
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
    moments = sorted({known for _, known in seen})
    rows: list[dict[str, Any]] = []
    open_rows: dict[tuple[str, int, datetime | None], dict[str, Any]] = {}
    for moment in moments:
        current: dict[datetime, tuple[datetime, _Entry]] = {}
        for (valid_from, known), entry in seen.items():
            if known <= moment and (valid_from not in current or current[valid_from][0] < known):
                current[valid_from] = (known, entry)
        timeline = sorted(current.items())
        held: dict[tuple[str, int, datetime | None], dict[str, Any]] = {}
        for position, (_, (_, (sheet, index, rate))) in enumerate(timeline):
            following = timeline[position + 1][0] if position + 1 < len(timeline) else None
            ends = min((end for end in (rate.valid_to, following) if end is not None), default=None)
            identity = (sheet.path, index, ends)
            if identity in open_rows:
                held[identity] = open_rows.pop(identity)
            else:
                held[identity] = _row(key, (sheet, index, rate), ends, moment)
                rows.append(held[identity])
        for closed in open_rows.values():
            closed["known_to"] = moment
        open_rows = held
    return rows


def _row(
    key: tuple[str, str, str | None, str], entry: _Entry, valid_to: datetime | None, known_from: datetime
) -> dict[str, Any]:
    provider, chip, region, commitment = key
    sheet, index, rate = entry
    picodollars, is_rounded = booked_picodollars(rate.usd_per_gpu_hour)
    name = "|".join(
        str(part) for part in (*key, rate.valid_from, valid_to, known_from, rate.usd_per_gpu_hour)
    )
    return {
        "price_id": f"gpu-{hashlib.sha256(name.encode()).hexdigest()[:16]}",
        "provider": provider,
        "chip": chip,
        "region": region,
        "commitment": commitment,
        "usd_per_gpu_hour": rate.usd_per_gpu_hour,
        "picodollars_per_gpu_hour": picodollars,
        "is_rounded": is_rounded,
        "granularity_seconds": sheet.billing.granularity_seconds,
        "minimum_seconds": sheet.billing.minimum_seconds,
        "billed_phases": list(sheet.billing.billed_phases),
        "valid_from": rate.valid_from,
        "valid_to": valid_to,
        "known_from": known_from,
        "known_to": None,
        "sheet_version": sheet.version,
        "sheet_path": sheet.path,
        "sheet_line": sheet.rate_line(index),
        "source_url": rate.source_url or sheet.source_url,
    }
