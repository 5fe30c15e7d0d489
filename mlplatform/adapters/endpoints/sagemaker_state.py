"""What SageMaker's description of an endpoint means for the deployment that is desired; nothing here asks anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlplatform.adapters.endpoints.sagemaker_names import generation_of
from mlplatform.adapters.endpoints.sagemaker_records import Progress
from mlplatform.adapters.endpoints.sagemaker_requests import Plan
from mlplatform.ports.endpoints import Deployment, EndpointState

CHANGING = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")
_NO_REASON = "SageMaker gives no reason; look at the endpoint's events and at its log group /aws/sagemaker/Endpoints"


@dataclass(frozen=True)
class Found:
    """The endpoint as SageMaker has it; `config` is what serves, or what the first creation asked for.

    `captures`: whether all that answers now is captured there.
    """

    status: str
    config: str
    live_generation: int
    instances: int
    changed_at: str
    reason: str
    captures: bool


def found_of(name: str, told: Mapping[str, Any] | None) -> Found | None:
    """What DescribeEndpoint told."""
    if told is None:
        return None
    config, status = told.get("EndpointConfigName", ""), told["EndpointStatus"]
    serves = status in ("InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed")
    variants = told.get("ProductionVariants", ())
    return Found(
        status=status,
        config=config,
        live_generation=generation_of(name, config) if serves else 0,
        instances=sum(v.get("CurrentInstanceCount", 1) for v in variants) if serves else 0,
        changed_at=told["LastModifiedTime"].isoformat(),
        reason=told.get("FailureReason", ""),
        captures=status == "InService" and bool(told.get("DataCaptureConfig", {}).get("EnableCapture")),
    )


def has_failed(found: Found, plan: Plan, progress: Progress | None) -> bool:
    """Whether the configuration that is desired was asked for, and is not what came of it.

    Of an update SageMaker tells only that the earlier configuration serves. That it was tried is seen by the time of the last
    change, which is another than it was before the update was asked for.
    """
    if found.status in CHANGING:
        return False
    config = plan.config["EndpointConfigName"]
    if found.config == config:
        return found.status != "InService"
    if found.status == "Failed":
        return False
    return progress is not None and progress.config == config and progress.changed_at != found.changed_at


def state_of(deployment: Deployment, plan: Plan, found: Found | None, progress: Progress | None) -> EndpointState:
    """The endpoint's state."""
    endpoint, generation = deployment.endpoint, deployment.generation
    if found is None:
        message = f"SageMaker has no endpoint '{plan.name}' yet; generation {generation} waits to be made."
        return EndpointState(endpoint, deployment, 0, "Updating", 0, message)
    live, instances = found.live_generation, found.instances
    if has_failed(found, plan, progress):
        goes_on = f"generation {live} goes on serving" if live else "nothing serves"
        message = f"Generation {generation} cannot be served: {found.reason or _NO_REASON} ({goes_on})."
        return EndpointState(endpoint, deployment, live, "Failed", instances, message, _machine(found, plan))
    if found.status == "InService" and live == generation:
        return EndpointState(endpoint, deployment, live, "InService", instances, machine=_machine(found, plan))
    back = found.status == "RollingBack" or deployment.reason.startswith("rollback")
    waits = "" if found.status in CHANGING else " SageMaker is not asked for it yet."
    return EndpointState(
        endpoint,
        deployment,
        live,
        "RollingBack" if back else "Updating",
        instances,
        f"SageMaker's endpoint '{plan.name}' is {found.status}; it does not answer with generation {generation} yet.{waits}",
    )


def _machine(found: Found, plan: Plan) -> str:
    """The instances' type, where the configuration that serves is the one that is desired: its name says what is in it."""
    if found.config != plan.config["EndpointConfigName"]:
        return ""
    [variant] = plan.config["ProductionVariants"]
    return str(variant["InstanceType"])
