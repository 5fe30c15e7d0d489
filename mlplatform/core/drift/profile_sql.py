"""Profiles in the engine: SQL in DuckDB's dialect that a warehouse runs (and transpiles), one pass over the rows.

A baseline takes two passes: one for deciles, few-valued features' values and the frequent categories, one for the
counts on those bins. Judging takes one SELECT over all features, on the baseline's bins:
``histogram(column, boundaries)`` where the engine has it, else a CASE per bin (portable, some five times as slow).

`relation` is what stands behind FROM: a table's quoted name, ``read_parquet([…])``, or a query in parentheses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from mlplatform.core.drift.profile import (
    FEW,
    MAX_VALUES,
    TOP_CATEGORIES,
    FeatureProfile,
    Field,
    Profile,
    coarse_edges,
    decile_edges,
    value_edges,
)
from mlplatform.core.sql import identifier, literal

if TYPE_CHECKING:
    import pyarrow as pa

LARGEST = 1.7976931348623157e308
"""Largest finite double; NaN and infinities lie outside ±LARGEST in DuckDB and PostgreSQL alike."""
MAX_OUTPUTS = 1200
"""Outputs of one SELECT at most (PostgreSQL and Redshift stop at 1,600)."""

Query = Callable[[str], "pa.Table"]


def take_baseline(query: Query, relation: str, fields: Sequence[Field], *, histogram: bool = True) -> Profile:
    """The profile of `relation` on bins of its own: the reference others are judged against."""
    bins = {f.name: FeatureProfile(f.name, f.kind, 0, 0) for f in fields}
    domain = _one(query(domain_sql(relation, fields, histogram=histogram))) if fields else {}
    for index, field in enumerate(fields):
        few = (domain[f"f{index}_distinct"] or 0) <= MAX_VALUES and not field.personal
        if field.kind == "category":
            top = query(top_sql(relation, field)).to_pylist()
            bins[field.name] = FeatureProfile(
                field.name, "category", 0, 0, categories={str(r["value"]): int(r["n"]) for r in top}
            )
            continue
        edges_of = coarse_edges if field.personal else decile_edges
        if few:
            edges = value_edges([float(r["value"]) for r in query(values_sql(relation, field)).to_pylist()])
        elif histogram:
            edges = edges_of([float(v) for v in domain[f"f{index}_deciles"] or []])
        else:
            deciles = _one(query(deciles_sql(relation, field))).values()
            edges = edges_of([float(v) for v in deciles if v is not None])
        bins[field.name] = FeatureProfile(field.name, field.kind, 0, 0, edges=edges, personal=field.personal)
    shape = Profile(0, tuple(bins[f.name] for f in fields))
    return take_profile(query, relation, shape, histogram=histogram)


def take_profile(query: Query, relation: str, baseline: Profile, *, histogram: bool = True) -> Profile:
    """The profile of `relation` on the bins of `baseline`: one SELECT (several beyond 1,200 outputs)."""
    rows = 0
    features: list[FeatureProfile] = []
    for chunk in _chunks(baseline.features, histogram=histogram):
        result = _one(query(profile_sql(relation, chunk, histogram=histogram)))
        rows = int(result["row_count"])
        features += [_parse(result, i, f, rows, histogram=histogram) for i, f in enumerate(chunk)]
    return Profile(rows, tuple(features))


def profile_sql(relation: str, features: Sequence[FeatureProfile], *, histogram: bool = True) -> str:
    """The judging SELECT: one row with ``row_count`` and, for feature i, ``f<i>_…`` outputs."""
    inner = [f"{_value(f)} AS f{i}" for i, f in enumerate(features)]
    outputs = ["count(*) AS row_count"]
    for i, feature in enumerate(features):
        column = f"f{i}"
        outputs.append(f"count({column}) AS {column}_present")
        if feature.kind != "category":
            outputs += [
                f"avg({column}) AS {column}_mean",
                f"stddev_pop({column}) AS {column}_sd",
                f"min({column}) AS {column}_min",
                f"max({column}) AS {column}_max",
                f"sum(CASE WHEN {column} = floor({column}) THEN 1 ELSE 0 END) AS {column}_integral",
            ]
        outputs += _bin_outputs(column, feature, histogram=histogram)
    columns = ", ".join(inner) or "1 AS nothing"
    return f"SELECT {', '.join(outputs)} FROM (SELECT {columns} FROM {relation} AS source) AS sample"  # noqa: S608


def domain_sql(relation: str, fields: Sequence[Field], *, histogram: bool = True) -> str:
    """The baseline's first SELECT: how many different values each feature has, and a numeric feature's deciles."""
    inner = ", ".join(f"{_value(f)} AS f{i}" for i, f in enumerate(fields))
    outputs = [f"approx_count_distinct(f{i}) AS f{i}_distinct" for i in range(len(fields))]
    if histogram:
        deciles = ", ".join(f"{d / 10}" for d in range(1, 10))
        outputs += [
            f"approx_quantile(f{i}, [{deciles}]) AS f{i}_deciles" for i, f in enumerate(fields) if f.kind != "category"
        ]
    return f"SELECT {', '.join(outputs)} FROM (SELECT {inner} FROM {relation} AS source) AS sample"  # noqa: S608


def deciles_sql(relation: str, field: Field) -> str:
    """One feature's deciles where the engine takes one ordering a statement (Redshift)."""
    outputs = ", ".join(f"percentile_cont({d / 10}) WITHIN GROUP (ORDER BY value) AS d{d}" for d in range(1, 10))
    return f"SELECT {outputs} FROM (SELECT {_value(field)} AS value FROM {relation} AS source) AS sample"  # noqa: S608


def values_sql(relation: str, field: Field) -> str:
    """A few-valued feature's values (the approximate count may be a little low: at most twice as many come back)."""
    inner = f"SELECT {_value(field)} AS value FROM {relation} AS source"  # noqa: S608
    return (
        f"SELECT DISTINCT value FROM ({inner}) AS sample WHERE value IS NOT NULL ORDER BY value LIMIT {2 * MAX_VALUES}"  # noqa: S608
    )


def top_sql(relation: str, field: Field) -> str:
    """A feature's most frequent categories, ties in order of their names."""
    inner = f"SELECT {_value(field)} AS value FROM {relation} AS source"  # noqa: S608
    return (
        f"SELECT value, count(*) AS n FROM ({inner}) AS sample WHERE value IS NOT NULL "  # noqa: S608
        f"GROUP BY value ORDER BY n DESC, value LIMIT {TOP_CATEGORIES}"
    )


def unknown_sql(relation: str, feature: FeatureProfile) -> str:
    """Some values of `relation` that are none of a feature's categories, most frequent first."""
    known = ", ".join(literal(name) for name in feature.categories or {})
    inner = f"SELECT {_value(feature)} AS value FROM {relation} AS source"  # noqa: S608
    other = f" AND value NOT IN ({known})" if known else ""
    return (
        f"SELECT value, count(*) AS n FROM ({inner}) AS sample WHERE value IS NOT NULL{other} "  # noqa: S608
        f"GROUP BY value ORDER BY n DESC, value LIMIT {MAX_VALUES}"
    )


def number(value: float) -> str:
    """`value` as a SQL double: with an exponent, since a plain ``0.1`` is a decimal, and casting that may miss the last bit."""
    text = repr(float(value))
    return text if "e" in text else f"{text}e0"


def _value(field: Field | FeatureProfile) -> str:
    column = identifier(field.name)
    if field.kind == "category":
        return f"CAST({column} AS VARCHAR)"
    if field.kind == "text":
        return f"CAST(length(CAST({column} AS VARCHAR)) AS DOUBLE)"
    value = f"CAST({column} AS DOUBLE)"
    return f"CASE WHEN {value} BETWEEN {number(-LARGEST)} AND {number(LARGEST)} THEN {value} END"


def _bin_outputs(column: str, feature: FeatureProfile, *, histogram: bool) -> list[str]:
    if feature.kind != "category":
        edges = [number(e) for e in feature.edges]
        if not edges:
            return []
        if histogram:
            return [f"histogram({column}, [{', '.join(edges)}]) AS {column}_bins"]
        tests = [f"{column} <= {edges[0]}"]
        tests += [f"{column} > {a} AND {column} <= {b}" for a, b in pairwise(edges)]
        tests.append(f"{column} > {edges[-1]}")
    else:
        known = [literal(name) for name in feature.categories or {}]
        if not known:
            return []
        if histogram:
            return [f"histogram(CASE WHEN {column} IN ({', '.join(known)}) THEN {column} END) AS {column}_bins"]
        tests = [f"{column} = {name}" for name in known]
    return [f"sum(CASE WHEN {test} THEN 1 ELSE 0 END) AS {column}_b{k}" for k, test in enumerate(tests)]


def _parse(
    result: Mapping[str, Any], index: int, shape: FeatureProfile, rows: int, *, histogram: bool
) -> FeatureProfile:
    column = f"f{index}"
    present = int(result[f"{column}_present"])
    found = dict(result.get(f"{column}_bins") or ()) if histogram else {}
    if shape.kind == "category":
        counts = {
            name: int((found.get(name) if histogram else result[f"{column}_b{k}"]) or 0)
            for k, name in enumerate(shape.categories or {})
        }
        other = present - sum(counts.values())
        return FeatureProfile(shape.name, "category", rows, present, categories=counts, other=other)
    keys = [*shape.edges, float("inf")]
    if not shape.edges:
        bins = [present]
    elif histogram:
        bins = [int(found.get(key, 0)) for key in keys]
    else:
        bins = [int(result[f"{column}_b{k}"] or 0) for k in range(len(keys))]
    mean, sd, low, high = (result[f"{column}_{what}"] for what in ("mean", "sd", "min", "max"))
    if shape.personal:
        low = high = None
        mean, sd = (mean, sd) if present >= FEW else (None, None)
    return FeatureProfile(
        shape.name,
        shape.kind,
        rows,
        present,
        mean=_float(mean),
        sd=_float(sd),
        minimum=_float(low),
        maximum=_float(high),
        integral=int(result[f"{column}_integral"] or 0),
        edges=shape.edges,
        counts=tuple(bins),
        personal=shape.personal,
    )


def _float(value: Any) -> float | None:
    return None if value is None else float(value)


def _chunks(features: Sequence[FeatureProfile], *, histogram: bool) -> list[list[FeatureProfile]]:
    chunks: list[list[FeatureProfile]] = [[]]
    size = 1
    for feature in features:
        width = 7 if histogram else 6 + len(feature.edges) + 1 + len(feature.categories or {})
        if size + width > MAX_OUTPUTS and chunks[-1]:
            chunks.append([])
            size = 1
        chunks[-1].append(feature)
        size += width
    return chunks


def _one(table: pa.Table) -> dict[str, Any]:
    return dict(table.to_pylist()[0])
