"""Lists as SageMaker answers them: filtered, sorted, in pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError


def page(
    found: Iterable[Mapping[str, Any]], asked: Mapping[str, Any], *, key: str, name: str, status: str = ""
) -> dict[str, Any]:
    """One page of summaries under `key`; `name` and `status` say which fields of a thing those are.

    Knows NameContains, StatusEquals, CreationTimeAfter/Before, LastModifiedTimeAfter/Before, SortBy, SortOrder (newest
    first unless said), MaxResults and NextToken.
    """
    chosen = [dict(thing) for thing in found if _wanted(thing, asked, name, status)]
    by = {"Name": name, "Status": status}.get(asked.get("SortBy", ""), "CreationTime")
    chosen.sort(
        key=lambda thing: (thing[by], thing[name]), reverse=asked.get("SortOrder", "Descending") == "Descending"
    )
    token = asked.get("NextToken", "0")
    if not token.isdigit():
        raise AwsRefusedError("ValidationException", f"NextToken '{token}' is none of ours")
    first, most = int(token), asked.get("MaxResults", 10)
    answer: dict[str, Any] = {key: chosen[first : first + most]}
    if len(chosen) > first + most:
        answer["NextToken"] = str(first + most)
    return answer


def _wanted(thing: Mapping[str, Any], asked: Mapping[str, Any], name: str, status: str) -> bool:
    if asked.get("NameContains", "") not in thing[name]:
        return False
    if "StatusEquals" in asked and thing[status] != asked["StatusEquals"]:
        return False
    for field in ("CreationTime", "LastModifiedTime"):
        when = thing.get(field, thing["CreationTime"])
        if when < asked.get(f"{field}After", when) or when > asked.get(f"{field}Before", when):
            return False
    return True
