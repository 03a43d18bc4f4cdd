"""Plots as inline SVG: Vega-Lite drawn by vl-convert, with no browser. Colours are CSS variables of the page.

A plot is its Vega-Lite specification (https://vega.github.io/vega-lite/docs/spec.html): a library that checks
it against the schema at every drawing takes several times as long as the drawing.

The plots stay readable in print and in the dark because report.css sets the variables, not this file.
"""

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import vl_convert
from markupsafe import Markup

from pipelines.masking import escaped
from pipelines.reports.figures import BIN_SECONDS, Rows
from pipelines.reports.wording import compact, filled, plural

SERIES_AT_MOST = 7
"""Series with a colour of their own; the rest is one series."""
REST = "all others"
_WIDTH = 780
_COLOURS = [f"var(--series-{number})" for number in range(1, SERIES_AT_MOST + 1)]
_SCHEMA = "https://vega.github.io/schema/vega-lite/v6.4.1.json"
_CONFIG = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "padding": {"left": 8, "right": 8, "top": 14, "bottom": 2},
    "aria": False,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)",
        "domainColor": "var(--rule)",
        "gridColor": "var(--rule)",
        "tickColor": "var(--rule)",
        "labelFontSize": 11,
    },
    "legend": {"labelColor": "var(--ink)", "labelFontSize": 11, "rowPadding": 4, "columnPadding": 28},
}
_NOTE = {"type": "text", "baseline": "bottom", "dy": -3, "fontSize": 11, "color": "var(--alarm)"}
_TICK_HOURS = 3
_SAID = re.compile(r'<path aria-label="([^"]*)"([^>]*)/>')
_ROLES = re.compile(r' (?:role|aria-[a-z]+)="[^"]*"')


def spend_by_day(
    spend: Mapping[date, Mapping[str, Decimal]], *, loaded: set[date], on: date, days: Sequence[date]
) -> Markup | None:
    """Draw dollars a day, stacked by provider, with each day's total above its bar.

    Args:
        spend: priced dollars by day and provider.
        loaded: days of which the warehouse holds rows.
        on: the day of the report, drawn stronger.
        days: the days of the axis, in order.

    Returns:
        The SVG, or None when no day has a dollar.
    """
    totals = {day: sum(spend.get(day, {}).values(), Decimal(0)) for day in days}
    if not any(totals.values()):
        return None
    by_name: dict[str, Decimal] = {}
    for parts in spend.values():
        for name, usd in parts.items():
            by_name[name] = by_name.get(name, Decimal(0)) + abs(usd)
    names = largest_names(by_name)
    folded: dict[tuple[date, str], Decimal] = {}
    for day in days:
        for name, usd in spend.get(day, {}).items():
            key = (day, name if name in names else REST)
            folded[key] = folded.get(key, Decimal(0)) + usd
    labels = [f"{day:%a}|{day.day} {day:%b}" for day in days]
    label_of = dict(zip(days, labels, strict=True))
    order = {name: place for place, name in enumerate([*names, REST])}
    bars = [
        {
            "day": label_of[day], "provider": name, "usd": float(usd), "order": order[name], "is_on": day == on,
            "say": f"{name}, {day}: ${usd:,.2f}",
        }
        for (day, name), usd in folded.items()
    ]  # fmt: skip
    tops = [
        {
            "day": label_of[day],
            "top": float(sum(usd for (of, _), usd in folded.items() if of == day and usd > 0)),
            "text": compact(totals[day]) if day in loaded or totals[day] else "no data",
            "is_on": day == on,
        }
        for day in days
    ]
    x = {
        "field": "day", "type": "nominal", "sort": labels, "title": None, "scale": {"domain": labels},
        "axis": {"labelAngle": 0, "labelExpr": "split(datum.label, '|')", "ticks": False, "domain": True},
    }  # fmt: skip
    used = [name for name in [*names, REST] if name in {row["provider"] for row in bars}]
    bar = layer(
        bars,
        {"type": "bar"},
        x=x,
        y={
            "field": "usd", "type": "quantitative", "title": None, "stack": "zero",
            "axis": {"format": dollar_format(bars), "tickCount": 4},
        },
        color=colour("provider", used),
        order={"field": "order", "type": "quantitative"},
        opacity={"condition": {"test": "datum.is_on", "value": 1}, "value": 0.6},
    )  # fmt: skip
    text = layer(
        tops,
        {"type": "text", "dy": -6, "fontSize": 11},
        x=x,
        y={"field": "top", "type": "quantitative"},
        text={"field": "text", "type": "nominal"},
        color={"condition": {"test": "datum.is_on", "value": "var(--ink)"}, "value": "var(--muted)"},
    )
    return drawn([bar, text], "Spend by day and provider", width=_WIDTH, height=210)


def starts_by_time(
    bins: Rows, bursts: Rows, *, starts_at: datetime, ends_at: datetime, time_zone: str
) -> Markup | None:
    """Draw starts of replicas by ten minutes of the business day, bursts shaded; None without a start.

    Args:
        bins: deployment, bin (ten-minute steps since the day began) and start_count.
        bursts: incidents with deployment, onset_at and ended_at, numbered in their order.
        starts_at: when the day starts, UTC; the axis shows the wall clock of the zone, also when it is turned.
        ends_at: when it ends, UTC.
        time_zone: the reporting zone.
    """
    if not bins:
        return None
    counts: dict[str, int] = {}
    for row in bins:
        counts[row["deployment"]] = counts.get(row["deployment"], 0) + row["start_count"]
    # What burst has a colour of its own.
    bursting = {burst["deployment"]: 10**9 for burst in bursts}
    names = largest_names({name: counts[name] + bursting.get(name, 0) for name in counts})
    folded: dict[tuple[int, str], int] = {}
    for row in bins:
        key = (row["bin"], row["deployment"] if row["deployment"] in names else REST)
        folded[key] = folded.get(key, 0) + row["start_count"]
    step = BIN_SECONDS / 60
    length = (ends_at - starts_at) / timedelta(minutes=1)
    shades = [
        {
            "from": max(0.0, (burst["onset_at"] - starts_at) / timedelta(minutes=1) // step * step),
            "to": min(length, ((burst["ended_at"] - starts_at) / timedelta(minutes=1) // step + 1) * step),
            "number": str(number),
        }
        for number, burst in enumerate(bursts, start=1)
    ]
    zone = ZoneInfo(time_zone)
    bars = [
        {
            "from": place * step, "to": (place + 1) * step, "deployment": name, "starts": number,
            "say": f"{name}, {(starts_at + timedelta(minutes=place * step)).astimezone(zone):%H:%M}: "
            f"{plural(number, 'start')}",
        }
        for (place, name), number in sorted(folded.items())
    ]  # fmt: skip
    hours = range(0, int(length // 60) + 1, _TICK_HOURS)
    clocks = {
        hour * 60: (starts_at + timedelta(hours=hour)).astimezone(zone).strftime("%H:%M") for hour in hours
    }
    expression = ", ".join(f"'{minute}': '{text}'" for minute, text in clocks.items())
    x = {
        "type": "quantitative",
        "scale": {"domain": [0, length], "nice": False},
        "axis": {
            "values": list(clocks), "labelExpr": f"{{{expression}}}[datum.value]", "grid": False, "title": None
        },
    }  # fmt: skip
    used = [name for name in [*names, REST] if name in {row["deployment"] for row in bars}]
    layers = [
        layer(
            shades,
            {"type": "rect", "color": "var(--alarm)", "opacity": 0.22},
            x=x | {"field": "from"},
            x2={"field": "to"},
        ),
        layer(
            bars,
            {"type": "bar"},
            x=x | {"field": "from", "bin": "binned"},
            x2={"field": "to"},
            y={
                "field": "starts", "type": "quantitative", "title": None, "stack": "zero",
                "axis": {"format": "d", "tickMinStep": 1, "tickCount": 4},
            },
            color=colour("deployment", used),
        ),
        layer(
            [shade | {"middle": (shade["from"] + shade["to"]) / 2} for shade in shades],
            _NOTE | {"fontWeight": "bold"},
            x=x | {"field": "middle"},
            y={"value": 0},
            text={"field": "number", "type": "nominal"},
        ),
    ]  # fmt: skip
    return drawn(layers, "Starts of replicas by time of day", width=_WIDTH, height=130)


def break_even(offers: Rows) -> Markup | None:
    """Draw how full each owned pool is, and how full it must be to beat each API; None when no pool has both.

    Args:
        offers: a pool's deployment and chip with used_ratio (the day's tokens over what the pool can serve), and the
            api_provider with break_even_ratio, in the same unit.
    """
    known = [row for row in offers if row["used_ratio"] and row["break_even_ratio"]]
    if not known:
        return None
    sizes: dict[str, int] = {}
    for row in known:
        sizes[row["api_provider"]] = sizes.get(row["api_provider"], 0) + 1
    names = largest_names(sizes)
    points = [
        {
            "pool": f"{row['deployment']}|{row['chip']}, {row['region']}",
            "deployment": row["deployment"],
            "offer": row["api_provider"],
            "used": row["used_ratio"],
            "even": row["break_even_ratio"],
            "api": row["api_provider"] if row["api_provider"] in names else REST,
        }
        for row in known
    ]
    pools = list(dict.fromkeys(point["pool"] for point in points))
    ratios = [ratio for point in points for ratio in (point["used"], point["even"], 1.0)]
    domain = [min(ratios) / 1.6, max(ratios) * 1.6]
    powers = range(math.floor(math.log10(domain[0])), math.ceil(math.log10(domain[1])) + 1)
    scale = {"type": "log", "domain": domain, "nice": False}
    x = {
        "field": "used", "type": "quantitative", "title": None, "scale": scale,
        "axis": {
            "values": [10.0**power for power in powers if domain[0] <= 10.0**power <= domain[1]],
            "labelExpr": "datum.value > 1 ? format(datum.value, ',') + ' x' : format(datum.value, '~%')",
        },
    }  # fmt: skip
    y = {
        "field": "pool", "type": "nominal", "sort": pools, "title": None,
        "axis": {
            "labelExpr": "split(datum.label, '|')", "ticks": False, "domain": False, "minExtent": 140,
            "labelLimit": 220, "grid": True,
        },
    }  # fmt: skip
    used = [name for name in [*names, REST] if name in {point["api"] for point in points}]
    layers = [
        layer(
            [{"used": 1.0, "to": domain[1]}],
            {"type": "rect", "color": "var(--alarm)", "opacity": 0.09},
            x=x,
            x2={"field": "to"},
        ),
        layer(
            [{"used": 1.0, "text": "full"}],
            _NOTE,
            x=x,
            y={"value": 0},
            text={"field": "text", "type": "nominal"},
        ),
        layer(
            [
                point
                | {
                    "say": f"{point['deployment']} breaks even with {point['offer']} at {filled(point['even'])}"
                }
                for point in points
            ],
            {"type": "point", "shape": "diamond", "filled": True, "size": 70, "opacity": 0.9},
            x={"field": "even", "type": "quantitative", "scale": scale},
            y=y,
            color=colour("api", used),
        ),
        layer(
            [
                point | {"say": f"{point['deployment']} is filled to {filled(point['used'])}"}
                for point in points
            ],
            {"type": "point", "filled": True, "size": 90, "color": "var(--ink)", "opacity": 1},
            x=x,
            y=y,
        ),
    ]
    height = 40 * len(pools)
    return drawn(layers, "Break-even of owned pools against APIs", width=_WIDTH - 190, height=height)


def largest_names(sizes: Mapping[str, Decimal] | Mapping[str, int]) -> list[str]:
    ranked = sorted(sizes, key=lambda name: (-sizes[name], name))
    if len(ranked) <= SERIES_AT_MOST:
        return ranked
    return ranked[: SERIES_AT_MOST - 1]


def layer(values: Sequence[Mapping[str, Any]], mark: Mapping[str, Any], **encoding: Any) -> dict[str, Any]:
    """Return a layer; what its rows `say` stands under the pointer."""
    if values and "say" in values[0]:
        mark = {**mark, "aria": True}
        encoding["description"] = {"field": "say", "type": "nominal"}
    return {"data": {"values": values}, "mark": mark, "encoding": encoding}


def colour(field: str, names: list[str]) -> dict[str, Any]:
    colours = [*_COLOURS[: len(names) - 1], "var(--rest)"] if REST in names else _COLOURS[: len(names)]
    return {
        "field": field,
        "type": "nominal",
        "sort": names,
        "scale": {"domain": names, "range": colours},
        "legend": {
            "orient": "bottom",
            "title": None,
            "columns": 4,
            "labelLimit": 190,
            "symbolType": "square",
        },
    }


def dollar_format(bars: Rows) -> str:
    largest = max(abs(row["usd"]) for row in bars)
    return "$,.3~s" if largest >= 1000 else "$,.2~f" if largest >= 1 else "$,.3~r"  # noqa: PLR2004  d3's words


def drawn(layers: list[dict[str, Any]], label: str, *, width: int, height: int) -> Markup:
    svg = vl_convert.vegalite_to_svg(
        {
            "$schema": _SCHEMA,
            "config": _CONFIG,
            "width": width,
            "height": height,
            "layer": _without_controls(layers),
        }
    )
    svg = _SAID.sub(lambda mark: f"<path{_ROLES.sub('', mark[2])}><title>{mark[1]}</title></path>", svg)
    # Vega escapes the names in it.
    return Markup(svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))  # noqa: S704


def _without_controls(part: Any) -> Any:
    """Return a part of a specification whose names show control characters as escapes: on one, vl-convert aborts."""
    if isinstance(part, str):
        return escaped(part)
    if isinstance(part, Mapping):
        return {key: _without_controls(value) for key, value in part.items()}
    return [_without_controls(value) for value in part] if isinstance(part, list | tuple) else part
