"""Requests of AWS's clients read, and answers written, in the protocols `json` (a target in the headers) and `query` (a form
in, XML out). `rest` has the third.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs
from xml.etree import ElementTree

from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError, check, model, operation_of


@dataclass(frozen=True)
class Asked:
    """One request: the service's name, the operation's, its parameters, and who asks where."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    access_key: str = ""
    region: str = ""


_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")


def signature(headers: Mapping[str, str]) -> tuple[str, str, str]:
    """Access key, region, and the service's signing name. Raises AwsRefusedError where the request is not signed."""
    signed = _CREDENTIAL.search(headers.get("Authorization", ""))
    if signed is None:
        raise AwsRefusedError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    return signed[1], signed[2], signed[3]


def asked(headers: Mapping[str, str], body: bytes, services: Sequence[str]) -> Asked:
    """The request. Raises AwsRefusedError where it is none of the services'."""
    key, region, signed = signature(headers)
    target = headers.get("X-Amz-Target", "")
    if target:
        prefix, _, name = target.partition(".")
        service = next((s for s in services if model(s).metadata.get("targetPrefix") == prefix), "")
        if not service:
            raise AwsRefusedError("UnknownOperationException", f"nothing here knows {target}")
        found: Any = json.loads(body or b"{}")
    else:
        form = {key: values[0] for key, values in parse_qs(body.decode(), keep_blank_values=True).items()}
        service, name = next(s for s in services if model(s).protocol == "query"), form["Action"]
        found = _of_form(operation_of(service, name).input_shape, form, "")
    operation = operation_of(service, name)
    if model(service).signing_name != signed:
        raise AwsRefusedError("SignatureDoesNotMatch", f"signed for {signed}, asked of {service}", 403)
    check(operation.input_shape, found, "ValidationException")
    return Asked(service, name, found, key, region)


def answered(request: Asked, found: Mapping[str, Any]) -> bytes:
    """The body of what is answered."""
    operation = operation_of(request.service, request.operation)
    check(operation.output_shape, found, "InternalFailure")
    if model(request.service).protocol == "json":
        return json.dumps(plain(found)).encode()
    root = ElementTree.Element(f"{request.operation}Response")
    result = ElementTree.SubElement(root, f"{request.operation}Result")
    assert operation.output_shape is not None
    _write(result, operation.output_shape, found)
    ElementTree.SubElement(ElementTree.SubElement(root, "ResponseMetadata"), "RequestId").text = "none"
    return ElementTree.tostring(root)


def refused(service: str, error: AwsRefusedError) -> bytes:
    """The body of an answer that is an error."""
    if model(service).protocol == "json":
        return json.dumps({**error.fields, "__type": error.code, "message": str(error), "Message": str(error)}).encode()
    root = ElementTree.Element("ErrorResponse")
    inner = ElementTree.SubElement(root, "Error")
    for name, text in (("Type", "Sender"), ("Code", error.code), ("Message", str(error))):
        ElementTree.SubElement(inner, name).text = text
    ElementTree.SubElement(root, "RequestId").text = "none"
    return ElementTree.tostring(root)


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


def plain(value: Any) -> Any:
    """The value as JSON has it: bytes in base64, times as seconds."""
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(inner) for inner in value]
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
