"""A line of a bill of every kind, as its issuer writes it."""

from typing import Any

_FOCUS = {
    "BilledCost": "0.36", "BillingCurrency": "USD", "ChargePeriodStart": "2026-11-02T09:00:00Z",
    "ChargeCategory": "Usage", "InvoiceIssuerName": "AWS Inc.",
}  # fmt: skip
_CUR = {
    "line_item_usage_type": "USE1-x-input-tokens", "line_item_unblended_cost": "0.1", "line_item_currency_code": "USD",
    "line_item_usage_start_date": "2026-11-02T09:00:00Z", "line_item_line_item_type": "Usage",
}  # fmt: skip
_GENERIC = {
    "invoice_issuer_name": "Example Inc.", "billed_cost": "1", "currency": "USD", "charge_period_start": "2026-11-02",
}  # fmt: skip
_AZURE = {
    "Date": "11/02/2026", "MeterCategory": "Foundry Models", "ChargeType": "Usage", "UnitOfMeasure": "1K",
    "CostInBillingCurrency": "1", "BillingCurrency": "USD",
}  # fmt: skip
_GOOGLE = {
    "billing_account_id": "01", "usage_start_time": "2026-11-02T09:00:00Z", "cost": 1, "currency": "USD",
    "sku": {"description": "Gemini 2.5 Pro Text Input - Predictions"},
}  # fmt: skip
_ROUTER = {"date": "2026-11-02", "model": "m", "model_permaslug": "m", "byok_usage_inference": 0}
_WINDOW = {
    "start_time": "2026-11-02T00:00:00Z", "end_time": "2026-11-03T00:00:00Z",
    "line_items": [{"product_name": "Input Tokens", "quantity": "1", "cost": "0.1"}],
}  # fmt: skip
_RATED = {"startTime": "2026-11-02T00:00:00Z", "subtotal": {"currencyCode": "USD", "units": "1", "nanos": 5}}
_SUMMARY = {
    "model_apis_usage": {
        "breakdown": [{"model_name": "m", "daily": [{"date": "2026-11-02", "subtotal": 1}]}], "credits_used": 0,
    }
}  # fmt: skip
_POD = {"time": "2026-11-02T00:00:00Z", "timeBilledMs": 1000, "podId": "p"}
_MODAL = {
    "object_id": "ap-1", "description": "llm", "environment": "main", "interval_start": "2026-11-02T09:00:00+00:00",
    "resource": "H100",
}  # fmt: skip
_PLAIN = {"openrouter_activity": ("usage", _ROUTER), "together_billing": ("organization_id", _WINDOW),
          "fireworks_costs": ("model", _RATED), "baseten_usage": ("number", _SUMMARY),
          "runpod_billing": ("amount", _POD), "modal_billing": ("cost", _MODAL),
          "aws_cur": ("line_item_usage_amount", _CUR), "focus": ("ConsumedQuantity", _FOCUS),
          "azure_cost_export": ("Quantity", _AZURE), "gcp_billing_export": ("cost", _GOOGLE)}  # fmt: skip
BILLS = ("anthropic_cost_report", "invoice_lines", "openai_costs", "openrouter_credits", *_PLAIN)


def bill(kind: str, number: int) -> dict[str, Any]:
    """Return a record of a kind; those of the cost APIs are buckets with one result."""
    if kind == "openai_costs":
        cost = {"object": "organization.costs.result", "amount": {"value": number, "currency": "usd"}}
        return {
            "start_time": 1793577600,
            "end_time": 1793664000,
            "results": [cost | {"line_item": f"m{number}, input"}],
        }
    if kind == "anthropic_cost_report":
        cost = {"amount": f"{number}.5", "currency": "USD", "model": f"m{number}"}
        return {"starting_at": "2026-11-02T00:00:00Z", "ending_at": "2026-11-03T00:00:00Z", "results": [cost]}
    if kind == "openrouter_credits":
        answer = {"data": {"total_credits": number + 1, "total_usage": 0}}
        return answer | {"retrieved_at": f"2026-11-02T09:{number % 60:02}:00Z", "fee_usd": 0.8}
    if kind in _PLAIN:
        name, record = _PLAIN[kind]
        return record | {name: str(number)}
    return _GENERIC | {"model": f"m{number}"}
