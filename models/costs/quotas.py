"""The rule `reserved_quota`: tenants carry a pool's serving cost by what they reserved of it."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import polars as pl

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def by_quota(
    share: Floats,
    *,
    stage: Ints,
    pool: Ints,
    tenant: pl.Series,
    work: Floats,
    whole: Ints,
    quotas: Sequence[Mapping[str, Decimal] | None],
) -> Floats:
    """Return the shares of placed rows, those of pools with quotas split by them.

    A stage's serving dollars go to the tenants that worked in it in proportion to their quotas, whatever they sent,
    and within a tenant to its attempts by weighted tokens worked. Who has no quota pays nothing beside one who has;
    among those who all have none, weighted tokens alone count.

    Args:
        share: picodollars of each row by the other rules, in an order that does not depend on that of the input.
        stage: of each row.
        pool: of each row.
        tenant: of each row; NULL where the log names none.
        work: weighted tokens that each row worked in the stage.
        whole: picodollars of each row's stage.
        quotas: by pool; None where another rule holds.
    """
    has_quota = np.array([each is not None for each in quotas], dtype=np.bool_)
    rows = np.flatnonzero(has_quota[pool])
    if not len(rows):
        return share
    reserved = pl.DataFrame(
        [
            {"pool": number, "tenant": name, "quota": float(quota)}
            for number, each in enumerate(quotas)
            for name, quota in (each or {}).items()
        ],
        schema={"pool": pl.Int64, "tenant": pl.String, "quota": pl.Float64},
    )
    known = (
        pl.DataFrame({"stage": stage[rows], "pool": pool[rows], "tenant": tenant.gather(rows)})
        .with_columns(pl.struct("stage", "tenant").rank("dense").cast(pl.Int64).alias("group"))
        .join(reserved, on=["pool", "tenant"], how="left", maintain_order="left")
    )
    group = known.get_column("group").to_numpy()
    _, of_stage = np.unique(stage[rows], return_inverse=True)
    worked = work[rows]
    of_tenant = np.bincount(group, weights=worked)[group]
    part = np.divide(worked, of_tenant, out=np.zeros(len(rows)), where=of_tenant > 0)
    part *= known.get_column("quota").fill_null(0).to_numpy()
    has_reserved = np.bincount(of_stage, weights=part)[of_stage] > 0
    part = np.where(has_reserved, part, worked)
    total = np.bincount(of_stage, weights=part)[of_stage]
    split = share.copy()
    split[rows] = np.divide(whole[rows] * part, total, out=np.zeros(len(rows)), where=total > 0)
    return split
