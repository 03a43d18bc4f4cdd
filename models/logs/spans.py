"""How spans of a trace stand to each other."""

import numpy as np
import polars as pl

_DEEPEST = 200
"""No trace is deeper than this; a ring of parents ends here."""


def with_parents(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Add `parent_span_id`: the nearest span above that is used, as far as the frame holds the spans between.

    A span without a provider takes that of this span above.

    Args:
        frame: columns `trace_id, span_id, parent_id, is_usable, provider`; every span of the records, used or not.

    Where the way up leaves the frame before a used span is met, it is the last parent known.
    """
    schema = pl.Schema([*frame.collect_schema().items(), ("parent_span_id", pl.String())])
    return frame.map_batches(_parents, predicate_pushdown=False, projection_pushdown=False, schema=schema)


def _parents(spans: pl.DataFrame) -> pl.DataFrame:
    if spans["parent_id"].null_count() == spans.height:
        return spans.with_columns(parent_span_id=pl.lit(None, dtype=pl.String))
    keys = ("trace_id", "span_id")
    numbered = spans.select(*keys, "parent_id").with_row_index("row")
    owners = numbered.select(*keys, "row").drop_nulls().unique(keys, keep="first", maintain_order=True)
    parents = numbered.join(
        owners,
        left_on=("trace_id", "parent_id"),
        right_on=keys,
        how="left",
        suffix="_above",
        maintain_order="left",
    )
    above = parents["row_above"].cast(pl.Int64).fill_null(-1).to_numpy()
    is_usable = spans["is_usable"].fill_null(value=False).to_numpy()
    last = np.arange(spans.height)
    for _ in range(_DEEPEST):
        parent = above[last]
        goes_on = (parent >= 0) & ~is_usable[parent]
        if not goes_on.any():
            break
        last = np.where(goes_on, parent, last)
    nearest = pl.Series(above[last])
    told_above = spans["provider"].gather(nearest.set(nearest < 0, None))
    return spans.with_columns(
        parent_span_id=spans["parent_id"].gather(last),
        provider=spans["provider"].zip_with(spans["provider"].is_not_null(), told_above),
    )
