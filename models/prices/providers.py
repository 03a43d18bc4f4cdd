"""Provider ids: the spellings of logs become OpenTelemetry's `gen_ai.provider.name` values."""

from functools import cache
from importlib.resources import files

import polars as pl

from models.documents import read_yaml

_INTERFACE = (
    r"\.(chat|responses|completions?|messages|embeddings?|image|transcription|speech|rerank|reranking|"
    r"language-model)$"
)


@cache
def provider_aliases() -> dict[str, str]:
    """Return every known spelling (lower case) with its provider id; an id is a spelling of itself.

    Raises:
        ConfigurationError: a spelling that two providers claim.
    """
    path = "aliases/providers.yml"
    text = (files("data") / path).read_text(encoding="utf-8")
    document = read_yaml(text, path=f"data/{path}")
    found: dict[str, str] = {}
    for provider, aliases in document.value.items():
        for alias in (provider, *aliases):
            if found.setdefault(alias.lower(), provider) != provider:
                raise document.error((provider,), f"{alias!r} also means {found[alias.lower()]!r}; keep one")
    return found


def canonical_providers(requests: pl.LazyFrame) -> pl.LazyFrame:
    """Return the frame with `provider` as a provider id; an unknown spelling stays and surfaces."""
    return requests.with_columns(provider_id().alias("provider"))


def provider_id() -> pl.Expr:
    """Return `provider` as a provider id; an unknown spelling as it is."""
    aliases = provider_aliases()
    spelled = pl.col("provider").str.strip_chars().str.to_lowercase()
    # The Vercel AI SDK names the interface too: `openai.responses`, `google.vertex.chat`.
    known = [
        name.replace_strict(list(aliases), list(aliases.values()), default=None, return_dtype=pl.String)
        for name in (spelled, spelled.str.replace(_INTERFACE, ""))
    ]
    return pl.coalesce(*known, pl.col("provider"))
