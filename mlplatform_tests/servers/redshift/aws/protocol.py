"""Requests of AWS's clients read, and answers written, by botocore's own descriptions of the services.

Requests are validated as the service would, and answers as its clients expect them. Two protocols: `json`, and `query`
(a form in, XML out).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator

SERVICES = ("redshift", "redshift-serverless", "redshift-data")


class AwsRefusedError(Exception):
    """An answer that is an error; `code` is AWS's."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(frozen=True)
class Asked:
    """One request: the service's name, the operation's, and its parameters."""

    service: str
    operation: str
    parameters: Mapping[str, Any]


@cache
def model(service: str) -> ServiceModel:
    """botocore's description of the service."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def asked(headers: Mapping[str, str], body: bytes) -> Asked:
    """The request. Raises AwsRefusedError where it is none of the service's."""
    signed = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/aws4_request", headers.get("Authorization", ""))
    if signed is None:
        raise AwsRefusedError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    target = headers.get("X-Amz-Target", "")
    if target:
        prefix, _, name = target.partition(".")
        service = next(s for s in SERVICES if model(s).metadata.get("targetPrefix") == prefix)
        found: Any = json.loads(body or b"{}")
    else:
        form = {key: values[0] for key, values in parse_qs(body.decode(), keep_blank_values=True).items()}
        service, name = "redshift", form["Action"]
        found = _of_form(_operation(service, name).input_shape, form, "")
    operation = _operation(service, name)
    if model(service).signing_name != signed[1]:
        raise AwsRefusedError("SignatureDoesNotMatch", f"signed for {signed[1]}, asked of {service}", 403)
    _check(operation.input_shape, found, "ValidationException")
    return Asked(service, name, found)


def answered(request: Asked, found: Mapping[str, Any]) -> bytes:
    """The body of what is answered."""
    operation = _operation(request.service, request.operation)
    _check(operation.output_shape, found, "InternalFailure")
    if model(request.service).protocol == "json":
        return json.dumps(_plain(found)).encode()
    root = ElementTree.Element(f"{request.operation}Response")
    result = ElementTree.SubElement(root, f"{request.operation}Result")
    assert operation.output_shape is not None
    _write(result, operation.output_shape, found)
    ElementTree.SubElement(ElementTree.SubElement(root, "ResponseMetadata"), "RequestId").text = "none"
    return ElementTree.tostring(root)


def refused(service: str, error: AwsRefusedError) -> bytes:
    """The body of an answer that is an error."""
    if model(service).protocol == "json":
        return json.dumps({"__type": error.code, "message": str(error), "Message": str(error)}).encode()
    root = ElementTree.Element("ErrorResponse")
    inner = ElementTree.SubElement(root, "Error")
    for name, text in (("Type", "Sender"), ("Code", error.code), ("Message", str(error))):
        ElementTree.SubElement(inner, name).text = text
    ElementTree.SubElement(root, "RequestId").text = "none"
    return ElementTree.tostring(root)


def _operation(service: str, name: str) -> OperationModel:
    if name not in model(service).operation_names:
        raise AwsRefusedError("InvalidAction", f"{service} has no operation {name}")
    return model(service).operation_model(name)


def _check(shape: Shape | None, found: Any, code: str) -> None:
    if shape is None:
        return
    report = ParamValidator().validate(found, shape)
    if report.has_errors():
        raise AwsRefusedError(code, report.generate_report())
    _check_patterns(shape, found)


def _check_patterns(shape: Shape, found: Any) -> None:
    """What botocore leaves to the service."""
    if shape.type_name == "structure":
        for name, value in found.items():
            _check_patterns(shape.members[name], value)  # type: ignore[attr-defined]
    elif shape.type_name == "list":
        for value in found:
            _check_patterns(shape.member, value)  # type: ignore[attr-defined]
    elif shape.type_name == "string":
        pattern = shape.metadata.get("pattern")
        if pattern and re.fullmatch(str(pattern), found) is None:
            raise AwsRefusedError("ValidationException", f"{shape.name}: '{found}' does not match {pattern}")


def _of_form(shape: Any, form: Mapping[str, str], prefix: str) -> Any:
    """A structure out of a form's fields: ``Name``, and ``Names.Name.1`` of a list."""
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        key = prefix + name
        if member.type_name == "list":
            inner = member.member.serialization.get("name", "member")
            values, number = [], 1
            while (item := form.get(f"{key}.{inner}.{number}")) is not None:
                values.append(item)
                number += 1
            if values:
                found[name] = values
        elif key in form:
            text = form[key]
            kinds = {"boolean": lambda t: t == "true", "integer": int}
            found[name] = kinds.get(member.type_name, str)(text)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(inner) for inner in value]
    return value


def _write(parent: ElementTree.Element, shape: Any, found: Any) -> None:
    for name, value in found.items():
        member = shape.members[name]
        element = ElementTree.SubElement(parent, name)
        if member.type_name == "structure":
            _write(element, member, value)
        elif member.type_name == "list":
            for item in value:
                inner = ElementTree.SubElement(element, member.member.serialization.get("name", "member"))
                _write(inner, member.member, item)
        elif isinstance(value, datetime):
            element.text = value.isoformat()
        else:
            element.text = str(value)
