"""Who serves what at the sample company: one lane per route, task class and model. Not the traffic itself."""

from dataclasses import dataclass
from typing import Literal

Plant = Literal[
    "", "fallback", "unknown_model", "price_change", "dearer_provider", "overpowered", "policy_violation"
]
Mixture = tuple[tuple[float, float, float], ...]
"""Components of a lognormal mixture: weight, median, sigma."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How long prompts and answers are, in tokens."""

    prompt: Mixture
    answer: Mixture
    prompt_at_most: int
    answer_at_most: int


SHAPES = {
    # Means as in the published Azure LLM traces: code 2,048 in and 28 out, conversation 1,155 in and 211 out.
    "code": Shape(
        prompt=((0.75, 1300, 0.6), (0.25, 3600, 0.5)),
        answer=((0.8, 12, 0.5), (0.2, 55, 0.9)),
        prompt_at_most=7_437,
        answer_at_most=1_899,
    ),
    "conversation": Shape(
        prompt=((0.65, 950, 0.35), (0.25, 300, 0.7), (0.10, 3900, 0.12)),
        answer=((0.5, 110, 0.4), (0.5, 278, 0.45)),
        prompt_at_most=14_050,
        answer_at_most=1_000,
    ),
    "summary": Shape(
        prompt=((1.0, 7000, 0.5),), answer=((1.0, 380, 0.4),), prompt_at_most=60_000, answer_at_most=2_000
    ),
    "embedding": Shape(prompt=((1.0, 300, 0.6),), answer=(), prompt_at_most=8_000, answer_at_most=0),
    "long": Shape(
        prompt=((1.0, 12_000, 0.3),), answer=((1.0, 700, 0.3),), prompt_at_most=60_000, answer_at_most=3_000
    ),
}


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """A provider as the gateway spells it and as OpenTelemetry does."""

    gateway: str
    otel: str
    api_base: str
    first_token_seconds: float
    tokens_per_second: float


OPENAI = Vendor(
    gateway="openai",
    otel="openai",
    api_base="https://api.openai.com/v1",
    first_token_seconds=0.55,
    tokens_per_second=85,
)
ANTHROPIC = Vendor(
    gateway="anthropic",
    otel="anthropic",
    api_base="https://api.anthropic.com",
    first_token_seconds=0.9,
    tokens_per_second=70,
)
GEMINI = Vendor(
    gateway="gemini",
    otel="gcp.gemini",
    api_base="https://generativelanguage.googleapis.com/v1beta",
    first_token_seconds=0.5,
    tokens_per_second=150,
)
BEDROCK = Vendor(
    gateway="bedrock",
    otel="aws.bedrock",
    api_base="https://bedrock-runtime.us-east-1.amazonaws.com",
    first_token_seconds=0.7,
    tokens_per_second=60,
)
TOGETHER = Vendor(
    gateway="together_ai",
    otel="together",
    api_base="https://api.together.xyz/v1",
    first_token_seconds=0.6,
    tokens_per_second=80,
)
FIREWORKS = Vendor(
    gateway="fireworks_ai",
    otel="fireworks",
    api_base="https://api.fireworks.ai/inference/v1",
    first_token_seconds=0.6,
    tokens_per_second=90,
)
GROQ = Vendor(
    gateway="groq",
    otel="groq",
    api_base="https://api.groq.com/openai/v1",
    first_token_seconds=0.2,
    tokens_per_second=280,
)
CEREBRAS = Vendor(
    gateway="cerebras",
    otel="cerebras",
    api_base="https://api.cerebras.ai/v1",
    first_token_seconds=0.15,
    tokens_per_second=1500,
)
EXAMPLE_AI = Vendor(
    gateway="example_ai",
    otel="example_ai",
    api_base="https://api.example.com/v1",
    first_token_seconds=0.6,
    tokens_per_second=75,
)

Rates = tuple[float, float, float, float]
"""Dollars per million tokens by the gateway's own price map: input, cache read, cache write, output."""

EXAMPLE_RATES: Rates = (0.40, 0.40, 0.40, 1.20)
EXAMPLE_NEW_RATES: Rates = (0.60, 0.60, 0.60, 1.80)
_LLAMA_GROQ: Rates = (0.59, 0.59, 0.59, 0.79)
_LLAMA_TOGETHER: Rates = (0.88, 0.88, 0.88, 0.88)
_LLAMA_FIREWORKS: Rates = (0.90, 0.90, 0.90, 0.90)
_LLAMA_CEREBRAS: Rates = (0.85, 0.85, 0.85, 1.20)
_LLAMA_BEDROCK: Rates = (0.72, 0.72, 0.72, 0.72)
_GPT_4O: Rates = (2.5, 1.25, 2.5, 10.0)
_SONNET: Rates = (3.0, 0.3, 3.75, 15.0)
_HAIKU: Rates = (1.0, 0.1, 1.25, 5.0)
_FLASH: Rates = (0.3, 0.03, 0.3, 2.5)
_LLAMA_AT_TOGETHER = "meta-llama/Llama-3.3-70B-Instruct-Turbo"
_LLAMA_AT_FIREWORKS = "accounts/fireworks/models/llama-v3p3-70b-instruct"
_LLAMA_AT_BEDROCK = "meta.llama3-3-70b-instruct-v1:0"


@dataclass(frozen=True, kw_only=True)
class Lane:
    """Traffic of one route and task class that one vendor's model serves.

    `weight` is the share of ordinary traffic; planted lanes have none. `cached` is the share of a prompt that a
    session's later calls read from the provider's cache, `reasons` that of an answer spent on reasoning.
    """

    route: str
    task_class: str
    vendor: Vendor
    model: str
    rates: Rates
    shape: str
    weight: float = 0.0
    cached: float = 0.0
    is_cache_written: bool = False
    reasons: float = 0.0
    plant: Plant = ""


# The router is right on ordinary traffic: a lane without a plant is the cheapest that the policy allows, whatever
# the mix of tokens (data/samples/routing.yml).
LANES: tuple[Lane, ...] = (
    Lane(
        route="support", task_class="simple", vendor=OPENAI, model="gpt-4o-mini", rates=(0.15, 0.075, 0.15, 0.6),
        shape="conversation", weight=22, cached=0.6,
    ),
    Lane(
        route="support", task_class="complex", vendor=OPENAI, model="gpt-5-mini", rates=(0.25, 0.025, 0.25, 2.0),
        shape="conversation", weight=12, cached=0.5, reasons=0.4,
    ),
    Lane(
        route="support", task_class="regulated", vendor=OPENAI, model="gpt-4o", rates=_GPT_4O,
        shape="conversation", weight=4, cached=0.5,
    ),
    Lane(
        route="coding", task_class="simple", vendor=ANTHROPIC, model="claude-haiku-4-5", rates=_HAIKU,
        shape="code", weight=12, cached=0.7, is_cache_written=True,
    ),
    Lane(
        route="coding", task_class="complex", vendor=ANTHROPIC, model="claude-sonnet-4-5", rates=_SONNET,
        shape="code", weight=10, cached=0.75, is_cache_written=True,
    ),
    Lane(
        route="coding", task_class="preview", vendor=OPENAI, model="house-ultra-preview", rates=(0, 0, 0, 0),
        shape="code", weight=0.6, plant="unknown_model",
    ),
    Lane(
        route="search", task_class="simple", vendor=GROQ, model="llama-3.3-70b-versatile", rates=_LLAMA_GROQ,
        shape="conversation", weight=12,
    ),
    Lane(
        route="search", task_class="complex", vendor=GEMINI, model="gemini-2.5-flash", rates=_FLASH,
        shape="conversation", weight=7, cached=0.4, reasons=0.3,
    ),
    Lane(
        route="search", task_class="instant", vendor=CEREBRAS, model="llama-3.3-70b", rates=_LLAMA_CEREBRAS,
        shape="conversation", weight=4,
    ),
    Lane(
        route="search", task_class="index", vendor=OPENAI, model="text-embedding-3-small",
        rates=(0.02, 0.02, 0.02, 0.0), shape="embedding", weight=8,
    ),
    Lane(
        route="batch_summaries", task_class="simple", vendor=BEDROCK, model=_LLAMA_AT_BEDROCK,
        rates=_LLAMA_BEDROCK, shape="summary", weight=4,
    ),
    Lane(
        route="batch_summaries", task_class="complex", vendor=TOGETHER, model=_LLAMA_AT_TOGETHER,
        rates=_LLAMA_TOGETHER, shape="summary", weight=2,
    ),
    Lane(
        route="batch_summaries", task_class="long", vendor=FIREWORKS, model=_LLAMA_AT_FIREWORKS,
        rates=_LLAMA_FIREWORKS, shape="long", weight=1,
    ),
    Lane(
        route="batch_summaries", task_class="draft", vendor=EXAMPLE_AI, model="sample-chat-1",
        rates=EXAMPLE_RATES, shape="summary", weight=2, plant="price_change",
    ),
    # Where the gateway falls back to, one per route.
    Lane(
        route="support-fallback", task_class="any", vendor=ANTHROPIC, model="claude-haiku-4-5", rates=_HAIKU,
        shape="conversation", plant="fallback",
    ),
    Lane(
        route="coding-fallback", task_class="any", vendor=BEDROCK,
        model="anthropic.claude-sonnet-4-5-20250929-v1:0", rates=_SONNET, shape="code", plant="fallback",
    ),
    Lane(
        route="search-fallback", task_class="any", vendor=FIREWORKS, model=_LLAMA_AT_FIREWORKS,
        rates=_LLAMA_FIREWORKS, shape="conversation", plant="fallback",
    ),
    Lane(
        route="batch_summaries-fallback", task_class="any", vendor=GEMINI, model="gemini-2.5-flash",
        rates=_FLASH, shape="summary", plant="fallback",
    ),
    # Routing mistakes: long prompts, so that each costs more than a rounding error; nothing cached.
    Lane(
        route="search", task_class="simple", vendor=TOGETHER, model=_LLAMA_AT_TOGETHER, rates=_LLAMA_TOGETHER,
        shape="long", plant="dearer_provider",
    ),
    Lane(
        route="search", task_class="simple", vendor=FIREWORKS, model=_LLAMA_AT_FIREWORKS,
        rates=_LLAMA_FIREWORKS, shape="long", plant="dearer_provider",
    ),
    Lane(
        route="support", task_class="simple", vendor=OPENAI, model="gpt-4o", rates=_GPT_4O, shape="long",
        plant="overpowered",
    ),
    Lane(
        route="support", task_class="simple", vendor=ANTHROPIC, model="claude-sonnet-4-5", rates=_SONNET,
        shape="long", plant="overpowered",
    ),
    Lane(
        route="coding", task_class="simple", vendor=OPENAI, model="gpt-4o", rates=_GPT_4O, shape="long",
        plant="policy_violation",
    ),
    Lane(
        route="batch_summaries", task_class="simple", vendor=CEREBRAS, model="llama-3.3-70b",
        rates=_LLAMA_CEREBRAS, shape="long", plant="policy_violation",
    ),
)  # fmt: skip

MISTAKES: tuple[Plant, ...] = ("dearer_provider", "overpowered", "policy_violation")
TENANTS = ("harbor", "lantern", "meadow", "quarry", "willow")
TENANT_SHARES = (0.4, 0.25, 0.18, 0.12, 0.05)
