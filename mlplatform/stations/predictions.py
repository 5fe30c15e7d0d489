"""Predicted against arrived values of a window: the champion scores the rows, or what it answered is joined to them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mlplatform.core.sql import identifier, literal
from mlplatform.ports.runtimes import LoadedModel
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.table import TableSpec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


@dataclass(frozen=True)
class Pairs:
    """Truth and prediction of each row, as `core.training.metrics` takes them, and the rows' segment columns."""

    truth: npt.NDArray[np.float64]
    predicted: npt.NDArray[np.float64]
    segments: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(self.truth)


def scored(
    warehouse: Warehouse, model: LoadedModel, relation: str, features: FeatureSetSpec, *, segments: Sequence[str] = ()
) -> Pairs:
    """The rows of `relation` that have a target, scored by `model`."""
    names = list(dict.fromkeys([*(f.name for f in features.features), features.target, *segments]))
    table = warehouse.query(
        f"SELECT {', '.join(map(identifier, names))} FROM {relation} AS source "  # noqa: S608
        f"WHERE {identifier(features.target)} IS NOT NULL"
    )
    return _pairs(model, table, _scores(model, table), features.target, segments)


def captured(
    warehouse: Warehouse,
    model: LoadedModel,
    relation: str,
    features: FeatureSetSpec,
    *,
    endpoint: EndpointSpec,
    table: TableSpec,
    digest: str,
    capture_table: str,
    segments: Sequence[str] = (),
) -> Pairs:
    """The rows of `relation` joined to what the endpoint's model `digest` answered for them, the newest answer a row.

    They are joined by the endpoint's keys and those features that are part of the table's unique key, as text.
    """
    identifying = [f.name for f in features.features if f.name in table.unique_key]
    by = [(key, "keys") for key in endpoint.keys] + [(name, "features") for name in identifying]
    on = " AND ".join(
        f"CAST(rows_.{identifier(name)} AS VARCHAR) = json_extract_string(answers.{side}, {literal(_path(name))})"
        for name, side in by
    )
    outputs = ", ".join(f"rows_.{identifier(n)}" for n in dict.fromkeys([features.target, *segments]))
    keys = ", ".join(f"rows_.{identifier(name)}" for name, _ in by)
    found = warehouse.query(
        f"SELECT {outputs}, answers.prediction AS answer_, CAST(answers.probabilities AS VARCHAR) AS probabilities_ "  # noqa: S608
        f"FROM {relation} AS rows_ JOIN {identifier(capture_table)} AS answers ON {on} "
        f"WHERE rows_.{identifier(features.target)} IS NOT NULL AND answers.digest = {literal(digest)} "
        f"QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY answers.captured_at DESC, answers.row_number DESC) = 1"
    )
    answers = _answers(model, found.column("answer_").to_pylist(), found.column("probabilities_").to_pylist())
    return _pairs(model, found, answers, features.target, segments)


def _path(name: str) -> str:
    return '$."' + name.replace('"', '\\"') + '"'


def _pairs(
    model: LoadedModel, table: pa.Table, predicted: npt.NDArray[np.float64], target: str, segments: Sequence[str]
) -> Pairs:
    """Truths as numbers, or as the index of their class; rows of a class the model does not know are left out."""
    import numpy as np

    values: list[Any] = table.column(target).to_pylist()
    classes = model.manifest.signature.classes
    if classes:
        index = {name: i for i, name in enumerate(classes)}
        values = [index.get(_label(v), math.nan) for v in values]
    truth = np.asarray(values, dtype=np.float64)
    known = np.isfinite(truth)
    columns = {s: table.column(s).to_pylist() for s in segments}
    kept = {s: [v for v, k in zip(column, known, strict=True) if k] for s, column in columns.items()}
    return Pairs(truth[known], predicted[known], kept)


def _scores(model: LoadedModel, table: pa.Table) -> npt.NDArray[np.float64]:
    """A number a row, or a probability per class."""
    import numpy as np

    signature = model.manifest.signature
    if signature.task == "multiclass":
        rows = table.select([f.name for f in signature.inputs]).to_pylist()
        answers = model.predict_rows(rows)
        return np.asarray(
            [[(a.probabilities or {}).get(c, 0.0) for c in signature.classes] for a in answers], dtype=np.float64
        ).reshape(len(rows), len(signature.classes))
    values = np.asarray(model.predict_table(table), dtype=np.float64)
    return np.column_stack([1 - values, values]) if signature.task == "binary" else values


def _answers(model: LoadedModel, values: Sequence[Any], probabilities: Sequence[Any]) -> npt.NDArray[np.float64]:
    """Captured answers: a number, or each class's probability (a label without probabilities is taken as certain)."""
    import numpy as np

    classes = model.manifest.signature.classes
    if not classes:
        return np.asarray([float(v) for v in values], dtype=np.float64)
    rows = [
        json.loads(found) if found else {_label(value): 1.0} for value, found in zip(values, probabilities, strict=True)
    ]
    return np.asarray([[row.get(c) or 0.0 for c in classes] for row in rows], dtype=np.float64).reshape(
        -1, len(classes)
    )


def _label(value: Any) -> str:
    """Class labels are text; true and false are spelt as SQL spells them."""
    return str(value).lower() if isinstance(value, bool) else str(value)
