"""Scores of models on one scale, and how their token counts compare: what `quality.yml` says."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from models.documents import Strict, read_documents

UNSTATED_CONVERSION_ERROR = 0.15
"""How far the tokens of another family's model may be from those of the model taken where no factor is stated: an
assumption, shown as the width of the interval."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Score:
    """A model's quality, with what converts token counts to it from another model.

    Attributes:
        score: quality on any one scale.
        error: half the width of the score's interval, on the same scale.
        tokens_ratio: tokens that its tokenizer makes of a text, per token of a reference tokenizer.
        verbosity_ratio: length of its answers, per answer of a reference model.
        conversion_error: relative error of the two ratios; None where they are not stated.
    """

    score: float
    error: float = 0.0
    tokens_ratio: float = 1.0
    verbosity_ratio: float = 1.0
    conversion_error: float | None = None


class ScoreEntry(Strict):
    """What a person writes of one model."""

    score: NotNegative
    error: NotNegative | None = None
    tokens_ratio: Positive | None = None
    verbosity_ratio: Positive | None = None
    conversion_error: Annotated[float, Field(ge=0, lt=1)] | None = None
    source: str | None = None
    measured_on: date | None = None

    def as_score(self, error: float = 0.0) -> Score:
        """Return the score; `error` is that of the whole file."""
        is_stated = self.tokens_ratio is not None or self.verbosity_ratio is not None
        stated_error = self.conversion_error
        if stated_error is None and is_stated:
            stated_error = 0.0
        return Score(
            score=self.score,
            error=error if self.error is None else self.error,
            tokens_ratio=self.tokens_ratio or 1.0,
            verbosity_ratio=self.verbosity_ratio or 1.0,
            conversion_error=stated_error,
        )


def _entry(value: object) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"score": value} if is_number else value


Scored = Annotated[ScoreEntry, BeforeValidator(_entry, json_schema_input_type=NotNegative | ScoreEntry)]


class QualityFile(Strict):
    """A file of scores; `source` and `measured_on` are of all models that do not state their own."""

    version: Literal[1]
    source: Annotated[str, Field(min_length=1)]
    measured_on: date
    error: NotNegative = 0.0
    models: dict[str, Scored]


def scores(text: str, *, path: str) -> Mapping[str, Score]:
    """Return the score of each model family (or model) of a `quality.yml`; of several documents the later wins.

    Raises:
        ConfigurationError: anything wrong, with file, line, key and remedy.
    """
    found: dict[str, Score] = {}
    for document in read_documents(text, path=path):
        file = document.parse(QualityFile)
        found |= {name: entry.as_score(file.error) for name, entry in file.models.items()}
    return found


def score_of(quality: Mapping[str, Score], family: str | None, model: str | None) -> Score | None:
    """Return the score of a model, else of its family."""
    found = quality.get(model or "")
    return quality.get(family or "") if found is None else found


def conversion(
    quality: Mapping[str, Score], taken: tuple[Any, Any], other: tuple[Any, Any]
) -> tuple[float, float, float]:
    """Return what turns input and output tokens of one model into those of another, and the relative error.

    Args:
        quality: scores.
        taken: family and model whose tokens were counted.
        other: family and model that would have done the work.
    """
    if taken[0] == other[0]:
        return 1.0, 1.0, 0.0
    here, there = (score_of(quality, *place) for place in (taken, other))
    if here is None or there is None or here.conversion_error is None or there.conversion_error is None:
        return 1.0, 1.0, UNSTATED_CONVERSION_ERROR
    tokens = there.tokens_ratio / here.tokens_ratio
    verbosity = there.verbosity_ratio / here.verbosity_ratio
    return tokens, tokens * verbosity, here.conversion_error + there.conversion_error
