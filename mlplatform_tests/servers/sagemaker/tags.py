"""Tags of things by their ARN, and the search for things by them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError
from mlplatform_tests.servers.sagemaker import training, tuning
from mlplatform_tests.servers.sagemaker.account import Account, Operation
from mlplatform_tests.servers.sagemaker.training_state import KIND as TRAINING_JOB

_SEARCHED: Mapping[str, tuple[str, Callable[[Account, dict[str, Any]], dict[str, Any]], str]] = {
    "TrainingJob": (TRAINING_JOB, training.describe, "TrainingJobName"),
    "HyperParameterTuningJob": (
        tuning.TUNING.kind,
        lambda account, request: tuning.TUNING.describe(account, request),
        "HyperParameterTuningJobName",
    ),
}
_OPERATORS: Mapping[str, Callable[[str, str], bool]] = {
    "Equals": lambda found, wanted: found == wanted,
    "NotEquals": lambda found, wanted: found != wanted,
    "Contains": lambda found, wanted: wanted in found,
}


def list_tags(account: Account, request: dict[str, Any]) -> dict[str, Any]:
    kind, name = _thing(request["ResourceArn"])
    return {"Tags": account.known(kind, name).get("Tags", [])}


def add_tags(account: Account, request: dict[str, Any]) -> dict[str, Any]:
    kind, name = _thing(request["ResourceArn"])
    account.known(kind, name)
    added = {tag["Key"] for tag in request["Tags"]}

    def change(thing: dict[str, Any]) -> None:
        thing["Tags"] = [tag for tag in thing.get("Tags", []) if tag["Key"] not in added] + request["Tags"]

    return {"Tags": account.records.change(kind, name, change)["Tags"]}


def search(account: Account, request: dict[str, Any]) -> dict[str, Any]:
    """All filters must hold; a filter is about a tag (``Tags.<key>``) or a field that is text."""
    if request["Resource"] not in _SEARCHED:
        raise AwsRefusedError("ValidationException", f"The stand-in does not search {request['Resource']}.")
    kind, describe, name = _SEARCHED[request["Resource"]]
    found = [
        thing
        for thing in account.records.all(kind)
        if all(_holds(f, thing) for f in request.get("SearchExpression", {}).get("Filters", ()))
    ]
    by = request.get("SortBy", "CreationTime")
    found.sort(key=lambda thing: thing[by], reverse=request.get("SortOrder", "Descending") == "Descending")
    first, most = int(request.get("NextToken", "0")), request.get("MaxResults", 10)
    results = [
        {request["Resource"]: {**describe(account, {name: thing[name]}), "Tags": thing.get("Tags", [])}}
        for thing in found[first : first + most]
    ]
    for result in results:
        result[request["Resource"]].pop("WarmPoolStatus", None)
    return {"Results": results, **({"NextToken": str(first + most)} if len(found) > first + most else {})}


def _holds(wanted: dict[str, Any], thing: dict[str, Any]) -> bool:
    name = wanted["Name"]
    if name.startswith("Tags."):
        values = {tag["Key"]: tag["Value"] for tag in thing.get("Tags", ())}
        found = values.get(name.removeprefix("Tags."))
    else:
        found = thing.get(name)
    operator = wanted.get("Operator", "Equals")
    if operator in ("Exists", "NotExists"):
        return (found is not None) == (operator == "Exists")
    return found is not None and _OPERATORS[operator](str(found), wanted["Value"])


def _thing(arn: str) -> tuple[str, str]:
    kind, _, name = arn.rpartition(":")[2].partition("/")
    return kind, name


OPERATIONS: Mapping[str, Operation] = {"ListTags": list_tags, "AddTags": add_tags, "Search": search}
