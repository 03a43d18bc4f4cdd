"""How much of a busy replica an attempt uses: weighted tokens, by model and chip where they were measured.

Also `weights.yml`, which states those weights and, for single pools, another rule. Quotas of tenants are in quotas.py;
how weights are estimated is in weight_estimates.py.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import Field, model_validator

from models.documents import Instant, Strict, read_documents
from models.schemas import table
from models.schemas.vocabulary import OUTPUT_TOKEN_COLUMNS

Rule = Literal["token_share", "equal_share", "kv_block_share"]
KV_BLOCK_TOKENS = 16
"""Tokens of a block of the key-value cache: vLLM's default (`--block-size`)."""
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
SCALE = 10_000
"""Weights of a token are whole numbers of this fraction."""
Weight = Annotated[Decimal, Field(ge=0, le=1000, allow_inf_nan=False)]
Quota = Annotated[Decimal, Field(ge=Decimal("0.000001"), le=10**12, allow_inf_nan=False)]
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
    """What a token of each direction weighs, in SCALE-ths, for attempts that start from an instant on.

    `origin` is `default`, or the file and line that state it.
    """

    input: int
    cache_read: int
    output: int
    valid_from: datetime | None = None
    origin: str = "default"


DEFAULT_WEIGHTS = TokenWeights(input=4_600, cache_read=0, output=SCALE)
"""A prefilled input token weighs 0.46 of an output token: a node of the public DeepSeek day did 32.2k uncached
prefill or 14.8k decode tokens a second. Cache reads weigh nothing."""
WeightTable = Mapping[tuple[str | None, str | None], tuple[TokenWeights, ...]]
"""Weights by model and chip, None standing for any; those of a pair in the order of `valid_from`."""


class WeightEntry(Strict):
    """Weights of one model, chip, or both, as a person writes them; a token of output usually weighs 1.

    They hold for attempts that start at `valid_from` or later, until a later entry of the same pair; always without it.
    """

    model: Annotated[str, Field(min_length=1)] | None = None
    chip: Annotated[str, Field(min_length=1)] | None = None
    input: Weight
    cache_read: Weight = Decimal(0)
    output: Weight = Decimal(1)
    valid_from: Instant | None = None
    source: str | None = None
    measured_on: date | None = None
    note: str | None = None


class PoolRule(Strict):
    """The rule of the pools that have all the dimensions given, as a person writes it.

    `overhead` says what becomes of all but serving dollars on the available basis: spread by the pool-day's weights (by
    quotas, where the rule has them), or left unallocated.
    """

    provider: str | None = None
    region: str | None = None
    chip: str | None = None
    deployment: str | None = None
    commitment: str | None = None
    rule: Rule | Literal["reserved_quota"]
    overhead: Literal["spread", "unallocated"] = "spread"
    quotas: dict[str, Quota] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _has_quotas_where_needed(self) -> "PoolRule":
        if (self.rule == "reserved_quota") != bool(self.quotas):
            raise ValueError("quotas (of tenants) go with the rule reserved_quota, and it with them")
        return self

    def holds(self, pool: Mapping[str, str]) -> bool:
        """Return whether a pool, by its dimensions, is one of those meant."""
        return all(getattr(self, name) in (None, value) for name, value in pool.items())


class WeightFile(Strict):
    """A `weights.yml`."""

    version: Literal[1]
    weights: tuple[WeightEntry, ...] = ()
    rules: tuple[PoolRule, ...] = ()


@dataclass(frozen=True)
class Weights:
    """What a `weights.yml` says: weights of tokens by model and chip, and rules of single pools."""

    tokens: WeightTable = field(default_factory=dict)
    rules: tuple[PoolRule, ...] = ()

    def of(self, model: str | None, chip: str | None, at: datetime) -> TokenWeights:
        """Return what holds at an instant: the most specific of model and chip, model, chip, the default."""
        for key in ((model, chip), (model, None), (None, chip)):
            for found in reversed(self.tokens.get(key, ())):
                if found.valid_from is None or found.valid_from <= at:
                    return found
        return DEFAULT_WEIGHTS

    def rule_of(self, pool: Mapping[str, str]) -> PoolRule | None:
        """Return the last rule that holds for a pool; None where the project's own does."""
        return next((rule for rule in reversed(self.rules) if rule.holds(pool)), None)


def load_weights(text: str, *, path: str) -> Weights:
    """Return measured weights and rules of pools; of two entries for one pair and instant, or pool, the later counts.

    Args:
        text: YAML of the file; empty when the project has none.
        path: the file, for messages.

    Raises:
        ConfigurationError: anything wrong, with file, line, key and remedy.
    """
    found: dict[tuple[str | None, str | None], dict[datetime | None, TokenWeights]] = {}
    rules: list[PoolRule] = []
    for document in read_documents(text, path=path):
        file = document.parse(WeightFile)
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
            origin = f"{path}:{document.line(('weights', number))}"
            dated = TokenWeights(
                _scaled(entry.input),
                _scaled(entry.cache_read),
                _scaled(entry.output),
                entry.valid_from,
                origin,
            )
            found.setdefault((entry.model, entry.chip), {})[entry.valid_from] = dated
    return Weights({pair: _in_order(dated.values()) for pair, dated in found.items()}, tuple(rules))


def _scaled(weight: Decimal) -> int:
    return int((weight * SCALE).to_integral_value())


def _in_order(dated: Iterable[TokenWeights]) -> tuple[TokenWeights, ...]:
    first = datetime.min.replace(tzinfo=UTC)
    return tuple(sorted(dated, key=lambda each: each.valid_from or first))


def allocation_rules(weights: Weights) -> pl.DataFrame:
    """Return `ref.allocation_rules`."""
    rows = [
        rule.model_dump(exclude={"quotas"}) | {"rule_number": number, "tenant": tenant, "quota": quota}
        for number, rule in enumerate(weights.rules, 1)
        for tenant, quota in (rule.quotas.items() or ((None, None),))
    ]
    return table("ref.allocation_rules").frame(rows)


@dataclass(frozen=True)
class UnitWeights:
    """Weights of units, one element each.

    Attributes:
        from_input: weighted input tokens, in SCALE-ths.
        whole: weighted tokens, at least one token, in SCALE-ths.
        rate: what the unit weighs while it works: weighted tokens a microsecond, or 1 each.
        lasts: microseconds that its attempt works in all.
        origin: where its weights are from; None where all are the default.
    """

    from_input: Ints
    both: Ints
    whole: Ints
    rate: Floats
    lasts: Ints
    origin: pl.Series | None


def weigh(
    attempts: pl.DataFrame,
    rows: Ints,
    lasts: Ints,
    *,
    models: pl.Series,
    chips: pl.Series,
    weights: Weights,
    is_equal: npt.NDArray[np.bool_],
    is_blocks: npt.NDArray[np.bool_],
) -> UnitWeights:
    """Weigh units, which are attempts within a slot.

    Args:
        attempts: with token columns; those that a source does not report may be absent.
        rows: the attempt of each unit.
        lasts: microseconds that it works in all.
        models: model that each attempt names.
        chips: chip of the pool that each unit is tied to.
        weights: measured weights.
        is_equal: whether each unit weighs 1, so that each pays for the seconds that it holds.
        is_blocks: whether each unit weighs the blocks of the key-value cache that its tokens fill, the cached ones too;
            else weighted tokens a second, constant over its attempt's life.
    """
    tokens = [_sum(attempts, columns)[rows] for columns in (_INPUT, _CACHED, OUTPUT_TOKEN_COLUMNS)]
    into, cached, out = tokens
    if weights.tokens:
        starts = attempts.get_column("started_at").gather(rows)
        found = _looked_up(models.gather(rows), chips, starts, weights)
        per = {name: found.get_column(name).to_numpy() for name in ("input", "cache_read", "output")}
        from_input = into * per["input"] + cached * per["cache_read"]
        both = from_input + out * per["output"]
        origin = found.get_column("origin")
    else:
        from_input = into * DEFAULT_WEIGHTS.input + cached * DEFAULT_WEIGHTS.cache_read
        both = from_input + out * DEFAULT_WEIGHTS.output
        origin = None
    whole = np.maximum(both, SCALE)
    rate = np.where(is_equal, 1.0, whole / np.maximum(lasts, _SHORTEST))
    if is_blocks.any():
        blocks = np.maximum(-(-(into + cached + out) // KV_BLOCK_TOKENS), 1)
        rate = np.where(is_blocks, blocks, rate)
    return UnitWeights(from_input, both, whole, rate, lasts, origin)


def _sum(attempts: pl.DataFrame, columns: tuple[str, ...]) -> Ints:
    found = np.zeros(attempts.height, dtype=np.int64)
    for name in columns:
        if name in attempts.columns and attempts.get_column(name).null_count() < attempts.height:
            found += attempts.get_column(name).fill_null(0).to_numpy()
    return found


def _looked_up(models: pl.Series, chips: pl.Series, starts: pl.Series, weights: Weights) -> pl.DataFrame:
    """Return `input, cache_read, output, origin` of each unit."""
    first = datetime.min.replace(tzinfo=UTC)
    edges = sorted(
        {each.valid_from for dated in weights.tokens.values() for each in dated if each.valid_from}
    )
    at = [first, *edges]
    epoch = pl.Series("epoch", edges, dtype=starts.dtype).search_sorted(starts, side="right")
    units = pl.DataFrame({"model": models, "chip": chips, "epoch": epoch})
    known = units.unique()
    found = [weights.of(model, chip, at[number]) for model, chip, number in known.iter_rows()]
    facts = {
        name: [getattr(each, name) for each in found] for name in ("input", "cache_read", "output", "origin")
    }
    return units.join(
        known.with_columns(pl.Series(name, values) for name, values in facts.items()),
        on=["model", "chip", "epoch"],
        how="left",
        nulls_equal=True,
        maintain_order="left",
    )
