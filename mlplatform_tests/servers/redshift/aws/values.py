"""Values as the Data API answers them: fields that name their type, and columns that tell theirs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

NAMES = {
    16: "bool", 17: "varbyte", 20: "int8", 21: "int2", 23: "int4", 25: "varchar", 700: "float4", 701: "float8",
    1043: "varchar", 1082: "date", 1114: "timestamp", 1184: "timestamptz", 1700: "numeric", 4000: "super", 6551: "varbyte",
}  # fmt: skip
"""Type names by the driver's numbers."""


def columns_of(described: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A result's columns, out of what the driver knows of them."""
    found = []
    for column in described:
        label, modifier = column["label"].decode(), int(column["type_modifier"])
        name = NAMES.get(int(column["type_oid"]), "varchar")
        made = {"label": label, "name": label, "typeName": name, "nullable": 1, "precision": 0, "scale": 0}
        if name == "numeric" and modifier >= 0:
            made |= {"precision": (modifier - 4) >> 16, "scale": (modifier - 4) & 0xFFFF}
        found.append(made)
    return found


def record(row: Sequence[Any], columns: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row's fields."""
    return [_field(value, column["typeName"]) for value, column in zip(row, columns, strict=True)]


def _field(value: Any, kind: str) -> dict[str, Any]:
    if value is None:
        return {"isNull": True}
    if kind == "bool":
        return {"booleanValue": value}
    if kind in ("int2", "int4", "int8"):
        return {"longValue": value}
    if kind in ("float4", "float8"):
        return {"doubleValue": value}
    if kind == "varbyte":
        return {"stringValue": value if isinstance(value, str) else value.hex()}
    return {"stringValue": _text(value)}


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return str(value)
