"""Who served an answer in OpenAI's shape: the marks that providers leave in it, else a name that is one provider's.

Sources: the providers' API references; the servers vLLM, llama.cpp, LM Studio, Ollama and TGI; data/aliases.
"""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import polars as pl

from models.documents import read_documents
from models.json_fields import json_field

SELF_HOSTED = "self_hosted"
_OWN_SERVERS = "^(fp_ollama$|b[0-9]+-[0-9a-f]+$|[0-9.]+(-dev[0-9]*)?-(sha-)?[0-9a-f]+$)"
MARKS: tuple[tuple[str, str, str | None, str], ...] = (
    ("prompt_filter_results", "ARRAY", None, "azure.ai.openai"),
    ("content_filters", "ARRAY", None, "azure.ai.openai"),
    ("choices[0].content_filter_results", "OBJECT", None, "azure.ai.openai"),
    ("data[0].content_filter_results", "OBJECT", None, "azure.ai.openai"),
    ('headers."apim-request-id"', "TEXT", None, "azure.ai.openai"),
    ('headers."x-ms-region"', "TEXT", None, "azure.ai.openai"),
    ('headers."x-ms-deployment-name"', "TEXT", None, "azure.ai.openai"),
    ("x_groq", "OBJECT", None, "groq"),
    ("usage.queue_time", "NUMBER", None, "groq"),
    ("time_info", "OBJECT", None, "cerebras"),
    ("usage.num_sources_used", "NUMBER", None, "x_ai"),
    ("usage.cost_in_usd_ticks", "NUMBER", None, "x_ai"),
    ("usage.search_context_size", "TEXT", None, "perplexity"),
    ("usage.num_search_queries", "NUMBER", None, "perplexity"),
    ("usage.citation_tokens", "NUMBER", None, "perplexity"),
    ("citations", "ARRAY", None, "perplexity"),
    ("search_results", "ARRAY", None, "perplexity"),
    ("perf_metrics", "OBJECT", None, "fireworks"),
    ("usage.estimated_cost", "NUMBER", None, "deepinfra"),
    ("usage.extra_properties.google", "OBJECT", None, "gcp.vertex_ai"),
    ("usage.prompt_audio_seconds", "NUMBER", None, "mistral_ai"),
    ("prompt", "ARRAY", None, "together"),
    ("kv_transfer_params", "OBJECT", None, SELF_HOSTED),
    ("prompt_logprobs", "ARRAY", None, SELF_HOSTED),
    ("timings", "OBJECT", None, SELF_HOSTED),
    ("stats", "OBJECT", None, SELF_HOSTED),
    ("system_fingerprint", "TEXT", _OWN_SERVERS, SELF_HOSTED),
)  # fmt: skip
"""Marks in the order in which they count: a path, its JSON type, a pattern of its text, and who leaves it.

Headers of the answer may stand beside it. Azure's: learn.microsoft.com/azure/ai-services/openai/reference."""
_AZURE, _FOUNDRY = "azure.ai.openai", "azure.ai.inference"
_OTHERS_ON_AZURE = (
    "^(?:cohere-|embed-v|(?:meta-)?llama-|mai-|phi-|deepseek|grok-|jamba|kimi-|ministral|mistral-|codestral|"
    "gpt-oss)"
)
"""Models that Azure serves beside OpenAI's, with the same marks and prices of their own."""
_FILLED = ("prompt_filter_results", "content_filters", "citations", "search_results")
"""Lists that are a mark only with something in them."""

_SOLE = ("aws.bedrock", "deepseek", "fireworks", "moonshot_ai", "perplexity")
"""Providers whose names of models nobody else gives. Names of OpenAI's models are Azure's too, Claude's and Gemini's
other clouds', and a log that is no answer bears no mark of these."""


@cache
def _patterns() -> dict[str, str]:
    path = "aliases/model_names.yml"
    text = (files("data") / path).read_text(encoding="utf-8")
    (document,) = read_documents(text, path=f"data/{path}")
    return {provider: f"^(?:{'|'.join(patterns)})$" for provider, patterns in document.value.items()}


def owner_of(model: pl.Expr) -> pl.Expr:
    """Return the provider that alone serves a model of this name in OpenAI's shape; NULL where none does."""
    return _owner(model, _patterns())


def sole_owner(model: pl.Expr) -> pl.Expr:
    """Return the provider that alone gives a model this name, in whatever log; NULL where others may."""
    return _owner(model, {provider: _patterns()[provider] for provider in _SOLE})


def _owner(model: pl.Expr, patterns: Mapping[str, str]) -> pl.Expr:
    name = model.str.to_lowercase()
    owner = pl.lit(None, dtype=pl.String)
    for provider, pattern in patterns.items():
        owner = pl.when(name.str.contains(pattern)).then(pl.lit(provider)).otherwise(owner)
    return owner


def marked_by(mark: pl.Expr, model: pl.Expr) -> pl.Expr:
    """Return who left a mark: of Azure's two services the model tells which."""
    is_other = model.str.to_lowercase().str.contains(_OTHERS_ON_AZURE)
    return pl.when((mark == _AZURE) & is_other).then(pl.lit(_FOUNDRY)).otherwise(mark)


def mark_paths() -> tuple[str, ...]:
    """Return the paths that `mark_sql` reads."""
    return tuple(f"$.{path}" for path, _, _, _ in MARKS)


def mark_sql() -> str:
    """SQL, over the fields `m` of a body, of the provider whose mark it has. A JSON null is no mark."""
    cases = []
    for path, kind, pattern, provider in MARKS:
        value = json_field("m", f"$.{path}")
        has = {
            "ARRAY": f"starts_with({value}, '[')",
            "OBJECT": f"starts_with({value}, '{{')",
            "NUMBER": f"TRY_CAST({value} AS DOUBLE) IS NOT NULL",
            "TEXT": f"{value} <> ''",
        }[kind]
        if path in _FILLED:
            has += f" AND {value} <> '[]'"
        if pattern is not None:
            has += f" AND regexp_matches({value}, '{pattern}')"
        cases.append(f"WHEN {has} THEN '{provider}'")
    return f"CASE {' '.join(cases)} END"


def served_by(record: Mapping[str, Any]) -> str | None:
    """Return who served a parsed record, bare or in an envelope, as its rows will say; None where nothing tells."""
    held = record.get("response")
    body = held if isinstance(held, Mapping) else record
    inner = body.get("body")
    body = inner if isinstance(inner, Mapping) else body
    body = {"headers": record.get("headers")} | dict(body)
    beside = record.get("provider")
    if isinstance(beside, str) and beside:
        return beside
    names = (
        body.get("model"),
        *(record.get(f"{which}_model") for which in ("served", "routed", "requested")),
    )
    name = next((name for name in names if isinstance(name, str) and name), "").lower()
    for path, kind, pattern, provider in MARKS:
        if _is_marked(_at(body, path), kind, pattern, path):
            return _FOUNDRY if provider == _AZURE and re.search(_OTHERS_ON_AZURE, name) else provider
    return next((who for who, pattern in reversed(_patterns().items()) if re.search(pattern, name)), None)


def _at(value: Any, path: str) -> Any:
    for key, index in re.findall(r'"?([^."\[\]]+)"?|\[(\d+)\]', path):
        if index:
            value = value[int(index)] if isinstance(value, list) and len(value) > int(index) else None
        else:
            value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _is_marked(value: Any, kind: str, pattern: str | None, path: str) -> bool:
    if kind == "ARRAY":
        return isinstance(value, list) and (bool(value) or path not in _FILLED)
    if kind == "NUMBER":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "OBJECT":
        return isinstance(value, Mapping)
    return (
        isinstance(value, str) and value != "" and (pattern is None or re.search(pattern, value) is not None)
    )
