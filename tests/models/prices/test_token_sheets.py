from datetime import UTC, date, datetime
from decimal import Decimal

import polars as pl
import pytest

from models.errors import ConfigurationError
from models.prices.ages import age_lines
from models.prices.builtin import builtin_token_sheets
from models.prices.providers import canonical_providers, provider_aliases
from models.prices.sheets import load_token_sheets
from models.prices.token_book import model_aliases, token_book
from models.schemas import table

SHEET = """\
provider: example
source_url: https://example.com/pricing
checked_on: 2026-01-15
models:
  - model: m1
    aliases: [example/m1]
    prices:
      - valid_from: 2025-01-01
        usd_per_mtok: {input_uncached: 0.88, cache_read: 0.44, cache_write_5m: null, output: 0.88}
        tiers: {batch: {multiplier: 0.5}}
"""


def book(text: str = SHEET) -> pl.DataFrame:
    return token_book(load_token_sheets({"prices/tokens/example.yml": text}))


@pytest.mark.parametrize(
    ("find", "put", "line", "says"),
    [
        ("tiers:", "teirs:", 10, "unknown key 'teirs'; did you mean 'tiers'?"),
        ("source_url: https://example.com/pricing\n", "", 1, "'source_url' is missing"),
        ("checked_on: 2026-01-15\n", "", 1, "'checked_on' is missing"),
        ("cache_read: 0.44", "cache_raed: 0.44", 9, "'cache_raed'; did you mean 'cache_read'"),
        ("input_uncached: 0.88", "input: 0.88", 9, "write `input_uncached`"),
        ("input_uncached: 0.88", "input_uncached: 71000", 9, "exceeds 1000; check the unit"),
        ("input_uncached: 0.88", "input_uncached: 0.00000088", 9, "looks like a rate per token or thousand"),
        ("input_uncached: 0.88", "input_uncached: 0.00088", 9, "looks like a rate per token or thousand"),
        ("output: 0.88}", "output: 441}", 8, "mix units"),
        ("input_uncached: 0.88", "input_uncached: -1", 9, "greater than or equal to 0"),
        ("input_uncached: 0.88", "input_uncached: .nan", 9, "finite"),
        ("checked_on: 2026-01-15", "checked_on: soon", 3, "write a date"),
        ("provider: example", "provider: example\ncurrency: EUR", 10, "write 'eur_per_mtok' for 'usd_per_mtok'"),
        ("provider: example", "provider: example\ncurrency: euro", 2, "currency"),
        ("{multiplier: 0.5}", "{}", 10, "write `multiplier` or `usd_per_mtok`"),
        ("aliases: [example/m1]", "aliases: [m1]", 6, "is a model of this sheet"),
        ("    aliases:", "    model: m2\n    aliases:", 6, "written twice"),
        ("output: 0.88}", "output: 0.88, reasoning: 1, output_text: 1}", 9, "write either form, not both"),
        ("tiers: {batch: {multiplier: 0.5}}",
         'schedule: [{from_utc: 16:30, to_utc: "00:30", multiplier: 1}]', 10, "quotes"),
        ("models:", "models: [", 5, "not valid YAML"),
    ],
)  # fmt: skip
def test_error_names_file_line_and_remedy(find: str, put: str, line: int, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_token_sheets({"prices/tokens/example.yml": SHEET.replace(find, put, 1)})
    assert str(caught.value).startswith(f"prices/tokens/example.yml, line {line}: "), caught.value
    assert says in str(caught.value)


def test_two_prices_of_one_instant_need_a_later_known_from() -> None:
    again = "      - {valid_from: 2025-01-01, usd_per_mtok: {output: 1}}\n"
    with pytest.raises(ConfigurationError, match=r"line 11: .*two prices from 2025-01-01"):
        book(SHEET + again)
    corrected = again.replace("usd_per", "known_from: 2026-02-01, usd_per")
    known = book(SHEET + corrected).filter(meter="output_text", service_tier="default").sort("known_from")
    assert known["known_to"].to_list() == [datetime(2026, 2, 1, tzinfo=UTC), None]


def test_prices_out_of_order_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="newest last"):
        book(SHEET + "      - {valid_from: 2024-01-01, usd_per_mtok: {output: 1}}\n")


def test_output_is_shorthand_for_text_and_reasoning_and_null_is_not_offered() -> None:
    rates = book().filter(pl.col("service_tier") == "default", ~pl.col("is_assumed"))
    assert dict(rates.select("meter", "picodollars_per_unit").rows()) == {
        "input_uncached": 880_000,
        "cache_read": 440_000,
        "cache_write_5m": None,
        "output_text": 880_000,
        "reasoning": 880_000,
    }


def test_booked_rate_is_rounded_once_after_all_multipliers() -> None:
    text = SHEET.replace("input_uncached: 0.88", "input_uncached: 0.007").replace(
        "multiplier: 0.5", "multiplier: 0.001"
    )
    batch = book(text.replace("cache_read: 0.44", "cache_read: 0.0035").replace("0.88", "0.5")).filter(
        service_tier="batch", meter="cache_read"
    )
    # 0.0035 x 0.001 USD per million = 3.5 picodollars a token: half-even to 4.
    assert batch["picodollars_per_unit"].to_list() == [4]
    assert batch["usd_per_mtok"].to_list() == [Decimal("0.0000035")]
    assert batch["is_rounded"].to_list() == [True]


def test_card_id_depends_on_content_and_not_on_comments() -> None:
    assert set(book()["price_id"]) == set(book("# a comment\n" + SHEET)["price_id"])
    assert not set(book()["price_id"]) & set(book(SHEET.replace("0.88", "0.89"))["price_id"])
    assert set(book()["sheet_version"]) == set(book("# a comment\n" + SHEET)["sheet_version"])
    assert not set(book()["sheet_version"]) & set(book(SHEET.replace("0.88", "0.89"))["sheet_version"])


def test_a_later_sheet_corrects_an_earlier_one() -> None:
    mine = SHEET.replace("0.88", "0.5").replace("2026-01-15", "2026-03-01")
    both = token_book(load_token_sheets({"builtin.yml": SHEET, "mine.yml": mine}))
    current = both.filter(pl.col("known_to").is_null(), meter="output_text", service_tier="default")
    assert current["picodollars_per_unit"].to_list() == [500_000]


def test_builtin_sheets_are_valid_and_every_card_is_unique() -> None:
    sheets = load_token_sheets(builtin_token_sheets())
    prices = token_book(sheets)
    assert prices.schema == table("ref.token_prices").polars_schema
    assert not prices.select("price_id", "meter").is_duplicated().any()
    assert not model_aliases(sheets).select("provider", "alias", "valid_from").is_duplicated().any()
    assert {sheet.provider for sheet in sheets} <= set(provider_aliases().values())


def test_logged_spellings_become_provider_ids_and_unknown_ones_surface() -> None:
    logged = pl.LazyFrame({"provider": ["azure", "Bedrock", "vertex_ai", "az.ai.openai", "acme", None]})
    assert canonical_providers(logged).collect()["provider"].to_list() == [
        "azure.ai.openai", "aws.bedrock", "gcp.vertex_ai", "azure.ai.openai", "acme", None,
    ]  # fmt: skip


def test_the_ai_sdks_provider_names_are_told_whatever_interface_they_name() -> None:
    named = {
        "openai.responses": "openai", "openai.chat": "openai", "anthropic.messages": "anthropic",
        "google.generative-ai": "gcp.gemini", "google.vertex.chat": "gcp.vertex_ai", "azure.chat": "azure.ai.openai",
        "vertex.anthropic.messages": "gcp.vertex_ai", "amazon-bedrock": "aws.bedrock", "xai.chat": "x_ai",
        "mistral.chat": "mistral_ai", "groq.chat": "groq", "azure-openai.responses": "azure.ai.openai",
        "togetherai.chat": "together", "deepseek.chat": "deepseek", "cohere.chat": "cohere",
        "fireworks.chat": "fireworks", "my.chat": "my.chat",
    }  # fmt: skip
    told = canonical_providers(pl.LazyFrame({"provider": list(named)})).collect()["provider"]
    assert dict(zip(named, told, strict=True)) == named


def test_only_old_prices_are_told_with_their_age() -> None:
    read = [
        ("openai", date(2026, 7, 24), 3),
        ("openai", date(2026, 8, 1), 2),
        ("groq", date(2026, 10, 31), 1),
    ]
    read += [("cohere", date(2026, 10, 30), 7)]
    assert age_lines(read, what="attempts", today=date(2026, 11, 29)) == [
        "prices of openai were read 128 days ago, on 2026-07-24 (5 attempts)",
        "prices of cohere were read 30 days ago, on 2026-10-30 (7 attempts)",
    ]
