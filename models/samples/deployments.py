"""The owned GPU fleet: which deployment serves which model on which chip, and how it scales. Not when."""

from dataclasses import dataclass

from models.samples.lanes import SHAPES, Shape

FLEET_SHAPES = {
    **SHAPES,
    "report": Shape(
        prompt=((1.0, 9000, 0.7),), answer=((1.0, 2600, 0.6),), prompt_at_most=90_000, answer_at_most=16_000
    ),
    "reasoning": Shape(
        prompt=((1.0, 4000, 0.6),), answer=((1.0, 9000, 0.6),), prompt_at_most=40_000, answer_at_most=32_000
    ),
    "rewrite": Shape(
        prompt=((1.0, 3000, 0.6),), answer=((1.0, 2000, 0.5),), prompt_at_most=20_000, answer_at_most=8_000
    ),
}


@dataclass(frozen=True, kw_only=True)
class SampleDeployment:
    """Replicas of one model on one pool, scaled between `least` and `most` by the rhythm of the day.

    `waiting, pulling, loading` are the usual seconds of a start's phases; `weight` is the share of the fleet's
    calls; `is_named_by_replica` tells whether its requests name the replica or only the deployment, as route.
    """

    name: str
    model: str
    provider: str
    region: str
    chip: str
    chip_count: int
    least: int
    most: int
    waiting: int
    pulling: int
    loading: int
    route: str
    task_class: str
    shape: str
    weight: float
    tokens_per_second: float
    commitment: str = "on_demand"
    cached: float = 0.0
    reasons: float = 0.0
    is_named_by_replica: bool = True


DEPLOYMENTS: tuple[SampleDeployment, ...] = (
    SampleDeployment(
        name="llama-70b-chat", model="llama-3.3-70b-instruct", provider="nebius", region="eu-north1",
        chip="H200", chip_count=1, least=1, most=3, waiting=40, pulling=70, loading=110,
        route="support", task_class="chat", shape="report", weight=24, tokens_per_second=28, cached=0.5,
    ),
    SampleDeployment(
        name="qwen-32b-code", model="qwen3-32b", provider="coreweave", region="us-east-04a",
        chip="H100", chip_count=1, commitment="committed", least=1, most=3, waiting=30, pulling=60, loading=80,
        route="coding", task_class="review", shape="report", weight=20, tokens_per_second=35, cached=0.6,
    ),
    SampleDeployment(
        name="deepseek-r1-reason", model="deepseek-r1-distill-70b", provider="nebius", region="us-central1",
        chip="B200", chip_count=2, least=0, most=2, waiting=60, pulling=90, loading=240,
        route="coding", task_class="reasoning", shape="reasoning", weight=9, tokens_per_second=55, reasons=0.8,
    ),
    SampleDeployment(
        name="llama-8b-search", model="llama-3.1-8b-instruct", provider="gcp", region="us-central1",
        chip="A100", chip_count=1, least=1, most=3, waiting=50, pulling=45, loading=35,
        route="llama-8b-search", task_class="rewrite", shape="rewrite", weight=18, tokens_per_second=25,
        is_named_by_replica=False,
    ),
    SampleDeployment(
        name="bge-embed", model="bge-m3", provider="aws", region="us-east-1",
        chip="L4", chip_count=1, least=0, most=2, waiting=45, pulling=25, loading=12,
        route="search", task_class="index", shape="embedding", weight=6, tokens_per_second=2000,
    ),
    SampleDeployment(
        name="mistral-24b-summaries", model="mistral-small-24b", provider="vultr", region="ewr",
        chip="MI300X", chip_count=1, least=0, most=2, waiting=90, pulling=80, loading=90,
        route="batch_summaries", task_class="report", shape="report", weight=7, tokens_per_second=18,
    ),
    SampleDeployment(
        name="llama-70b-night", model="llama-3.3-70b-instruct", provider="nebius", region="eu-north1",
        chip="H100", chip_count=2, commitment="spot", least=0, most=3, waiting=50, pulling=70, loading=110,
        route="batch_summaries", task_class="overnight", shape="report", weight=8, tokens_per_second=25,
    ),
    SampleDeployment(
        name="llama-8b-neuron", model="llama-3.1-8b-instruct", provider="aws", region="us-east-1",
        chip="Trainium1", chip_count=1, least=0, most=2, waiting=60, pulling=60, loading=150,
        route="support", task_class="triage", shape="rewrite", weight=7, tokens_per_second=18,
    ),
    SampleDeployment(
        name="rerank-inf2", model="bge-reranker-v2", provider="aws", region="us-east-1",
        chip="Inferentia2", chip_count=1, least=0, most=2, waiting=60, pulling=40, loading=70,
        route="search", task_class="rerank", shape="embedding", weight=5, tokens_per_second=2000,
    ),
    SampleDeployment(
        name="gemma-12b-tpu", model="gemma-3-12b-it", provider="gcp", region="us-west4",
        chip="TPU-v5e", chip_count=1, least=0, most=2, waiting=80, pulling=50, loading=120,
        route="support", task_class="drafts", shape="report", weight=7, tokens_per_second=22,
    ),
)  # fmt: skip
