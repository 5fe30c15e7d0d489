"""What a service says its requests and answers look like, and values checked against that: everything but what depends on state."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator

_CLASSES = {
    r"\p{L}": r"\w", r"\p{N}": r"\d", r"\p{Z}": r"\s", r"\p{Alnum}": r"\w",
    r"\p{ASCII}": r"[\x00-\x7f]", r"[\p{Print}]": r"[\x20-\x7e]", r"\p{Print}": r"[\x20-\x7e]", r"\z": r"\Z",
    r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010ffff",
    r"\p{M}": r"\W", r"\p{S}": r"\W", r"\p{P}": r"\W", "${": "{",
}  # fmt: skip
"""Classes of characters and what else there is in Java's words (and a slip of theirs), and in Python's."""


class AwsRefusedError(Exception):
    """An answer that is an error; `code` is AWS's, `fields` are the error's members beside its message."""

    def __init__(self, code: str, message: str, status: int = 400, fields: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.fields = dict(fields or {})


@cache
def model(service: str) -> ServiceModel:
    """botocore's description of the service."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def operation_of(service: str, name: str) -> OperationModel:
    """One operation. Raises AwsRefusedError where the service has none of that name."""
    if name not in model(service).operation_names:
        raise AwsRefusedError("InvalidAction", f"{service} has no operation {name}")
    return model(service).operation_model(name)


def check(shape: Shape | None, found: Any, code: str) -> None:
    """Raises AwsRefusedError with `code` where `found` has other keys or types than `shape`, or breaks one of its limits."""
    if shape is None:
        return
    report = ParamValidator().validate(found, shape)
    if report.has_errors():
        raise AwsRefusedError(code, report.generate_report())
    broken = limits_broken(shape, found)
    if broken:
        count = f"{len(broken)} validation error{'s' if len(broken) > 1 else ''} detected"
        raise AwsRefusedError(code, f"{count}: {'; '.join(broken)}")


def limits_broken(shape: Any, found: Any, at: str = "") -> list[str]:
    """What botocore leaves to the service: enums, lengths, patterns, ranges; a sentence for each that does not hold."""
    broken = [f"Value '{found}' at '{at}' failed to satisfy constraint: {rule}" for rule in _rules(shape, found)]
    if shape.type_name == "structure":
        for name, value in found.items():
            if name in shape.members:
                broken += limits_broken(shape.members[name], value, f"{at}.{name}".lstrip("."))
    elif shape.type_name == "list":
        for number, value in enumerate(found, 1):
            broken += limits_broken(shape.member, value, f"{at}.{number}.member")
    elif shape.type_name == "map":
        for name, value in found.items():
            broken += limits_broken(shape.key, name, f"{at}.key")
            broken += limits_broken(shape.value, value, f"{at}.{name}")
    return broken


def _rules(shape: Any, found: Any) -> list[str]:
    """The limits of `shape` itself that `found` breaks."""
    limits, broken = shape.metadata, []
    if shape.type_name in ("string", "list", "map", "blob"):
        size, what = len(found), "length"
    elif shape.type_name in ("integer", "long", "float", "double"):
        size, what = found, "value"
    else:
        return []
    if "min" in limits and size < limits["min"]:
        broken.append(f"Member must have {what} greater than or equal to {limits['min']}")
    if "max" in limits and size > limits["max"]:
        broken.append(f"Member must have {what} less than or equal to {limits['max']}")
    if shape.type_name == "string":
        if "enum" in limits and found not in limits["enum"]:
            broken.append(f"Member must satisfy enum value set: [{', '.join(limits['enum'])}]")
        if limits.get("pattern") and _pattern(str(limits["pattern"])).fullmatch(found) is None:
            broken.append(f"Member must satisfy regular expression pattern: {limits['pattern']}")
    return broken


@cache
def _pattern(text: str) -> re.Pattern[str]:
    for java, python in _CLASSES.items():
        text = text.replace(java, python)
    return re.compile(text)
