"""Objects of vendors that tell of replicas, as their APIs and exports return them; every value is made up."""

from typing import Any

_DAY = "2026-11-02T"


def vendor_object(kind: str, number: int) -> dict[str, Any]:
    """Return an object that lands; the greater the number, the more replicas it counts."""
    at = f"{_DAY}09:{number % 60:02}:00Z"
    count = 1 + number
    match kind:
        case "replica_counts":
            return {
                "deployment": "chat", "observed_at": at, "ready_count": count, "starting_count": 0, "chip": "H100",
                "chip_count": 1, "provider": "modal", "region": "us-east-1", "model": "llama",
            }  # fmt: skip
        case "baseten_deployment":
            return {
                "id": "dep1", "name": "llama", "model_id": "m1", "status": "ACTIVE", "active_replica_count": count,
                "instance_type_name": "H100:2x52x468", "polled_at": at,
            }  # fmt: skip
        case "fireworks_deployment":
            return {
                "name": "accounts/a/deployments/x1", "baseModel": "llama", "acceleratorType": "NVIDIA_H100_80GB",
                "acceleratorCount": 2, "region": "US_IOWA_1", "state": "READY", "polled_at": at,
                "replicaStats": {"readyReplicaCount": count, "initializingReplicaCount": 0},
            }  # fmt: skip
        case "together_deployment":
            return {
                "id": "dep_1", "name": "acme/chat/a", "endpointId": "e1", "hardware": "2x_nvidia_h100_80gb_sxm",
                "model": "projects/p/models/llama/revisions/r", "polled_at": at, "desiredReplicas": count,
                "status": {"state": "DEPLOYMENT_STATE_READY", "readyReplicas": count},
            }  # fmt: skip
        case "together_endpoint_event":
            return {
                "id": f"ev{number}", "createdAt": at, "endpointId": "e1", "deploymentId": "dep_1",
                "level": "LEVEL_INFO", "source": "autoscaler", "sourceKind": "SOURCE_KIND_DEPLOYMENT",
                "type": "deployment.scaled", "oldReplicas": number, "newReplicas": count,
            }  # fmt: skip
        case "baseten_metrics":
            labels = {"__name__": "baseten_replicas_active", "deployment_id": "dep1", "model_name": "llama"}
            return {"metric": labels, "value": [1793610000 + 60 * number, str(count)]}
        case "modal_app":
            return {
                "app_id": "ap-1", "description": "llm", "state": "deployed", "tasks": str(count),
                "created_at": "2026-11-01 09:00:00+00:00", "stopped_at": None, "polled_at": at,
            }  # fmt: skip
        case "fal_runner":
            runner = {
                "alias": "sdxl", "machine_type": "GPU-H100", "runner_id": f"f{number}", "uptime_seconds": 30,
                "in_flight_requests": 0, "revision": "v1", "state": "RUNNING",
            }  # fmt: skip
            return {"polled_at": at, "runners": [runner]}
        case "sagemaker_endpoint_event":
            variant = {
                "VariantName": "AllTraffic",
                "CurrentInstanceCount": count,
                "DesiredInstanceCount": count,
            }
            detail = {
                "EndpointName": "chat", "EndpointStatus": "InService", "InstanceType": "ml.g5.12xlarge",
                "EndpointArn": "arn:aws:sagemaker:us-east-1:1:endpoint/chat", "ProductionVariants": [variant],
            }  # fmt: skip
            named = "SageMaker Endpoint State Change"
            return {"detail-type": named, "time": at, "region": "us-east-1", "detail": detail}
        case "bedrock_provisioned":
            return {
                "provisionedModelArn": f"arn:aws:bedrock:us-east-1:1:provisioned-model/p{number}",
                "foundationModelArn": "arn:aws:bedrock:us-east-1::foundation-model/amazon.titan-text-lite-v1",
                "modelUnits": 2, "status": "InService", "creationTime": at,
            }  # fmt: skip
        case "azure_deployment":
            return {
                "id": f"/subscriptions/s/accounts/a/deployments/d{number}", "name": f"d{number}",
                "sku": {"name": "GlobalProvisionedManaged", "capacity": 50}, "systemData": {"createdAt": at},
                "properties": {"model": {"format": "OpenAI", "name": "gpt-4.1", "version": "2025-04-14"}},
            }  # fmt: skip
        case "replicate_prediction":
            return {
                "id": f"p{number}", "model": "meta/llama", "version": "v", "hardware": "gpu-h100",
                "status": "succeeded", "created_at": at, "started_at": at, "completed_at": f"{_DAY}10:00:00Z",
                "urls": {"get": f"https://api.replicate.com/v1/predictions/p{number}"},
            }  # fmt: skip
        case "runpod_pod":
            return {
                "id": f"r{number}", "name": "chat", "desiredStatus": "RUNNING", "lastStartedAt": at, "costPerHr": 2.69,
                "interruptible": False, "gpu": {"count": 2, "displayName": "H100 SXM"}, "polled_at": at,
                "machine": {"gpuTypeId": "NVIDIA H100 80GB HBM3", "dataCenterId": "US-KS-2"},
            }  # fmt: skip
        case "vast_instance":
            return {
                "id": number, "label": "chat", "machine_id": 3, "gpu_name": "H100 SXM", "num_gpus": 1,
                "start_date": 1793610000 + number, "actual_status": "running", "intended_status": "running",
                "geolocation": "Texas, US", "is_bid": False, "polled_at": at,
            }  # fmt: skip
        case "lambda_instance":
            return {
                "id": f"l{number}", "name": "chat", "status": "active", "region": {"name": "us-east-1"},
                "instance_type": {"name": "gpu_8x_h100_sxm5"}, "polled_at": at,
            }  # fmt: skip
        case "ray_serve_controller_log":
            return {
                "asctime": f"2026-11-02 09:{number % 60:02}:00,100", "component_name": "controller",
                "component_id": "21700", "timestamp_ns": 1793610000_000_000_000 + number * 10**9,
                "message": f"Starting Replica(id='r{number}', deployment='llm', app='chat').",
            }  # fmt: skip
        case "vllm_router_log":
            told = f"Routing request rq{number} with session id u1 to http://llm-engine:8000 at {1793610000 + number}.5"
            return {
                "timestamp": "2026-11-02 09:00:00,123", "level": "INFO", "lineno": 1, "filename": "request.py",
                "logger": "vllm_router.services.request_service.request", "message": f"{told}, process time = 0.0012",
            }  # fmt: skip
        case "tgi_log":
            span = {
                "name": "generate", "total_time": "1.5s", "validation_time": "500.5µs", "queue_time": "60.25ms",
                "inference_time": "1.2s", "time_per_token": "60ms", "seed": "None", "parameters": "GenerateParameters",
            }  # fmt: skip
            return {
                "timestamp": f"2026-11-02T09:{number % 60:02}:10.5Z", "level": "INFO", "message": "Success",
                "target": "text_generation_router::server", "filename": "router/src/server.rs", "span": span,
                "spans": [span],
            }  # fmt: skip
        case "ray_serve_access_log":
            return {
                "asctime": f"2026-11-02 09:{number % 60:02}:00,100", "component_name": "chat_llm",
                "component_id": "r1", "request_id": f"q{number}", "replica": "r1", "deployment": "llm",
                "application": "chat", "timestamp_ns": 1793610000_000_000_000 + number * 10**9,
                "message": "GET /v1 200 203.6ms",
            }  # fmt: skip
    raise KeyError(kind)


VENDOR_KINDS = (
    "replica_counts", "baseten_deployment", "fireworks_deployment", "sagemaker_endpoint_event", "bedrock_provisioned",
    "azure_deployment", "replicate_prediction", "runpod_pod", "vast_instance", "lambda_instance", "together_deployment",
    "together_endpoint_event", "baseten_metrics", "modal_app", "fal_runner",
)  # fmt: skip
LOG_KINDS = ("ray_serve_controller_log", "ray_serve_access_log", "vllm_router_log", "tgi_log")
VENDOR_NAMES = frozenset(
    {
        "name", "model_name", "instance_type_name", "baseModel", "acceleratorType", "foundationModelArn", "modelArn",
        "provisionedModelArn", "hardware", "label", "gpu_name", "geolocation", "version", "InstanceType", "location",
        "EndpointName", "InferenceComponentName", "cluster", "component_name", "component_id", "replica",
        "application", "description", "app_id", "deploymentId",
    }
)  # fmt: skip
"""Fields of those objects that name something, and are kept as they are written."""
