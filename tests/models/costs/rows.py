"""Rows of requests and replica events, and a vendor's rates, for the tests of what a GPU cost."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import polars as pl

from models.prices.gpu_book import gpu_book
from models.prices.gpu_sheets import load_gpu_sheets

LANDED = {"source": "s", "file_hash": "f", "line_number": 1, "record_number": 1}
"""What every landed row carries beside its record."""


def vendor_book(
    rates: Iterable[str], *, billed_phases: str, granularity_seconds: int = 1, minimum_seconds: int = 0
) -> pl.DataFrame:
    """Return the price book of one vendor's rates, each written as `chip: H100, usd_per_gpu_hour: 6, ...`."""
    lines = "\n".join(f"  - {{{rate}}}" for rate in rates)
    text = f"""
vendor: vendor
currency: USD
source_url: https://example.com
checked_on: 2025-01-01
billing:
  granularity_seconds: {granularity_seconds}
  minimum_seconds: {minimum_seconds}
  billed_phases: [{billed_phases}]
rates:
{lines}
"""
    return gpu_book(load_gpu_sheets({"vendor.yml": text}))


def replica_event(event: str, at: datetime, **facts: Any) -> dict[str, Any]:
    """Return a row of core.replica_events: one H100 of the deployment llama, on demand, landed as it happened."""
    return {
        **LANDED, "source_kind": "replica_events", "replica_id": "r1", "deployment": "llama", "chip": "H100",
        "chip_count": 1, "provider": "vendor", "region": "us-east-1", "commitment": "on_demand", "event": event,
        "event_at": at, "event_hour": at, "ingested_at": at, **facts,
    }  # fmt: skip


def fleet_attempt(name: str, start: datetime, end: datetime | None, **facts: Any) -> dict[str, Any]:
    """Return a row of core.requests: a good request to the route llama, landed as it started."""
    return {
        **LANDED, "source_kind": "requests", "request_id": name, "route": "llama", "started_at": start,
        "finished_at": end, "status": "ok", "usage_source": "provider", "is_gateway_cache_hit": False,
        "started_hour": start, "ingested_at": start, **facts,
    }  # fmt: skip
