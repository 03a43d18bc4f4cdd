"""What pods hold by Dynamic Resource Allocation, where the list has their ResourceClaims and ResourceSlices.

A claim that is allocated names its devices, and in `reservedFor` the pods that use them. A device that several pods
share is held by each in equal parts. Devices of an unknown size, and shares of a device that are allocated by its
capacity, have no number here. Source: resource.k8s.io/v1, `ResourceClaimStatus`, `DeviceRequestAllocationResult`; the
drivers of NVIDIA (`gpu.nvidia.com`; a MIG device is named such as `gpu-2-mig-3g47gb-5-0`), AMD, Intel, Google and AWS
(docs.aws.amazon.com/eks/latest/userguide/device-management-neuron.html).
"""

import polars as pl

from models.lifecycle.kubernetes import FABRIC, LIKE, QUARTERS

_WHOLE = (
    "gpu.nvidia.com",
    "gpu.amd.com",
    "gpu.intel.com",
    "gaudi.intel.com",
    "tpu.google.com",
    "neuron.aws.com",
)
"""Drivers whose devices are whole accelerators, or MIG slices that say so."""
_POD = ["line_number", "replica_id"]
_DEVICE = ["line_number", "driver", "pool", "device"]

CLAIM_SHAPE = {
    "reservedFor": [{"resource": "VARCHAR", "uid": "VARCHAR"}],
    "allocation": {
        "devices": {
            "results": [
                {
                    "driver": "VARCHAR",
                    "pool": "VARCHAR",
                    "device": "VARCHAR",
                    "shareID": "VARCHAR",
                    "adminAccess": "VARCHAR",
                }
            ]
        }
    },
}
"""What is read of a ResourceClaim's status."""
_ATTRIBUTES = '{"productName": {"string": "VARCHAR"}, "profile": {"string": "VARCHAR"}}'
_DEVICES = f'[{{"name": "VARCHAR", "attributes": {_ATTRIBUTES}, "basic": {{"attributes": {_ATTRIBUTES}}}}}]'
_KNOWN_OF_DEVICE = ", ".join(
    f"'{name}': coalesce(d.attributes.{key}.string, d.basic.attributes.{key}.string)"
    for name, key in (("product", "productName"), ("profile", "profile"))
)
CLAIM_FIELDS = f"""
len(pod.spec.resourceClaims) AS claim_count,
list_transform(list_filter(pod.status.reservedFor, lambda r: r.resource = 'pods'), lambda r: r.uid) AS reserved_for,
list_filter(pod.status.allocation.devices.results, lambda d: coalesce(d.adminAccess, '') <> 'true') AS claimed,
pod.spec.driver AS slice_driver, pod.spec.pool.name AS slice_pool,
list_transform(TRY(from_json(pod.spec.devices, '{_DEVICES}')), lambda d: {{'device': d.name, {_KNOWN_OF_DEVICE}}})
  AS slice_devices"""
"""SQL of what claims and slices tell, and how many claims a pod has; `pod` is the object."""


def with_claims(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Give pods what they hold by claims of the same list.

    Adds `claimed_count` (NULL where a claim of the pod is not in the list, or not allocated), `claimed_share` (of each
    device; NULL where it is not known) and `claimed_chip`.
    """
    kind = pl.col("object_kind")
    claims = (
        frame.filter(kind == "ResourceClaim", pl.col("claimed").list.len() > 0)
        .select(
            "line_number",
            "reserved_for",
            "claimed",
            pl.col("reserved_for").list.len().alias("sharers"),
            pl.int_range(pl.len()).alias("claim"),
        )
        .explode("reserved_for")
        .rename({"reserved_for": "replica_id"})
        .explode("claimed")
        .unnest("claimed")
    )
    slices = (
        frame.filter(kind == "ResourceSlice")
        .select(
            "line_number",
            pl.col("slice_driver").alias("driver"),
            pl.col("slice_pool").alias("pool"),
            "slice_devices",
        )
        .explode("slice_devices")
        .unnest("slice_devices")
        .unique(_DEVICE, keep="first", maintain_order=True)
    )
    driver = pl.col("driver")
    is_whole = driver.is_in(_WHOLE)
    is_like = driver.str.to_lowercase().str.contains(LIKE) & ~driver.str.to_lowercase().str.contains(FABRIC)
    is_accelerator = (is_whole | is_like).fill_null(value=False)
    # A device's profile is 3g.47gb; its name has 3g47gb.
    named = pl.col("device").str.extract(r"mig-(\d+g\d+gb)").str.replace("g", "g.", literal=True)
    profile = pl.coalesce("profile", named)
    slices_of = pl.when(profile.is_in(QUARTERS)).then(4).otherwise(7)
    of_mig = profile.str.extract(r"^(\d)g\.").cast(pl.Float64) / slices_of
    is_mig = profile.is_not_null() | pl.col("device").str.contains("mig").fill_null(value=False)
    share = pl.when(is_whole & pl.col("shareID").is_null()).then(pl.when(is_mig).then(of_mig).otherwise(1.0))
    held = (
        claims.join(slices, on=_DEVICE, how="left", maintain_order="left")
        .with_columns(is_accelerator=is_accelerator, share=share / pl.col("sharers"))
        .group_by(_POD, maintain_order=True)
        .agg(
            pl.col("claim").n_unique().alias("found_count"),
            pl.col("is_accelerator").sum().cast(pl.Int64).alias("claimed_count"),
            *(
                pl.col(name).filter("is_accelerator").first().alias(f"claimed_{to}")
                for name, to in (("share", "share"), ("product", "chip"))
            ),
            (pl.col("share").filter("is_accelerator").n_unique() > 1).alias("is_mixed"),
        )
    )
    is_known = (pl.col("found_count") >= pl.col("claim_count")).fill_null(value=False)
    return (
        frame.join(held, on=_POD, how="left", maintain_order="left")
        .with_columns(
            pl.when(is_known).then("claimed_count").alias("claimed_count"),
            pl.when(is_known & ~pl.col("is_mixed")).then("claimed_share").alias("claimed_share"),
        )
        .drop("found_count", "is_mixed")
    )
