"""How much of a busy replica an attempt uses: weighted tokens, by model and chip where they were measured.

Also `weights.yml`, which states those weights and, for single pools, another rule. Quotas of tenants are in quotas.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from models.documents import Strict, read_documents
from models.schemas.vocabulary import OUTPUT_TOKEN_COLUMNS

Rule = Literal["token_share", "equal_share"]
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
SCALE = 10_000
"""Weights of a token are whole numbers of this fraction."""
Weight = Annotated[Decimal, Field(ge=0, le=1000, allow_inf_nan=False)]
_INPUT = tuple(
    f"{name}_tokens"
    for name in (
        "input_uncached", "cache_write_5m", "cache_write_1h", "audio_input", "image_input", "video_input",
        "other_input",
    )
)  # fmt: skip
_CACHED = ("cache_read_tokens", "cache_read_audio_tokens", "cache_read_image_tokens")
_SHORTEST = 1_000
"""Microseconds that an attempt is taken to last at least, so that its rate is bounded."""


@dataclass(frozen=True)
class TokenWeights:
    """What a token of each direction weighs, in SCALE-ths."""

    input: int
    cache_read: int
    output: int


DEFAULT_WEIGHTS = TokenWeights(input=4_600, cache_read=0, output=SCALE)
"""A prefilled input token weighs 0.46 of an output token: a node of the public DeepSeek day did 32.2k uncached
prefill or 14.8k decode tokens a second. Cache reads weigh nothing."""
WeightTable = Mapping[tuple[str | None, str | None], TokenWeights]
"""Weights by model and chip; None stands for any."""


class Entry(Strict):
    """Weights of one model, chip, or both, as a person writes them; a token of output usually weighs 1."""

    model: Annotated[str, Field(min_length=1)] | None = None
    chip: Annotated[str, Field(min_length=1)] | None = None
    input: Weight
    cache_read: Weight = Decimal(0)
    output: Weight = Decimal(1)
    source: str | None = None
    measured_on: date | None = None
    note: str | None = None


class PoolRule(Strict):
    """The rule of the pools that have all the dimensions given, as a person writes it."""

    provider: str | None = None
    region: str | None = None
    chip: str | None = None
    deployment: str | None = None
    commitment: str | None = None
    rule: Rule | Literal["reserved_quota"]
    quotas: dict[str, Annotated[Decimal, Field(gt=0, allow_inf_nan=False)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_quotas_where_needed(self) -> "PoolRule":
        if (self.rule == "reserved_quota") != bool(self.quotas):
            raise ValueError("quotas (of tenants) go with the rule reserved_quota, and it with them")
        return self

    def holds(self, pool: Mapping[str, str]) -> bool:
        """Return whether a pool, by its dimensions, is one of those meant."""
        return all(getattr(self, name) in (None, value) for name, value in pool.items())


class File(Strict):
    """A `weights.yml`."""

    version: Literal[1]
    weights: tuple[Entry, ...] = ()
    rules: tuple[PoolRule, ...] = ()


@dataclass(frozen=True)
class Weights:
    """What a `weights.yml` says: weights of tokens by model and chip, and rules of single pools."""

    tokens: WeightTable = field(default_factory=dict)
    rules: tuple[PoolRule, ...] = ()

    def rule_of(self, pool: Mapping[str, str]) -> PoolRule | None:
        """Return the last rule that holds for a pool; None where the project's own does."""
        return next((rule for rule in reversed(self.rules) if rule.holds(pool)), None)


def load_weights(text: str, *, path: str) -> Weights:
    """Return measured weights and rules of pools; of two entries for one pair or pool the later counts.

    Args:
        text: YAML of the file; empty when the project has none.
        path: the file, for messages.

    Raises:
        ConfigurationError: anything wrong, with file, line, key and remedy.
    """
    found: dict[tuple[str | None, str | None], TokenWeights] = {}
    rules: list[PoolRule] = []
    for document in read_documents(text, path=path):
        file = document.parse(File)
        for number, rule in enumerate(file.rules):
            if rule.holds({"provider": "", "region": "", "chip": "", "deployment": "", "commitment": ""}):
                raise document.error(
                    ("rules", number),
                    "a rule names no pool; add its deployment, or set allocation_rule of [gpu]",
                )
            rules.append(rule)
        for number, entry in enumerate(file.weights):
            if entry.model is None and entry.chip is None:
                raise document.error(
                    ("weights", number), "an entry names neither model nor chip; add one of them"
                )
            scaled = (
                int((weight * SCALE).to_integral_value())
                for weight in (entry.input, entry.cache_read, entry.output)
            )
            found[entry.model, entry.chip] = TokenWeights(*scaled)
    return Weights(found, tuple(rules))


@dataclass(frozen=True)
class Weighed:
    """Weights of units, one element each.

    Attributes:
        from_input: weighted input tokens, in SCALE-ths.
        whole: weighted tokens, at least one token, in SCALE-ths.
        rate: what the unit weighs while it works: weighted tokens a microsecond, or 1 each.
        lasts: microseconds that its attempt works in all.
    """

    from_input: Ints
    both: Ints
    whole: Ints
    rate: Floats
    lasts: Ints


def weigh(
    attempts: pl.DataFrame,
    rows: Ints,
    lasts: Ints,
    *,
    models: pl.Series,
    chips: pl.Series,
    table: WeightTable,
    is_equal: npt.NDArray[np.bool_],
) -> Weighed:
    """Weigh units, which are attempts within a slot.

    Args:
        attempts: with token columns; those that a source does not report may be absent.
        rows: the attempt of each unit.
        lasts: microseconds that it works in all.
        models: model that each unit's attempt names.
        chips: chip of the pool that each unit is tied to.
        table: measured weights; the most specific entry counts: model and chip, model, chip.
        is_equal: whether each unit weighs 1; else weighted tokens a second, constant over its attempt's life.
    """
    tokens = [_sum(attempts, columns)[rows] for columns in (_INPUT, _CACHED, OUTPUT_TOKEN_COLUMNS)]
    into, cached, out = tokens
    if table:
        weights = _looked_up(models, chips, table)
        from_input = into * weights[0] + cached * weights[1]
        both = from_input + out * weights[2]
    else:
        from_input = into * DEFAULT_WEIGHTS.input + cached * DEFAULT_WEIGHTS.cache_read
        both = from_input + out * DEFAULT_WEIGHTS.output
    whole = np.maximum(both, SCALE)
    rate = np.where(is_equal, 1.0, whole / np.maximum(lasts, _SHORTEST))
    return Weighed(from_input, both, whole, rate, lasts)


def _sum(attempts: pl.DataFrame, columns: tuple[str, ...]) -> Ints:
    found = np.zeros(attempts.height, dtype=np.int64)
    for name in columns:
        if name in attempts.columns and attempts.get_column(name).null_count() < attempts.height:
            found += attempts.get_column(name).fill_null(0).to_numpy()
    return found


def _looked_up(models: pl.Series, chips: pl.Series, table: WeightTable) -> tuple[Ints, Ints, Ints]:
    """Return input, cache and output weight of each unit."""
    pairs = pl.DataFrame({"model": models, "chip": chips})
    known = pairs.unique()
    rows: list[dict[str, object]] = []
    for model, chip in known.iter_rows():
        keys = ((model, chip), (model, None), (None, chip))
        found = next((table[key] for key in keys if key in table and key != (None, None)), DEFAULT_WEIGHTS)
        rows.append({"into": found.input, "cached": found.cache_read, "out": found.output})
    priced = known.hstack(pl.DataFrame(rows, schema={"into": pl.Int64, "cached": pl.Int64, "out": pl.Int64}))
    wide = pairs.join(priced, on=["model", "chip"], how="left", nulls_equal=True, maintain_order="left")
    return (
        wide.get_column("into").to_numpy(), wide.get_column("cached").to_numpy(), wide.get_column("out").to_numpy()
    )  # fmt: skip
