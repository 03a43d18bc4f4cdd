"""Accelerators: one name each, whatever logs and sheets call them."""

import re
from functools import cache
from importlib.resources import files

import polars as pl

from models.documents import read_yaml
from models.prices.providers import provider_id
from models.schemas import table
from models.schemas.vocabulary import CAPACITY_CHIP

_GAPS = r"[\s_-]+"
"""What one writes as a dash, another as a space or an underscore."""


@cache
def chips() -> pl.DataFrame:
    """Return `ref.chips`, read from data/aliases/chips.yml.

    Raises:
        ConfigurationError: a spelling that two chips claim.
    """
    path = "aliases/chips.yml"
    document = read_yaml((files("data") / path).read_text(encoding="utf-8"), path=f"data/{path}")
    rows = [{"chip": chip, **facts} for chip, facts in document.value.items()]
    claimed: dict[str, str] = {}
    for row in rows:
        for spelling in (row["chip"], *row["aliases"]):
            if (other := claimed.setdefault(_plain(spelling), row["chip"])) != row["chip"]:
                raise document.error((row["chip"],), f"{spelling!r} also means {other!r}; keep one")
    return table("ref.chips").frame(rows).sort("chip")


@cache
def chip_aliases() -> dict[str, str]:
    """Return every known spelling (lower case) with its chip; a chip is a spelling of itself."""
    return {
        spelling.lower(): chip
        for chip, aliases in chips().select("chip", "aliases").iter_rows()
        for spelling in (chip, *aliases)
    }


def _plain(spelling: str) -> str:
    """Return a spelling without what writers differ in; `canonical_chips` does the same with columns."""
    return re.sub(_GAPS, "-", spelling.strip().lower()).removeprefix("nvidia-")


@cache
def instances() -> dict[tuple[str, str], tuple[str, int]]:
    """Return every known instance type: (provider, instance type) -> chip and how many of it."""
    path = "aliases/instances.yml"
    document = read_yaml((files("data") / path).read_text(encoding="utf-8"), path=f"data/{path}")
    return {
        (provider, instance): (chip, count)
        for provider, by_chip in document.value.items()
        for chip, counts in by_chip.items()
        for instance, count in counts.items()
    }


@cache
def billed_machines() -> pl.DataFrame:
    """Return what bills call accelerators, and machines that hold them: `provider, written, chip, count`.

    `provider` is NULL for what every provider calls so. SageMaker's machines are EC2's, Azure's have a prefix.
    """
    rows: list[tuple[str | None, str, str, int]] = [
        (None, name, chip, 1) for name, chip in chip_aliases().items()
    ]
    for (provider, instance), (chip, count) in instances().items():
        name = instance.lower()
        rows.append((provider, name, chip, count))
        if provider == "aws":
            rows.append(("aws.sagemaker", name, chip, count))
        if provider == "azure":
            bare = name.removeprefix("standard_")
            rows += [(provider, spelled, chip, count) for spelled in {bare, f"standard_{bare}"} - {name}]
    schema = {"provider": pl.String, "written": pl.String, "chip": pl.String, "count": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row").unique(["provider", "written"], keep="first")


def canonical_events(events: pl.LazyFrame) -> pl.LazyFrame:
    """Return lifecycle events with chips as `ref.chips` names them, and providers of provisioned throughput as ids.

    Units of provisioned throughput are a service's: `azure` sells machines, and as `azure.ai.openai` units. A machine
    in the chip's place (`ml.g5.12xlarge`) is its accelerators, so many where no event says how many.
    """
    machines = {name.lower(): held for (_, name), held in instances().items()}
    named = pl.col("chip").str.strip_chars().str.to_lowercase().str.strip_prefix("ml.")
    chip, count = (
        named.replace_strict(list(machines), values, default=None, return_dtype=dtype)
        for values, dtype in (
            ([chip for chip, _ in machines.values()], pl.String),
            ([count for _, count in machines.values()], pl.Int32),
        )
    )
    events = events.with_columns(
        pl.coalesce(chip, "chip").alias("chip"), pl.coalesce("chip_count", count).alias("chip_count")
    )
    is_capacity = (pl.col("chip") == CAPACITY_CHIP).any().over("source", "replica_id")
    provider = pl.when(is_capacity).then(provider_id()).otherwise("provider")
    return canonical_chips(events).with_columns(provider.alias("provider"))


def canonical_chips(events: pl.LazyFrame) -> pl.LazyFrame:
    """Return the frame with `chip` as `ref.chips` names it; an unknown spelling stays as logged and so surfaces."""
    aliases = {_plain(spelling): chip for spelling, chip in chip_aliases().items()}
    spelled = (
        pl.col("chip")
        .str.strip_chars()
        .str.to_lowercase()
        .str.replace_all(_GAPS, "-")
        .str.strip_prefix("nvidia-")
    )
    known = spelled.replace_strict(
        list(aliases), list(aliases.values()), default=None, return_dtype=pl.String
    )
    return events.with_columns(pl.coalesce(known, pl.col("chip")).alias("chip"))
