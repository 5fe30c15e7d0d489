"""Which values of a table's columns are likely, where its schema does not say: what models and data tests on it expect."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.spec.feature_set import ExpectationSpec, FeatureSetSpec
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.system import SystemSpec
from mlplatform.spec.table import TableSpec

_CLASSES = {"binary": 2, "multiclass": 3}
_SETS = ("expect_column_values_to_be_in_set", "expect_column_distinct_values_to_be_in_set")


def likely_schema(system: SystemSpec, table: TableSpec) -> TableSchema:
    """The table's schema, narrowed to what feature sets on it expect of columns of the same name.

    Made-up rows of the schema alone would fail every data test that knows more than it.
    """
    schema = table.schema_()
    columns = {c.name: c for c in schema.columns}
    for features in system.all(FeatureSetSpec):
        if features.table != table.name:
            continue
        for feature in features.features:
            if feature.name in columns:
                column = _within(columns[feature.name], feature.minimum, feature.maximum)
                columns[feature.name] = replace(column, nullable=column.nullable and feature.missing != "refuse")
        for expectation in features.expectations:
            name = expectation.kwargs.get("column")
            if name in columns:
                columns[name] = _expected(columns[name], expectation)
        for model in system.all(ModelSpec):
            if model.features == features.name and features.target in columns and model.task in _CLASSES:
                columns[features.target] = _classes(columns[features.target], _CLASSES[model.task])
    return replace(schema, columns=tuple(columns[c.name] for c in schema.columns))


def grouping_columns(system: SystemSpec, table: TableSpec) -> set[str]:
    """Columns of the table whose values are held out, or resampled, together: a ticket, an order, a day."""
    found: set[str] = set()
    for features in system.all(FeatureSetSpec):
        if features.table == table.name:
            found |= set(features.split.key)
            found |= {m.gate.by for m in system.all(ModelSpec) if m.features == features.name and m.gate.by}
    return found


def _expected(column: Column, expectation: ExpectationSpec) -> Column:
    kwargs: dict[str, Any] = expectation.kwargs
    if expectation.type == "expect_column_values_to_not_be_null":
        return replace(column, nullable=False)
    if expectation.type == "expect_column_values_to_be_between":
        return _within(column, kwargs.get("min_value"), kwargs.get("max_value"))
    if expectation.type in _SETS and not column.domain:
        return replace(column, domain=tuple(str(v) for v in kwargs.get("value_set", ())))
    return column


def _within(column: Column, low: Any, high: Any) -> Column:
    if column.type in ("varchar", "boolean", "json", "date", "timestamp"):
        return column
    lows = [float(v) for v in (column.minimum, low) if isinstance(v, int | float)]
    highs = [float(v) for v in (column.maximum, high) if isinstance(v, int | float)]
    return replace(column, minimum=max(lows, default=None), maximum=min(highs, default=None))


def _classes(column: Column, count: int) -> Column:
    if column.domain or column.type not in ("varchar", "bigint", "double"):
        return column
    names = [f"class_{chr(ord('a') + i)}" for i in range(count)] if column.type == "varchar" else map(str, range(count))
    return replace(column, domain=tuple(names))
