"""OpenAPI of the predict routes, made from each model's own signature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mlplatform.gateway.refusal import FIELDS

if TYPE_CHECKING:
    from mlplatform.core.packages.manifest import InputField
    from mlplatform.serving.served_model import ServedModel

ERRORS = {
    "400": "A row, field or header does not fit; the message names it.",
    "401": "The API key is missing or not valid.",
    "404": "No such endpoint; the message lists those there are.",
    "409": "Several endpoints could be meant; the message says how to name one.",
    "413": "The body is larger than the endpoint takes.",
    "415": "The content type is none of application/json, application/jsonlines and text/csv.",
    "429": "Too many requests wait for this model; try again after the seconds in Retry-After.",
    "500": "The gateway failed; look for the request id in its log.",
    "503": "Not now, say because a model is still being fetched; try again after the seconds in Retry-After.",
    "504": "The model did not answer in time; fewer rows in a request may help.",
}
_JSON, _CSV, _CSV_HEADER = "application/json", "text/csv", "text/csv; header=present"


def predict_paths(models: Sequence[ServedModel]) -> dict[str, Any]:
    """Path items: ``/predict/<endpoint>`` for each model, and ``/invocations``."""
    short = [m.spec.name for m in models]
    paths: dict[str, Any] = {}
    for served in models:
        route = served.spec.name if short.count(served.spec.name) == 1 else served.name
        paths[f"/predict/{route}"] = {"post": _operation(served)}
    if models:
        paths["/invocations"] = {"post": _invocations(models)}
    return paths


def components() -> dict[str, Any]:
    """What the paths refer to."""
    text = {"type": "string"}
    body = {
        "type": "object",
        "required": ["code", "message", "next_step", "request_id"],
        "properties": {"code": text, "message": text, "next_step": text, "request_id": text},
    }
    error = {"type": "object", "required": ["error"], "properties": {"error": body}}
    example = {
        "error": {
            "code": "data_error",
            "message": "Row 1, field 'change': expected a number, found the text 'x'.",
            "next_step": FIELDS,
            "request_id": "019aa5a1-7c3e-7d1c-a3a5-52a1f0d1c0de",
        }
    }
    return {
        "schemas": {"PredictError": {**error, "example": example}},
        "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer", "description": "An API key."},
            "api_key": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
        },
    }


def _operation(served: ServedModel) -> dict[str, Any]:
    d = served.deployment
    return {
        "operationId": f"predict_{served.name.replace('/', '_')}",
        "summary": f"Predict {served.spec.prediction}",
        "description": f"{served.spec.description}\n\nModel {d.model}, version {d.version}, generation {d.generation}.".strip(),
        "tags": ["Predict"],
        "security": [] if served.spec.public else [{"bearer": []}, {"api_key": []}],
        "parameters": [
            {
                "name": "X-Request-Id",
                "in": "header",
                "required": False,
                "schema": {"type": "string", "maxLength": 128},
                "description": "Your name of this request; a retry under the same name is the same inference.",
            }
        ],
        "requestBody": {"required": True, "content": _request(served)},
        "responses": {"200": _answer(served), **_errors()},
    }


def _invocations(models: Sequence[ServedModel]) -> dict[str, Any]:
    names = [m.spec.name for m in models]
    operation = _operation(models[0])
    target = {
        "name": "X-Amzn-SageMaker-Target-Model",
        "in": "header",
        "required": len(names) > 1,
        "schema": {"type": "string", "enum": names},
    }
    if len(models) > 1:
        # Which of them is answered, the header says: the document can only say that it is one.
        _of_any(operation["requestBody"], names, [_request(m) for m in models])
        _of_any(operation["responses"]["200"], names, [_answer(m)["content"] for m in models])
        operation["security"] = [{"bearer": []}, {"api_key": []}, *([{}] if any(m.spec.public for m in models) else [])]
    return {
        **operation,
        "operationId": "invocations",
        "summary": "SageMaker's contract",
        "description": "The one endpoint, or the one that the header names.",
        "parameters": [target, *operation["parameters"]],
    }


def _of_any(body: dict[str, Any], names: Sequence[str], contents: Sequence[dict[str, Any]]) -> None:
    """Let `body` be that of any of several endpoints: JSON of any one's form, CSV as the examples of each show it."""
    schemas = [content[_JSON]["schema"] for content in contents]
    found = {_JSON: {**body["content"][_JSON], "schema": {"anyOf": schemas}}}
    for kind in body["content"]:
        if kind != _JSON:
            shown = {
                n: {"value": c[kind]["example"]} for n, c in zip(names, contents, strict=True) if "example" in c[kind]
            }
            text = {"type": "string", "description": "As of /predict of the endpoint that the header names."}
            found[kind] = {"schema": text, **({"examples": shown} if shown else {})}
    body["content"] = found


def _request(served: ServedModel) -> dict[str, Any]:
    row = _row_schema(served)
    several = {"type": "array", "items": row, "minItems": 1, "maxItems": served.spec.max_rows}
    names = list(served.fields.names)
    values = [served.example.get(name) for name in names]
    line = ",".join("" if v is None else str(v) for v in values)
    return {
        _JSON: {
            "schema": {
                "oneOf": [
                    {"type": "object", "required": ["instances"], "properties": {"instances": several}},
                    several,
                    row,
                ]
            },
            "example": {"instances": [served.example]},
        },
        _CSV_HEADER: {"schema": {"type": "string"}, "example": f"{','.join(names)}\n{line}\n"},
        _CSV: {
            "schema": {"type": "string", "description": f"No header; in this order: {', '.join(names)}."},
            "example": f"{line}\n",
        },
    }


def _row_schema(served: ServedModel) -> dict[str, Any]:
    inputs = served.manifest.signature.inputs
    keys = {name: {"description": "Kept to join the truth by."} for name in served.spec.keys}
    return {
        "type": "object",
        "required": [f.name for f in inputs if f.missing == "refuse"],
        "properties": {**keys, **{f.name: _field_schema(f) for f in inputs}},
        "additionalProperties": False,
    }


def _field_schema(field: InputField) -> dict[str, Any]:
    kind = "string" if field.type == "varchar" else "number"
    notes = [field.description] if field.description else []
    if field.missing != "refuse":
        notes.append("May be null or left out.")
    if field.type == "varchar":
        what = "A text without a known word" if field.is_text else "An unseen value"
        notes.append(f"{what} is {'flagged' if field.unseen == 'flag' else 'refused'}.")
    schema: dict[str, Any] = {
        "type": kind if field.missing == "refuse" else [kind, "null"],
        "description": " ".join(notes),
    }
    if field.minimum is not None:
        schema["minimum"] = field.minimum
    if field.maximum is not None:
        schema["maximum"] = field.maximum
    return schema


def _answer(served: ServedModel) -> dict[str, Any]:
    signature = served.manifest.signature
    name = served.spec.prediction
    value: dict[str, Any] = {"type": "number"}
    row: dict[str, Any] = {name: value, "flags": {"type": "array", "items": {"type": "string"}}}
    if signature.classes:
        value = {"type": "string", "enum": list(signature.classes)}
        shares = {"type": "object", "additionalProperties": {"type": "number"}}
        row = {name: value, "probabilities": shares, "flags": row["flags"]}
    model = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "version": {"type": "integer"}, "generation": {"type": "integer"}},
    }
    schema = {
        "type": "object",
        "required": ["predictions", "inference_id", "model"],
        "properties": {
            "predictions": {"type": "array", "items": {"type": "object", "required": list(row), "properties": row}},
            "inference_id": {"type": "string"},
            "model": model,
        },
    }
    text = {"schema": {"type": "string", "description": f"A header, then one line a row: {', '.join(row)}."}}
    headers = {
        "X-Request-Id": "The request's name.",
        "X-Inference-Id": "The prediction's id, for lineage.",
        "X-Mlplatform-Generation": "The deployment's generation.",
        "X-Mlplatform-Model-Version": "The registered version.",
    }
    return {
        "description": "One prediction a row, in the order sent.",
        "headers": {n: {"description": words, "schema": {"type": "string"}} for n, words in headers.items()},
        "content": {_JSON: {"schema": schema}, _CSV: text},
    }


def _errors() -> dict[str, Any]:
    content = {_JSON: {"schema": {"$ref": "#/components/schemas/PredictError"}}}
    return {status: {"description": words, "content": content} for status, words in ERRORS.items()}
