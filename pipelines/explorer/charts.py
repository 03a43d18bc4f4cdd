"""Stacked bars over time, each of which leads to its part: drawn as the reports' plots are, without a script."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import polars as pl
from markupsafe import Markup

from pipelines.reports.plots import REST, colour, dollar_format, drawn, largest_names, layer

_WIDTH = 900
_BASE = "http://here.invalid"
"""Vega makes addresses absolute; this one is taken out again."""
_LINK = re.compile(r'<a xlink:href="([^"]*)">')
_MOST_LABELS = 16
_FEWEST_PRICES = 2


def bars_over_time(
    rows: pl.DataFrame,
    *,
    value: str = "usd",
    grain: str = "day",
    label: str,
    link: Callable[[str, date], str],
) -> Markup | None:
    """Draw a value by time and name; None where nothing is above zero.

    Args:
        rows: columns `from_on`, `name` and the value.
        value: the column that is drawn; dollars where it ends in usd.
        grain: day, week or month.
        label: what the chart shows.
        link: the address that a bar leads to, by name ("" for all that are folded) and day.
    """
    sizes: dict[str, Decimal] = {}
    cells: dict[tuple[date, str], Decimal] = {}
    for name, amount in rows.select("name", value).iter_rows():
        if amount is not None:
            sizes[name] = sizes.get(name, Decimal(0)) + abs(Decimal(amount))
    names = largest_names(sizes)
    for on, name, amount in rows.select("from_on", "name", value).iter_rows():
        if amount:
            key = (on, name if name in names else REST)
            cells[key] = cells.get(key, Decimal(0)) + Decimal(amount)
    if not cells:
        return None
    shown = [name for name in [*names, REST] if any(key[1] == name for key in cells)]
    step = {"day": 1, "week": 7, "month": 28}[grain]
    days = _every(min(on for on, _ in cells), max(on for on, _ in cells), step, grain)
    is_money = value.endswith("usd")
    bars = [
        {
            "at": on.isoformat(),
            "name": name,
            "usd": float(amount),
            "order": shown.index(name),
            "say": f"{name}, {grain} of {on}: {f'${amount:,.2f}' if is_money else f'{amount:,}'}",
            "href": _BASE + link("" if name == REST else name, on),
        }
        for (on, name), amount in sorted(cells.items())
    ]
    every = max(1, -(-len(days) // _MOST_LABELS))
    labelled = {on.isoformat() for on in days[::every]}
    words = {
        on.isoformat(): f"{on:%b} {on.year}" if grain == "month" else f"{on.day} {on:%b}"
        for on in days
        if on.isoformat() in labelled
    }
    expression = ", ".join(f"'{at}': '{text}'" for at, text in words.items())
    chart = layer(
        bars,
        {"type": "bar"},
        x={
            "field": "at", "type": "nominal", "title": None, "scale": {"domain": [on.isoformat() for on in days]},
            "axis": {
                "values": sorted(labelled), "labelAngle": 0, "ticks": False,
                "labelExpr": f"{{{expression}}}[datum.value]",
            },
        },
        y={
            "field": "usd", "type": "quantitative", "title": None, "stack": "zero",
            "axis": {"format": dollar_format(bars) if is_money else "~s", "tickCount": 4},
        },
        color=colour("name", shown),
        order={"field": "order", "type": "quantitative"},
        href={"field": "href", "type": "nominal"},
    )  # fmt: skip
    svg = str(drawn([chart], label, width=_WIDTH, height=220))
    return Markup(_linked(svg))  # noqa: S704  Vega escapes the names in it


def rates_over_time(
    rows: pl.DataFrame, *, rates: Mapping[str, str], until: date, label: str
) -> Markup | None:
    """Draw what a model's token classes cost since when, as steps; None for several models, or a single price.

    Args:
        rows: provider, model, region, service_tier, layer, currency, valid_from, valid_to, known_to,
            above_input_tokens, and a column of rates for each name of `rates`. Corrected prices are left out, and
            those above a threshold; of regions and tiers the usual one is drawn.
        rates: column -> what it is of.
        until: the last day of a price that still holds.
        label: what the chart shows.
    """
    held = rows.filter(pl.col("known_to").is_null(), pl.col("above_input_tokens").is_null())
    if held.select("provider", "model").n_unique() != 1:
        return None
    usual = held.sort(
        pl.col("region") != "any", pl.col("service_tier") != "default", "region", "service_tier"
    ).row(0, named=True)
    held = held.filter(*(pl.col(name) == usual[name] for name in ("region", "service_tier")))
    if held.get_column("valid_from").n_unique() < _FEWEST_PRICES:
        return None
    ends = pl.col("valid_to").fill_null(datetime.combine(until, time(), UTC))
    steps = (
        held.with_columns(ends=ends)
        .unpivot(list(rates), index=["layer", "valid_from", "ends"], variable_name="rate", value_name="usd")
        .drop_nulls("usd")
        .filter(pl.col("valid_from") < pl.col("ends"))
        .with_columns(
            name=pl.col("rate").replace_strict(rates)
            + pl.when(pl.col("layer") == "list").then(pl.lit("")).otherwise(pl.lit(", ") + pl.col("layer"))
        )
        .unpivot(["valid_from", "ends"], index=["name", "usd"], value_name="at")
        # Where one price ends and the next begins, the end comes first.
        .sort("name", "at", pl.col("variable") == "valid_from")
        .with_row_index("place")
    )
    if steps.is_empty():
        return None
    sizes = dict(steps.group_by("name").agg(pl.col("usd").max()).iter_rows())
    names = largest_names(sizes)
    points = (
        steps.filter(pl.col("name").is_in(names))
        .select("name", "usd", "place", at=pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
        .to_dicts()
    )
    is_dollars = usual["currency"] == "USD"
    x = {
        "field": "at", "type": "temporal", "title": None, "scale": {"type": "utc"},
        "axis": {"format": "%b %Y", "tickCount": 8, "grid": False},
    }  # fmt: skip
    y = {
        "field": "usd", "type": "quantitative", "title": None,
        "axis": {"format": dollar_format(points) if is_dollars else "~g", "tickCount": 4},
    }  # fmt: skip
    lines = layer(
        points,
        {"type": "line", "strokeWidth": 2},
        x=x,
        y=y,
        order={"field": "place", "type": "quantitative"},
        color=colour("name", names),
    )
    marks = layer(
        [
            point | {"say": f"{point['name']}, {point['at'][:10]}: {point['usd']:g} {usual['currency']}"}
            for point in points
        ],
        {"type": "point", "filled": True, "size": 140, "opacity": 0},
        x=x,
        y=y,
        color=colour("name", names),
    )
    return drawn([lines, marks], label, width=_WIDTH, height=180)


def _linked(svg: str) -> str:
    """Make bars plain links; a reader without a pointer has the table beside them."""
    return _LINK.sub(r'<a href="\1" tabindex="-1">', svg.replace(_BASE, ""))


def beside_its_table(chart: Markup) -> Markup:
    """Hide a chart from readers of the screen, who have the table with the same figures."""
    svg = re.sub(r' (?:role|aria-[a-z]+)="[^"]*"', "", str(chart))
    return Markup(svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1))  # noqa: S704  ours


def _every(first: date, last: date, step: int, grain: str) -> Sequence[date]:
    days = [first]
    while days[-1] < last:
        after = days[-1] + timedelta(days=step)
        days.append((after + timedelta(days=4)).replace(day=1) if grain == "month" else after)
    return days
