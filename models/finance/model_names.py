"""Models as bills spell them (`Claude4.6Sonnet`, `gpt 4o 0806`, `Gemini 2.5 Flash`) beside the price book's names.

A spelling is its words in order of the alphabet and its numbers as they come: `Claude4.6Sonnet` and
`anthropic.claude-sonnet-4-6-v1:0` are both `claude sonnet 4 6`. It counts only where one model
of the provider has those words.
"""

import polars as pl

_DATE = r"\b(?:20)\d{2}[- ]?(\d{2})[- ]?(\d{2})\b"
_VERSION = r"(?i)[- ](?:v\d+(?::\d+)?|\d+:\d+)(?::\d+k)?$"
_PLACE = r"(?i)^(?:us|eu|apac|jp|au|global)\."
_MAKER = (
    r"(?i)^(?:[a-z0-9]+/)*(?:anthropic|amazon|meta|mistral|cohere|ai21|deepseek|qwen|openai|google|xai)\."
)
_PATH = r"^.*/"
_EMPTY = r"(?i)\b(?:instruct|latest|ga)\b"


def model_key(name: pl.Expr, *, has_date: bool = True) -> pl.Expr:
    """Return a model's words in order of the alphabet, then its numbers as they come; NULL where there are none.

    Args:
        name: as written.
        has_date: whether a date counts, as its month and day; else it is left out.
    """
    bare = name.str.replace(_PATH, "").str.replace(_PLACE, "").str.replace(_MAKER, "")
    bare = bare.str.replace(_VERSION, "").str.replace_all(r"[@:]", " ")
    bare = bare.str.replace_all(_DATE, "$1$2" if has_date else "")
    if not has_date:
        bare = bare.str.replace_all(r"\b[01]\d[0-3]\d\b", "")
    # `NovaMicro` is two words, and `2.0` is 2.
    bare = bare.str.replace_all(r"([a-z])([A-Z])", "$1 $2").str.replace_all(r"(\d)\.0(\D|$)", "$1 $2")
    # A letter alone belongs to its digit: `4o`, `o4`, `70b`.
    bare = bare.str.replace_all(r"([A-Za-z]{2})(\d)", "$1 $2").str.replace_all(r"(\d)([A-Za-z]{2})", "$1 $2")
    lower = bare.str.replace_all(_EMPTY, "").str.to_lowercase()
    words = lower.str.extract_all(r"[a-z]+[a-z0-9]*").list.sort().list.join(" ")
    numbers = lower.str.extract_all(r"\b\d+[a-z]?\b").list.join(" ")
    key = pl.concat_str(words, numbers, separator=" ").str.strip_chars()
    return pl.when(key != "").then(key)


def models_by_words(rows: pl.DataFrame, names: pl.DataFrame) -> pl.DataFrame:
    """Return `row, canonical_model` of the rows whose model's words are those of one model of the provider alone.

    Args:
        rows: `row, provider, model, charge_period_start`.
        names: `provider, alias, canonical_model, valid_from, valid_to`.
    """
    found = []
    for has_date in (True, False):
        asked = rows.select(
            "row",
            "provider",
            "charge_period_start",
            model_key(pl.col("model"), has_date=has_date).alias("key"),
        )
        known = names.with_columns(key=model_key(pl.col("alias"), has_date=has_date)).drop_nulls("key")
        start = pl.col("charge_period_start")
        hits = (
            asked.join(known, on=["provider", "key"])
            .filter(
                pl.col("valid_from") <= start, pl.col("valid_to").is_null() | (start < pl.col("valid_to"))
            )
            .group_by("row")
            .agg(pl.col("canonical_model").unique())
        )
        found.append(
            hits.filter(pl.col("canonical_model").list.len() == 1).with_columns(
                pl.col("canonical_model").list.first()
            )
        )
    return pl.concat(found).unique("row", keep="first", maintain_order=True)
