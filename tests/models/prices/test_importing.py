"""Outside lists become dated entries of our own: once, with their source, and never against a bound."""

import gzip
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from models.prices.builtin import builtin_gpu_sheets, builtin_token_sheets
from models.prices.disagreements import compare, listed_in, listed_in_book
from models.prices.gpu_book import gpu_book
from models.prices.gpu_sheets import load_gpu_sheets
from models.prices.importing import Imported, Origin, import_gpus, import_tokens, lacking
from models.prices.offers import OutsideList
from models.prices.outside import readers
from models.prices.sheets import load_token_sheets
from models.prices.token_book import model_aliases, token_book

DATA = Path("../shared/data")
needs_data = pytest.mark.skipif(not DATA.exists(), reason="the shared data folder is not here")
BOOK = """\
provider: openai
source_url: https://example.com
checked_on: 2026-01-01
models:
  - model: known
    aliases: [known-2026]
    prices: [{valid_from: 2025-01-01, usd_per_mtok: {input_uncached: 2, output: 8}}]
"""
LITELLM: dict[str, dict[str, Any]] = {
    "known": {"input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06, "litellm_provider": "openai"},
    "known-2026": {"input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06, "litellm_provider": "openai"},
    "openai/fresh": {
        "input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1.25e-07,
        "input_cost_per_token_above_200k_tokens": 2.5e-06, "output_cost_per_token_above_200k_tokens": 1.5e-05,
        "input_cost_per_token_priority": 2.5e-06, "output_cost_per_token_priority": 2e-05,
        "output_cost_per_reasoning_token": 2e-05, "search_context_cost_per_query": {"search_context_size_medium": 0.01},
        "regional_processing_uplift_multiplier_eu": 1.1, "litellm_provider": "openai",
    },
    "wandb/huge": {"input_cost_per_token": 0.071, "output_cost_per_token": 0.071, "litellm_provider": "wandb"},
    "zero": {"input_cost_per_token": 0, "output_cost_per_token": 0.0, "litellm_provider": "openai"},
    "bedrock/us-west-2/m": {"input_cost_per_token": 1e-06, "litellm_provider": "bedrock"},
}  # fmt: skip


def litellm(content: Mapping[str, Any] = LITELLM) -> OutsideList:
    return readers()["litellm"].read({"map.json": json.dumps(content).encode()})


def imported(
    outside: OutsideList, texts: Mapping[str, str], *, on: date = date(2026, 7, 24), **more: Any
) -> Imported:
    origin = Origin("litellm", on, "map.json", "0" * 64, "USD per token", **more)
    return import_tokens(outside, load_token_sheets(texts), origin=origin)


def test_only_what_the_book_does_not_say_is_written_with_its_source_and_day() -> None:
    done = imported(litellm(), {"book.yml": BOOK})
    assert (done.new_count, done.changed_count, done.same_count) == (2, 0, 1)
    text = done.files["tokens/openai.litellm-2026-07-24.yml"]
    assert '"known"' not in text
    assert f"map.json, sha256 {'0' * 64}" in text
    (sheet,) = load_token_sheets({"new.yml": text})
    assert (sheet.checked_on, sheet.source_url[:8]) == (datetime(2026, 7, 24, tzinfo=UTC), "https://")
    rows = token_book([sheet])
    assert set(rows["valid_from"]) == set(rows["known_from"]) == {datetime(2026, 7, 24, tzinfo=UTC)}


def test_every_rule_of_a_list_survives_the_import() -> None:
    done = imported(litellm(), {"book.yml": BOOK})
    rows = token_book(load_token_sheets({"new.yml": done.files["tokens/openai.litellm-2026-07-24.yml"]}))
    rates = {
        (row["service_tier"], row["region"], row["above_input_tokens"], row["meter"]): row["usd_per_mtok"]
        for row in rows.iter_rows(named=True)
    }
    assert rates["default", None, None, "cache_read"] == Decimal("0.125")
    assert rates["default", None, None, "reasoning"] == 20
    assert rates["default", None, 200_000, "output_text"] == 15
    assert rates["priority", None, None, "input_uncached"] == Decimal("2.5")
    assert rates["priority", None, 200_000, "input_uncached"] == 5  # the tier doubles above the threshold too
    assert rates["default", "eu", None, "input_uncached"] == Decimal("1.375")
    assert rates["default", None, None, "web_search"] == 10_000
    region = token_book(
        load_token_sheets({"new.yml": done.files["tokens/aws.bedrock.litellm-2026-07-24.yml"]})
    )
    assert set(region.select("model", "region").iter_rows()) == {("m", "us-west-2")}


def test_a_rate_beyond_the_bound_is_refused_and_named_and_a_zero_is_no_price() -> None:
    done = imported(litellm(), {"book.yml": BOOK})
    (refusal,) = done.refusals
    assert (refusal.provider, refusal.where) == ("wandb", "wandb/huge")
    assert refusal.why == "input_uncached of 71000 per million tokens is beyond the bound of 1000"
    assert not any("zero" in text or "huge" in text for text in done.files.values())


def test_a_changed_rate_is_appended_and_the_old_one_stands_before_it() -> None:
    dearer = litellm({"known": LITELLM["known"] | {"output_cost_per_token": 1.2e-05}})
    done = imported(dearer, {"book.yml": BOOK})
    assert (done.new_count, done.changed_count) == (0, 1)
    texts = {"book.yml": BOOK, **done.files}
    rows = (
        token_book(load_token_sheets(texts))
        .filter(pl.col("known_to").is_null(), meter="output_text")
        .sort("valid_from")
    )
    assert rows.select("usd_per_mtok", "valid_to").rows() == [
        (Decimal(8), datetime(2026, 7, 24, tzinfo=UTC)), (Decimal(12), None),
    ]  # fmt: skip
    again = imported(dearer, texts)
    assert (again.files, again.same_count) == ({}, 1)


def test_a_model_that_the_book_lacks_can_begin_before_the_list_was_read() -> None:
    done = imported(litellm(), {"book.yml": BOOK}, since=date(2024, 1, 1))
    rows = token_book(load_token_sheets({"new.yml": done.files["tokens/openai.litellm-2026-07-24.yml"]}))
    assert set(rows["valid_from"]) == {datetime(2024, 1, 1, tzinfo=UTC)}
    assert set(rows["known_from"]) == {datetime(2026, 7, 24, tzinfo=UTC)}


def test_a_changed_rate_begins_on_the_day_that_is_named_but_not_before_the_entry_that_it_corrects() -> None:
    dearer = litellm({"known": LITELLM["known"] | {"output_cost_per_token": 1.2e-05}})
    for since, begins in ((date(2026, 3, 1), date(2026, 3, 1)), (date(2020, 1, 1), date(2025, 1, 1))):
        done = imported(dearer, {"book.yml": BOOK}, since=since)
        (sheet,) = load_token_sheets(done.files)
        (entry,) = sheet.models[0].prices
        assert (entry.valid_from.date(), sheet.known_from(entry).date()) == (begins, date(2026, 7, 24))


def test_what_a_list_prices_and_the_book_lacks_is_named_by_class_and_tier() -> None:
    fuller = litellm(
        {
            "known": LITELLM["known"]
            | {"cache_read_input_token_cost": 1e-06, "input_cost_per_token_batches": 1e-06}
        }
    )
    origin = Origin("litellm", date(2026, 7, 24), "map.json", "0" * 64, "USD per token")
    found = lacking(fuller, load_token_sheets({"book.yml": BOOK}), origin=origin)
    assert found == [("openai", "known", ["batch", "cache_read"])]


def test_two_figures_of_one_list_for_one_model_are_named_and_agreeing_ones_are_united() -> None:
    twice = {
        "known": LITELLM["known"] | {"output_cost_per_token": 1e-05},
        "openai/known": LITELLM["known"]
        | {"output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1e-06},
        "known-2026": LITELLM["known"],
    }
    done = imported(litellm(twice), {"book.yml": BOOK})
    assert [refusal.why for refusal in done.refusals] == [
        "the list prices 'known' twice, differently; the first stands"
    ]
    rows = token_book(load_token_sheets({"new.yml": done.files["tokens/openai.litellm-2026-07-24.yml"]}))
    rows = rows.filter(~pl.col("is_assumed"))
    assert set(rows["meter"]) == {
        "input_uncached",
        "output_text",
        "reasoning",
        "cache_read",
    }


def test_peak_hours_of_genai_prices_become_a_schedule() -> None:
    models = [
        {
            "id": "m", "match": {"or": [{"equals": "m"}, {"equals": "m-latest"}, {"starts_with": "m-"}]},
            "prices": [
                {"prices": {"input_mtok": 0.135, "output_mtok": 0.55}},
                {"constraint": {"start_time": "00:30:00Z", "end_time": "16:30:00Z"},
                 "prices": {"input_mtok": 0.27, "output_mtok": 1.1}},
            ],
        }
    ]  # fmt: skip
    content = json.dumps([{"id": "deepseek", "models": models}]).encode()
    (offer,) = readers()["genai-prices"].read({"data.json": content}).token_offers
    assert offer.aliases == ("m-latest",)
    peak = {"input_uncached": Decimal("0.27"), "output": Decimal("1.1")}
    assert offer.entry["schedule"] == [{"from_utc": "00:30", "to_utc": "16:30", "usd_per_mtok": peak}]


def test_a_unit_trap_is_a_power_of_ten() -> None:
    first = listed_in(litellm({"a": LITELLM["known"]}), at=date(2026, 7, 24))
    cents = {
        "a": {
            "pricing_config": {
                "pay_as_you_go": {"request_token": {"price": 0.0002}, "response_token": {"price": 0.08}}
            }
        }
    }
    second = listed_in(
        readers()["portkey"].read({"openai.json": json.dumps(cents).encode()}), at=date(2026, 7, 24)
    )
    found = {row.meter: (row.ratio, row.unit_power) for row in compare(first, second).disagreements}
    # $2 per million is 0.0002 cents a token, and $8 is not 0.08 cents.
    assert found == {"output_text": (Decimal(100), 2), "reasoning": (Decimal(100), 2)}


LINUX = {
    "instanceType": "p5.48xlarge", "regionCode": "us-east-1", "operatingSystem": "Linux", "preInstalledSw": "NA",
    "capacitystatus": "Used", "tenancy": "Shared",
}  # fmt: skip
AWS_JSON = {
    "formatVersion": "v1.0", "offerCode": "AmazonEC2", "publicationDate": "2026-11-20T00:00:00Z",
    "products": {
        "A": {"sku": "A", "attributes": LINUX},
        "B": {"sku": "B", "attributes": LINUX | {"operatingSystem": "Windows"}},
    },
    "terms": {"OnDemand": {
        sku: {"o": {"priceDimensions": {"d": {"unit": "Hrs", "pricePerUnit": {"USD": usd}}}}}
        for sku, usd in (("A", "55.0400000000"), ("B", "30.0"))
    }},
}  # fmt: skip
AZURE_ITEM = {
    "currencyCode": "USD", "retailPrice": 98.32, "armRegionName": "eastus", "armSkuName": "Standard_ND96isr_H100_v5",
    "effectiveStartDate": "2024-05-01T00:00:00Z", "skuName": "ND96isrH100v5", "meterName": "ND96isrH100v5",
    "unitOfMeasure": "1 Hour", "productName": "Virtual Machines NDsr", "type": "Consumption",
}  # fmt: skip
AZURE_JSON = {
    "Items": [
        AZURE_ITEM,
        AZURE_ITEM | {"skuName": "ND96isrH100v5 Spot", "retailPrice": 40},
        AZURE_ITEM | {"productName": "Virtual Machines NDsr Windows", "retailPrice": 1},
        AZURE_ITEM | {"type": "Reservation", "retailPrice": 1},
    ]
}


@pytest.mark.parametrize(
    ("kind", "content", "rates"),
    [
        ("aws", AWS_JSON, {("H100", "us-east-1", "on_demand"): "6.88"}),
        (
            "azure",
            AZURE_JSON,
            {("H100", "eastus", "on_demand"): "12.29", ("H100", "eastus", "spot"): "5"},
        ),
    ],
)
def test_a_cloud_s_own_price_list_becomes_prices_per_chip(
    kind: str, content: Any, rates: dict[Any, str]
) -> None:
    offers = readers()[kind].read({"list.json": json.dumps(content).encode()}).gpu_offers
    assert {(one.chip, one.region, one.commitment): one.usd_per_gpu_hour for one in offers} == {
        place: Decimal(usd) for place, usd in rates.items()
    }


def test_a_machine_without_its_accelerators_has_no_price() -> None:
    """Google lists the host alone where a region has no A100: 0.81 an hour."""
    usd = {
        "us-east1": "3.67",
        "us-west1": "3.67",
        "europe-west4": "3.75",
        "asia-east1": "3.79",
        "northeast2": "0.81",
    }
    rows = [
        f"2024-01-26,c,instance,a2-highgpu-1g,{region},{price},0.4,1700,1200" for region, price in usd.items()
    ]
    head = "snapshot_date,source_commit,kind,name,region,usd_per_hour,usd_per_hour_spot,usd_per_month_1y_commit,x"
    outside = readers()["gcp"].read({"list.csv": "\n".join([head, *rows]).encode()})
    assert {one.region for one in outside.gpu_offers} == set(usd) - {"northeast2"}
    assert [one.where for one in outside.refusals] == ["a2-highgpu-1g northeast2 2024-01-26"]


def test_a_rate_that_was_corrected_since_is_not_stated_again() -> None:
    head = "vendor: azure\nsource_url: https://example.com\nchecked_on: 2026-01-01\nrates:\n"
    line = (
        "  - {{chip: H100, region: eastus, commitment: on_demand, usd_per_gpu_hour: {usd}, valid_from: 2024-05-01, "
        "known_from: {known}}}\n"
    )
    own = head + line.format(usd=13, known="2024-05-01") + line.format(usd=12, known="2025-01-01")
    outside = readers()["azure"].read({"list.json": json.dumps(AZURE_JSON).encode()})
    origin = Origin("azure", date(2026, 1, 1), "list.json", "0" * 64, "USD per machine-hour")
    done = import_gpus(outside, load_gpu_sheets({"azure.yml": own}), origin=origin)
    assert [one.why for one in done.refusals] == ["azure.yml, line 5 states another price of that day"]
    both = gpu_book(load_gpu_sheets({"azure.yml": own, **done.files}))
    assert set(both["commitment"]) == {"on_demand", "spot"}


def history(kind: str, file: str, texts: Mapping[str, str]) -> Imported:
    path = DATA / file
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    outside = readers()[kind].read({path.name: content})
    newest = max(offer.read_on for offer in outside.gpu_offers)
    origin = Origin(kind, newest, path.name, "0" * 64, "USD per machine-hour")
    return import_gpus(outside, load_gpu_sheets(texts), origin=origin)


@needs_data
@pytest.mark.parametrize(
    ("kind", "file", "days"),
    [
        ("aws", "gpu-prices-aws/aws_us_east_1_accelerator_on_demand_history.csv", 37),
        ("azure", "gpu-prices-azure/azure_n_series_on_demand_history.csv.gz", 6),
        ("gcp", "gpu-prices-gcp/gcp_accelerator_prices_history.csv.gz", 5),
    ],
)
def test_dated_snapshots_of_a_cloud_become_one_history(kind: str, file: str, days: int) -> None:
    path = DATA / file
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    offers = readers()[kind].read({path.name: content}).gpu_offers
    assert len({offer.read_on for offer in offers}) == days
    book = gpu_book(load_gpu_sheets(history(kind, file, {}).files))
    wrong = [
        offer
        for offer in offers[:: max(len(offers) // 200, 1)]
        if rate_on(book, offer.vendor, offer.chip, offer.region, offer.commitment, offer.read_on)
        != offer.usd_per_gpu_hour.quantize(Decimal("1e-12"))
    ]
    assert wrong == []


def rate_on(
    book: pl.DataFrame, provider: str, chip: str, region: str, commitment: str, day: date
) -> Decimal | None:
    at = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    rows = book.filter(
        pl.col("provider") == provider, pl.col("chip") == chip, pl.col("region") == region,
        pl.col("commitment") == commitment, pl.col("valid_from") <= at, pl.col("known_to").is_null(),
        pl.col("valid_to").is_null() | (pl.col("valid_to") > at),
    )  # fmt: skip
    return rows["usd_per_gpu_hour"].item() if rows.height else None


@needs_data
def test_the_cut_of_june_2025_is_on_the_day_that_first_shows_it_and_with_the_built_in_sheet_on_its_own() -> (
    None
):
    file = "gpu-prices-aws/aws_us_east_1_accelerator_on_demand_history.csv"
    alone = gpu_book(load_gpu_sheets(history("aws", file, {}).files))
    place = ("aws", "H100", "us-east-1", "on_demand")
    assert rate_on(alone, *place, date(2025, 6, 22)) == Decimal("12.29")
    assert rate_on(alone, *place, date(2025, 6, 23)) == Decimal("6.88")
    own = builtin_gpu_sheets()
    both = gpu_book(load_gpu_sheets({**own, **history("aws", file, own).files}))
    assert rate_on(both, *place, date(2025, 5, 31)) == Decimal("12.29")
    assert rate_on(both, *place, date(2025, 6, 1)) == Decimal("6.88")
    assert rate_on(both, *place, date(2026, 7, 20)) == Decimal("6.88")


def outside_list(kind: str, file: str) -> OutsideList:
    return readers()[kind].read({file: gzip.decompress((DATA / file).read_bytes())})


@needs_data
def test_the_newest_map_holds_14_input_prices_beyond_the_bound_and_all_are_refused() -> None:
    outside = outside_list("litellm", "litellm-prices/model_prices_2026-07-24.json.gz")
    beyond = [
        one.where for one in outside.refusals if "input_uncached" in one.why and "beyond the bound" in one.why
    ]
    assert len(beyond) == 14
    assert "wandb/meta-llama/Llama-3.3-70B-Instruct" in beyond


@needs_data
def test_two_entries_were_once_ten_times_too_high() -> None:
    at = date(2026, 7, 24)
    sides = [
        listed_in(outside_list("litellm", f"litellm-prices/model_prices_{day}.json.gz"), at=at)
        for day in ("2026-01-06", "2026-07-24")
    ]
    tenfold = {
        (row.model, row.unit_power) for row in compare(*sides).disagreements if row.meter == "input_uncached"
    }
    assert tenfold >= {("amazon.titan-embed-text-v2:0", -1), ("azure_ai/mistral-small-2503", -1)}


@needs_data
def test_two_independent_lists_disagree_on_some_models_and_the_built_in_book_on_few() -> None:
    at = date(2026, 7, 24)
    first = listed_in(outside_list("litellm", "litellm-prices/model_prices_2026-07-24.json.gz"), at=at)
    second = listed_in(outside_list("genai-prices", "genai-prices/data_v2_2026-08-21.json.gz"), at=at)
    lists = compare(first, second)
    assert lists.both_count > 400
    assert 0.05 < lists.differing_count / lists.both_count < 0.25
    sheets = load_token_sheets(builtin_token_sheets())
    own = listed_in_book(token_book(sheets), model_aliases(sheets), at=datetime(2026, 7, 24, tzinfo=UTC))
    # What OpenRouter passes on moves from day to day; the second list is a month younger.
    lasting = {name: rates for name, rates in second.items() if name[0] != "openrouter"}
    against = compare(lasting, own)
    assert against.both_count > 250
    assert against.differing_count / against.both_count < 0.08
