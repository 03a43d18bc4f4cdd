"""core.invoice_lines and core.invoices: the bills in force."""

from models.finance.bill_views import other_views
from models.finance.invoices import PLACE, bill_deliveries, invoice_lines, invoices, lines_in_force
from models.prices.chips import billed_machines
from models.prices.providers import canonical_providers
from pipelines.steps.base import Frames, Step, Window
from pipelines.steps.bills import around, whole_months
from pipelines.steps.inputs import Inputs

STEP = Step(
    table="core.invoice_lines",
    also=("core.invoices", "ops.bill_deliveries"),
    reads=(around("raw.invoice_lines"), "ref.models", "ref.fx_rates"),
    covers=whole_months,
)


def compute(inputs: Inputs, window: Window) -> Frames:
    """Take the latest delivery of every bill whose period begins in the window, and of two views of one bill one."""
    landed = inputs.query(
        "FROM raw.invoice_lines WHERE (billing_period_start AT TIME ZONE 'UTC')::DATE >= ? "
        "AND (billing_period_start AT TIME ZONE 'UTC')::DATE < ?",
        [window.from_on, window.to_on],
    )
    lines = lines_in_force(landed)
    named = canonical_providers(lines.lazy()).collect()
    parts = frozenset(source.name for source in inputs.project.settings.sources if source.covers)
    views = other_views(named, apart=parts)
    counted = named.join(views, on=PLACE, how="anti", maintain_order="left")
    rows = invoice_lines(
        counted, names=inputs.whole("ref.models"), fx=inputs.whole("ref.fx_rates"), chips=billed_machines()
    )
    return {
        "core.invoice_lines": rows,
        "core.invoices": invoices(rows, lines),
        "ops.bill_deliveries": bill_deliveries(landed, lines, views),
    }
