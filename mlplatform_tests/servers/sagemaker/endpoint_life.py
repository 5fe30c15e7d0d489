"""What becomes of an endpoint in the background: created, brought to another configuration or back, deleted.

An update is blue/green: the new fleet is up before it gets a call, takes its share of them in the steps that were asked
for, and the old one ends when its last call is answered. Misfortunes (`Faults.expect`): ``capacity`` (no machine for the next
fleet), ``stuck`` (nothing goes on until `Faults.mend`), ``alarm`` (one goes off while the next update is watched).
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any

from mlplatform_tests.servers.sagemaker import events
from mlplatform_tests.servers.sagemaker.account import Account
from mlplatform_tests.servers.sagemaker.fleets import Fleet, NotServedError, Traffic, raised

KIND = "endpoint"
_LOOK_S = 0.05


class _AlarmError(Exception):
    """An alarm went off."""


def create(account: Account, name: str) -> None:
    """Bring the first fleet up."""
    record = account.known(KIND, name)
    pending = record["Pending"]
    tell(account, record)
    _while_stuck(account)
    try:
        fleet = raised(account, name, pending["Config"])
    except NotServedError as error:
        settled(account, name, "Failed", reason=str(error))
        return
    account.serving[name] = Traffic(fleet)
    settled(account, name, "InService", config=pending["Config"])


def update(account: Account, name: str) -> None:
    """Bring the endpoint to its pending configuration, or leave it as it is."""
    record = account.known(KIND, name)
    pending, traffic = record["Pending"], account.serving[name]
    tell(account, record)
    _while_stuck(account)
    try:
        fleet = raised(account, name, pending["Config"])
    except NotServedError as error:
        settled(account, name, "InService", reason=str(error))
        return
    if pending["Retain"]:
        fleet.weights |= {n: w for n, w in traffic.fleet.weights.items() if n in fleet.weights}
    policy = pending["DeploymentConfig"].get("BlueGreenUpdatePolicy", {})
    try:
        _shift(account, traffic, fleet, policy.get("TrafficRoutingConfiguration", {}), pending["DeploymentConfig"])
    except _AlarmError:
        settled(account, name, "RollingBack")
        traffic.next, traffic.share = None, 0.0
        fleet.end()
        settled(account, name, "InService", reason="One or more of the alarms of AutoRollbackConfiguration went off.")
        return
    old = traffic.fleet
    traffic.fleet, traffic.next, traffic.share = fleet, None, 0.0
    time.sleep(policy.get("TerminationWaitInSeconds", 0))
    settled(account, name, "InService", config=pending["Config"])
    old.end()


def delete(account: Account, name: str) -> None:
    """Take the endpoint away."""
    traffic = account.serving.pop(name, None)
    if traffic is not None:
        traffic.fleet.end()
    account.records.delete(KIND, name)


def settled(
    account: Account, name: str, status: str, *, reason: str = "", config: Mapping[str, Any] | None = None
) -> None:
    """Enter a status; `config`: what is in service from now on."""

    def change(record: dict[str, Any]) -> None:
        record |= {"EndpointStatus": status, "LastModifiedTime": time.time()}
        if config is not None:
            record["Config"] = config
        if reason:
            record["FailureReason"] = reason
        if status in ("InService", "Failed"):
            record.pop("Pending", None)

    tell(account, account.records.change(KIND, name, change))


def tell(account: Account, record: Mapping[str, Any]) -> None:
    """Send the event that says how the endpoint stands: its status is written otherwise there, its times in milliseconds."""
    detail = {
        "EndpointName": record["EndpointName"],
        "EndpointArn": record["EndpointArn"],
        "EndpointConfigName": record["Config"]["EndpointConfigName"],
        "ProductionVariants": [{"VariantName": v["VariantName"]} for v in record["Config"]["ProductionVariants"]],
        "EndpointStatus": re.sub(r"(?<=[a-z])(?=[A-Z])", "_", record["EndpointStatus"]).upper(),
        "CreationTime": int(record["CreationTime"] * 1000),
        "LastModifiedTime": int(record["LastModifiedTime"] * 1000),
        "Tags": {tag["Key"]: tag["Value"] for tag in record.get("Tags", ())},
    }
    events.send(account, events.ENDPOINT, record["EndpointArn"], detail)


def resume(account: Account) -> None:
    """Serve again what a stand-in that was killed served; what was half-way begins anew."""
    for record in account.records.all(KIND):
        name, status = record["EndpointName"], record["EndpointStatus"]
        if status == "Deleting":
            delete(account, name)
        elif status == "Creating":
            account.work(record["EndpointArn"], create, account, name)
        elif status != "Failed":
            account.work(record["EndpointArn"], _again, account, name, record["Config"])


def _again(account: Account, name: str, config: Mapping[str, Any]) -> None:
    account.serving[name] = Traffic(raised(account, name, config))
    if "Pending" in account.known(KIND, name):
        update(account, name)


def _shift(
    account: Account, traffic: Traffic, fleet: Fleet, routing: Mapping[str, Any], deployment: Mapping[str, Any]
) -> None:
    """Give the new fleet its calls, step by step. Raises _AlarmError."""
    alarms = deployment.get("AutoRollbackConfiguration", {}).get("Alarms", ())
    traffic.next = fleet
    for share in _steps(routing):
        traffic.share = share
        deadline = time.monotonic() + routing.get("WaitIntervalInSeconds", 0)
        while True:
            if alarms and account.faults.takes("alarm"):
                raise _AlarmError
            if time.monotonic() >= deadline:
                break
            time.sleep(_LOOK_S)


def _steps(routing: Mapping[str, Any]) -> list[float]:
    kind = routing.get("Type", "ALL_AT_ONCE")
    size = routing.get("CanarySize") or routing.get("LinearStepSize") or {"Type": "CAPACITY_PERCENT", "Value": 100}
    step = size["Value"] / 100 if size["Type"] == "CAPACITY_PERCENT" else 0.5
    if kind == "CANARY":
        return [step, 1.0]
    if kind == "LINEAR":
        return [min(1.0, step * number) for number in range(1, round(1 / step + 0.499) + 1)]
    return [1.0]


def _while_stuck(account: Account) -> None:
    while account.faults.expects("stuck"):
        time.sleep(_LOOK_S)
