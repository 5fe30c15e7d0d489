"""The protocol `rest-json`: an operation is a method and a path, its parameters lie in path, query, headers and body.

A member of the shape says where it lies (`location`); the `payload` member is the body itself, else the body is JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from botocore.model import OperationModel

from mlplatform_tests.servers.aws_protocol.messages import Asked, plain, signature
from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError, check, model, operation_of


def asked_rest(service: str, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Asked:
    """The request. Raises AwsRefusedError where it is none of the service's."""
    key, region, signed = signature(headers)
    if model(service).signing_name != signed:
        raise AwsRefusedError("SignatureDoesNotMatch", f"signed for {signed}, asked of {service}", 403)
    where = urlsplit(url)
    name, labels = _matched(service, method, where.path)
    shape: Any = operation_of(service, name).input_shape
    query, found = parse_qs(where.query, keep_blank_values=True), dict(labels)
    payload = shape.serialization.get("payload")
    for member, inner in shape.members.items():
        place, wire = inner.serialization.get("location"), inner.serialization.get("name", member)
        text = (
            headers.get(wire) if place == "header" else query.get(wire, [None])[0] if place == "querystring" else None
        )
        if text is not None:
            found[member] = _typed(inner.type_name, text)
    if payload:
        if body or payload in shape.required_members:
            found[payload] = body if shape.members[payload].type_name in ("blob", "string") else json.loads(body)
    elif body:
        found |= json.loads(body)
    check(shape, found, "ValidationError")
    return Asked(service, name, found, key, region)


def answered_rest(request: Asked, found: Mapping[str, Any]) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of what is answered."""
    operation = operation_of(request.service, request.operation)
    shape: Any = operation.output_shape
    check(shape, found, "InternalFailure")
    headers, rest, body = {}, {}, b""
    for name, value in found.items():
        member = shape.members[name]
        if member.serialization.get("location") == "header":
            headers[member.serialization["name"]] = str(value)
        elif name == shape.serialization.get("payload"):
            body = value if isinstance(value, bytes) else str(value).encode()
        else:
            rest[name] = value
    if rest or not shape.serialization.get("payload"):
        headers.setdefault("Content-Type", "application/json")
        body = json.dumps(plain(rest)).encode()
    return int(operation.http.get("responseCode", 200)), headers, body


def refused_rest(error: AwsRefusedError) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer that is an error."""
    said = {**error.fields, "message": str(error), "Message": str(error)}
    headers = {"x-amzn-ErrorType": error.code, "Content-Type": "application/json"}
    return error.status, headers, json.dumps(plain(said)).encode()


def _matched(service: str, method: str, path: str) -> tuple[str, dict[str, str]]:
    for name, wanted, pattern in _paths(service):
        match = pattern.fullmatch(path)
        if match is not None and method == wanted:
            return name, {label: unquote(text) for label, text in match.groupdict().items()}
    raise AwsRefusedError("UnknownOperationException", f"{service} has no {method} {path}", 404)


@cache
def _paths(service: str) -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    found = []
    for name in model(service).operation_names:
        operation: OperationModel = model(service).operation_model(name)
        path = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(operation.http["requestUri"]))
        found.append((name, operation.http["method"], re.compile(path)))
    return tuple(found)


def _typed(kind: str, text: str) -> Any:
    return {"integer": int, "long": int, "boolean": lambda t: t == "true"}.get(kind, str)(text)
