"""Model quality as a check: one metric of predicted against arrived values, overall and by segment."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from mlplatform.core.drift import sagemaker_quality
from mlplatform.ports.asset_events import CheckOutcome
from mlplatform.spec.model import HIGHER_IS_BETTER
from mlplatform.spec.monitor import QualitySpec
from mlplatform.stations.predictions import Pairs

NAME = "quality"
MAX_SEGMENTS = 50
"""Segments shown at most, the worst first."""


@dataclass(frozen=True)
class QualityCheck:
    """The metric's value (None where it was not judged), whether it failed, and the outcome to show."""

    value: float | None
    failed: bool
    outcome: CheckOutcome


def check_quality(pairs: Pairs, spec: QualitySpec, *, target: str) -> QualityCheck:
    """Judge `spec.metric` on `pairs`; too few rows, or a metric not defined on them, is not judged and fails nothing."""
    from mlplatform.core.training.metrics import measure, measure_all

    metadata: dict[str, Any] = {"metric": spec.metric, "threshold": spec.threshold, "rows": len(pairs)}
    if len(pairs) < spec.minimum_rows:
        return _not_judged(metadata, f"{len(pairs)} rows have a truth and a prediction, {spec.minimum_rows} are needed")
    value = measure(spec.metric, pairs.truth, pairs.predicted)
    if math.isnan(value):
        return _not_judged(metadata, f"{spec.metric} is not defined on these rows")
    higher = HIGHER_IS_BETTER[spec.metric]
    passed = value >= spec.threshold if higher else value <= spec.threshold
    task = "regression" if pairs.predicted.ndim == 1 else "classification"
    metadata |= {"value": value, **measure_all(task, pairs.truth, pairs.predicted)}
    segments = _segments(pairs, spec.metric, higher)
    if segments:
        metadata["segments"] = segments
    relation = {(True, True): "≥", (True, False): "<", (False, True): "≤", (False, False): ">"}[higher, passed]
    said = f"{spec.metric} of predicted against arrived {target}: {value:.3g} {relation} {spec.threshold:g}"
    outcome = CheckOutcome(NAME, passed, blocking=False, metadata=metadata, description=said)
    return QualityCheck(value, not passed, outcome)


def quality_reports(pairs: Pairs, spec: QualitySpec, value: float, *, task: str) -> dict[str, dict[str, Any]]:
    """SageMaker Model Monitor's model-quality files by name; `value` is the judged metric's."""
    import numpy as np

    higher = HIGHER_IS_BETTER[spec.metric]
    rng = np.random.default_rng(0)
    return {
        "statistics.json": sagemaker_quality.statistics(task, pairs.truth, pairs.predicted, rng=rng),
        "constraints.json": sagemaker_quality.constraints(task, spec.metric, spec.threshold, higher_is_better=higher),
        "constraint_violations.json": sagemaker_quality.violations(
            task, spec.metric, value, spec.threshold, higher_is_better=higher
        ),
    }


def refused(spec: QualitySpec, why: str) -> QualityCheck:
    """The champion refuses a row of the window, so it cannot answer its callers either: failed, without a figure."""
    metadata = {"metric": spec.metric, "threshold": spec.threshold}
    outcome = CheckOutcome(
        NAME, False, blocking=False, metadata=metadata, description=f"the champion refuses rows that arrive: {why}"
    )
    return QualityCheck(None, True, outcome)


def _not_judged(metadata: dict[str, Any], why: str) -> QualityCheck:
    outcome = CheckOutcome(NAME, True, blocking=False, metadata=metadata, description=f"not judged: {why}")
    return QualityCheck(None, False, outcome)


def _segments(pairs: Pairs, metric: str, higher: bool) -> list[dict[str, Any]]:
    import numpy as np

    from mlplatform.core.training.metrics import measure

    rows = []
    for column, values in pairs.segments.items():
        labels = np.asarray([str(v) for v in values])
        for label in sorted(set(labels.tolist())):
            mask = labels == label
            found = measure(metric, pairs.truth[mask], pairs.predicted[mask])
            if not math.isnan(found):
                rows.append({"segment": column, "value": label, "rows": int(mask.sum()), metric: found})
    return sorted(rows, key=lambda r: r[metric] if higher else -r[metric])[:MAX_SEGMENTS]
