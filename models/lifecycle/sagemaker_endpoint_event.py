"""SageMaker's EventBridge events of endpoints and inference components, and polled answers of DescribeEndpoint.

An endpoint's variant is a deployment of as many instances as `CurrentInstanceCount` (several variants:
endpoint/variant); an inference component is one of as many copies as `CurrentCopyCount`, of
`NumberOfAcceleratorDevicesRequired` devices each. An instance is billed from launch, before it is in service.
DescribeEndpoint names no instance type: state it beside as `InstanceType`, or in the source (`columns = {chip = {value
= "ml.g5.2xlarge"}}`); machines are read as their accelerators. Land the endpoint or its components, not both.
Source: botocore 1.44, sagemaker; EventBridge's `detail` is the Describe output.
"""

from models.lifecycle.objects import count_importer

_TEXT = "VARCHAR"
_FIELDS = (
    "EndpointName", "EndpointArn", "EndpointStatus", "ProductionVariants", "InferenceComponentName",
    "InferenceComponentStatus", "Specification", "RuntimeConfig", "InstanceType",
)  # fmt: skip
_SHAPE = (
    '[{"VariantName": "VARCHAR", "CurrentInstanceCount": "VARCHAR", "DesiredInstanceCount": "VARCHAR", '
    '"InstanceType": "VARCHAR"}]'
)
_STATUS = "coalesce((d->>'$.EndpointStatus'), (d->>'$.InferenceComponentStatus'))"
_WHOLE = ", ".join(f"'{name}', {name}" for name in _FIELDS)
_ARN_REGION = "regexp_extract(d->>'$.EndpointArn', '^arn:[^:]*:sagemaker:([^:]+)', 1)"
_SOURCE = f"""(
  SELECT line_number, d, stated_at, region, variant, len(variants) AS variant_count, {_STATUS} AS status
  FROM (
    SELECT line_number, d, stated_at, region, variants,
           unnest(CASE WHEN len(variants) > 0 THEN variants ELSE [NULL] END) AS variant
    FROM (
      SELECT line_number, d, stated_at, coalesce(region, {_ARN_REGION}) AS region,
             TRY(from_json(d->'$.ProductionVariants', '{_SHAPE}')) AS variants
      FROM (
        SELECT line_number, region, coalesce("time", polled_at) AS stated_at,
               coalesce(detail, json_object({_WHOLE})) AS d
        FROM records
      )
    )
  )
)"""
_IS_GONE = "status IN ('Deleting', 'Failed', 'OutOfService')"
_COPIES = "(d->>'$.RuntimeConfig.CurrentCopyCount')"
_ASKED = "coalesce(variant.DesiredInstanceCount, (d->>'$.RuntimeConfig.DesiredCopyCount'), '0')"
_RUNNING = f"coalesce(variant.CurrentInstanceCount, {_COPIES}, '0')"

IMPORTER = count_importer(
    "sagemaker_endpoint_event",
    columns=dict.fromkeys(
        (
            "detail-type", "time", "region", "polled_at", "EndpointName", "EndpointArn", "EndpointStatus",
            "InferenceComponentName", "InferenceComponentStatus", "InstanceType",
        ),
        _TEXT,
    )
    | dict.fromkeys(("detail", "ProductionVariants", "Specification", "RuntimeConfig"), "JSON"),
    facts={
        "deployment": "CASE WHEN (d->>'$.InferenceComponentName') IS NOT NULL THEN (d->>'$.InferenceComponentName') "
        "WHEN variant_count > 1 THEN concat_ws('/', (d->>'$.EndpointName'), variant.VariantName) "
        "ELSE (d->>'$.EndpointName') END",
        "model": "(d->>'$.Specification.ModelName')",
        "chip": "coalesce(variant.InstanceType, (d->>'$.InstanceType'), (d->>'$.Specification.InstanceType'))",
        "chip_count": "CAST(TRY_CAST(d->>'$.Specification.ComputeResourceRequirements."
        "NumberOfAcceleratorDevicesRequired' AS DOUBLE) AS BIGINT)",
        "provider": "'aws.sagemaker'",
        "region": "region",
    },
    source=_SOURCE,
    observed_at="stated_at",
    ready=f"CASE WHEN {_IS_GONE} OR status = 'Creating' THEN '0' ELSE {_RUNNING} END",
    starting=f"CASE WHEN {_IS_GONE} THEN 0 WHEN status = 'Creating' THEN TRY_CAST({_ASKED} AS BIGINT) "
    f"ELSE greatest(TRY_CAST({_ASKED} AS BIGINT) - TRY_CAST({_RUNNING} AS BIGINT), 0) END",
    reason="CASE WHEN status = 'Creating' OR status = 'SystemUpdating' THEN 'deploy' "
    f"WHEN {_RUNNING} = '0' THEN 'scale_from_zero' WHEN status = 'Updating' THEN 'scale_up' END",
    signature=(
        frozenset({"detail-type=SageMaker Endpoint", "detail"}),
        frozenset({"detail-type=SageMaker InferenceComponent", "detail"}),
        frozenset({"detail-type=SageMaker Inference Component", "detail"}),
        frozenset({"EndpointArn", "EndpointStatus"}),
        frozenset({"InferenceComponentArn", "InferenceComponentStatus"}),
    ),
)  # fmt: skip
