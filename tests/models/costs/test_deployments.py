"""Names of a project's own, capacity paid by the hour, fine-tunes, and rates that no sheet states."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

from models.costs.deployments import deployed
from models.costs.token_costs import price_requests
from models.errors import ConfigurationError
from models.prices.deployments import load_deployments
from models.prices.sheets import load_token_sheets
from models.prices.token_book import model_aliases, token_book, unpriced_models
from models.schemas import table

AT = datetime(2026, 6, 10, 12, tzinfo=UTC)
HEAD = "source_url: https://example.com\nchecked_on: 2026-01-01\n"
BEDROCK = f"""\
provider: aws.bedrock
{HEAD}models:
  - model: us.anthropic.claude-sonnet-4-5
    aliases: [bedrock/us.anthropic.claude-sonnet-4-5]
    prices:
      - valid_from: 2026-01-01
        usd_per_mtok: {{input_uncached: 3.3, cache_read: 0.33, output: 16.5}}
        tiers: {{batch: {{multiplier: 0.5}}}}
        regions: {{eu-west-1: {{multiplier: 2}}}}
"""
OPENAI = f"""\
provider: openai
{HEAD}models:
  - model: "ft:gpt-4o-mini-2024-07-18"
    prices: [{{valid_from: 2026-01-01, usd_per_mtok: {{input_uncached: 0.3, output: 1.2}}}}]
  - model: gpt-4o-mini
    prices: [{{valid_from: 2026-01-01, usd_per_mtok: {{input_uncached: 0.15, cache_read: null, output: 0.6}}}}]
  - model: mine
    aliases: ["ft:gpt-4o-mini:acme:own:1"]
    prices: [{{valid_from: 2026-01-01, usd_per_mtok: {{input_uncached: 9, output: 9}}}}]
"""
PROFILE = "arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/abcd"
NAMES = f"""\
provider: aws.bedrock
{HEAD}models:
  - model: bedrock/us.anthropic.claude-sonnet-4-5
    aliases: [profile-by-sheet]
"""
CLAUDE = "us.anthropic.claude-sonnet-4-5"
DEPLOYMENTS = f"""\
checked_on: 2026-02-01
deployments:
  - {{alias: "{PROFILE}", provider: bedrock, model: {CLAUDE}}}
  - {{alias: house, provider: openai, model: gpt-4o-mini, valid_from: 2026-03-01}}
  - alias: house
    provider: aws.bedrock
    model: {CLAUDE}
    region: eu-west-1
    service_tier: batch
    valid_from: 2026-06-01
  - {{alias: my-ptu, provider: azure, model: gpt-4o, pool: ptu-east}}
"""
TOKENS = {"input_uncached_tokens": 100_000, "output_text_tokens": 10_000}


def costs(rows: list[dict[str, Any]], *, known_at: datetime = AT) -> dict[str, dict[str, Any]]:
    """Price rows by the sheets and deployments above; each is named by its id."""
    plain = {
        "source": "s", "source_kind": "requests", "started_at": AT, "finished_at": AT, "status": "ok",
        "usage_source": "provider", "is_gateway_cache_hit": False,
    }  # fmt: skip
    requests = table("core.requests").frame([plain | row for row in rows])
    sheets = load_token_sheets({"bedrock.yml": BEDROCK, "openai.yml": OPENAI, "names.yml": NAMES})
    said = load_deployments(DEPLOYMENTS, path="deployments.yml")
    found = price_requests(
        deployed(requests, said, as_known_at=known_at).lazy(),
        book=token_book(sheets).lazy(), models=model_aliases(sheets).lazy(), time_zone="UTC",
        as_known_at=known_at, from_hour=datetime(2026, 1, 1, tzinfo=UTC), to_hour=AT + timedelta(hours=1),
    ).collect()  # fmt: skip
    return {row["request_id"]: row for row in found.iter_rows(named=True)}


def call(name: str, **fields: Any) -> dict[str, Any]:
    return {"request_id": name, "provider": "openai"} | TOKENS | fields


def test_a_name_of_the_projects_own_has_the_price_of_what_it_means() -> None:
    body = "claude-sonnet-4-5-20250929"
    found = costs([
        call("profile", provider="aws.bedrock", routed_model=PROFILE, served_model=body),
        call("by a sheet", provider="aws.bedrock", served_model="profile-by-sheet"),
        call("by its route", provider=None, route="house", requested_model="house", service_tier="priority"),
        call("before", provider=None, requested_model="house", started_at=datetime(2026, 5, 1, tzinfo=UTC)),
        call("before any", provider=None, requested_model="house", started_at=datetime(2026, 2, 1, tzinfo=UTC)),
        call("not mapped", provider="aws.bedrock", routed_model=PROFILE + "e", served_model=PROFILE + "e"),
    ])  # fmt: skip
    assert {name: row["effective_usd"] for name, row in found.items()} == {
        "profile": Decimal("0.495"),
        "by a sheet": Decimal("0.495"),
        "by its route": Decimal("0.495"),
        "before": Decimal("0.021"),
        "before any": None,
        "not mapped": None,
    }
    moved = found["by its route"]
    dimensions = [moved[name] for name in ("provider", "region", "service_tier", "model")]
    assert dimensions == ["aws.bedrock", "eu-west-1", "batch", "us.anthropic.claude-sonnet-4-5"]
    unknown = costs(
        [call("profile", provider="aws.bedrock", routed_model=PROFILE)],
        known_at=datetime(2026, 1, 20, tzinfo=UTC),
    )
    assert unknown["profile"]["unpriced_reason"] == "unknown_model"


def test_tokens_of_capacity_paid_by_the_hour_are_free_with_its_name() -> None:
    found = costs([
        call("by arn", provider="aws.bedrock", served_model="arn:x:provisioned-model/y", service_tier="provisioned"),
        call("reserved", provider="aws.bedrock", served_model=CLAUDE, service_tier="reserved"),
        call("mapped", provider=None, requested_model="my-ptu"),
        call("spillover", provider="aws.bedrock", served_model=CLAUDE, service_tier="spillover"),
    ])  # fmt: skip
    columns = ("price_state", "list_usd", "effective_usd", "deployment", "price_id")
    assert {
        name: [row[column] for column in columns] for name, row in found.items() if name != "spillover"
    } == {
        "by arn": ["free", 0, 0, "arn:x:provisioned-model/y", None],
        "reserved": ["free", 0, 0, "us.anthropic.claude-sonnet-4-5", None],
        "mapped": ["free", 0, 0, "ptu-east", None],
    }
    assert found["mapped"]["provider"] == "azure.ai.openai"
    assert found["spillover"]["effective_usd"] == Decimal("0.495")
    assert found["spillover"]["deployment"] is None


def test_a_fine_tune_costs_what_the_sheet_asks_for_fine_tunes_of_its_base() -> None:
    found = costs([
        call("known base", served_model="ft:gpt-4o-mini-2024-07-18:acme::AbC123"),
        call("named itself", served_model="ft:gpt-4o-mini:acme:own:1"),
        call("no rates", served_model="ft:gpt-4o-mini:acme:other:2"),
    ])  # fmt: skip
    assert [row["effective_usd"] for row in found.values()] == [Decimal("0.042"), Decimal("0.99"), None]
    assert found["known base"]["model"] == "ft:gpt-4o-mini-2024-07-18"
    assert found["no rates"]["unpriced_reason"] == "unknown_model"


def test_cache_reads_cost_the_input_rate_where_no_discount_is_stated_and_nothing_where_not_offered() -> None:
    cached = {"cache_read_tokens": 50_000}
    found = costs([
        call("no discount", served_model="ft:gpt-4o-mini-2024-07-18:a::1", **cached),
        call("stated", provider="aws.bedrock", served_model=CLAUDE, **cached),
        call("not offered", served_model="gpt-4o-mini", **cached, audio_output_tokens=3),
    ])  # fmt: skip
    columns = ("effective_usd", "assumed_meters", "unpriced_meters")
    assert {name: [row[column] for column in columns] for name, row in found.items()} == {
        "no discount": [Decimal("0.057"), "cache_read", None],
        "stated": [Decimal("0.5115"), None, None],
        "not offered": [None, None, "cache_read, audio_output"],
    }
    book = token_book(load_token_sheets({"openai.yml": OPENAI}))
    assumed = book.filter(pl.col("is_assumed")).select("model", "meter", "usd_per_mtok").rows()
    assert {row for row in assumed if row[1] == "cache_read"} == {
        ("ft:gpt-4o-mini-2024-07-18", "cache_read", Decimal("0.3")),
        ("mine", "cache_read", Decimal(9)),
    }


def test_images_of_a_prompt_cost_what_text_does_where_no_rate_of_theirs_is_stated() -> None:
    # ai.google.dev/gemini-api/docs/pricing: one input rate for "text / image / video", another for audio
    seen = {"image_input_tokens": 1000, "cache_read_image_tokens": 1000, "audio_input_tokens": None}
    found = costs([
        call("plain", served_model="ft:gpt-4o-mini-2024-07-18:a::1", **seen),
        call("cache not offered", served_model="gpt-4o-mini", **seen),
        call("heard", served_model="ft:gpt-4o-mini-2024-07-18:a::1", **(seen | {"audio_input_tokens": 5})),
    ])  # fmt: skip
    # Beside what the call costs without them: 2,000 at the fine-tune's input rate of $0.30.
    assert found["plain"]["effective_usd"] == Decimal("0.042") + Decimal("0.0006")
    assert found["plain"]["assumed_meters"] == "image_input, cache_read_image"
    assert found["cache not offered"]["unpriced_meters"] == "cache_read_image"
    assert found["heard"]["unpriced_meters"] == "audio_input"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("deployments: [{alias: a}]", "write `provider`, `model`"),
        ("deployments: [{alias: a, modle: b}]", "unknown key 'modle'"),
        ("deployments: [{alias: a, model: b}, {alias: a, model: c}]", "'a' is written twice from one day"),
        ("deployments: [{alias: a, model: b, valid_from: 2026-02-01, valid_to: 2026-01-01}]", "ends before"),
    ],
)
def test_a_mistake_in_deployments_is_one_sentence_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence) as error:
        load_deployments(text, path="deployments.yml")
    assert str(error.value).startswith("deployments.yml, line 1: ")


def test_an_entry_that_only_adds_names_needs_a_model_that_a_sheet_prices() -> None:
    sheets = load_token_sheets({"bedrock.yml": BEDROCK, "names.yml": NAMES})
    assert unpriced_models(sheets) == []
    (problem,) = unpriced_models(load_token_sheets({"names.yml": NAMES}))
    assert "names.yml, line 5" in str(problem)
    assert "no sheet of aws.bedrock prices it" in str(problem)
