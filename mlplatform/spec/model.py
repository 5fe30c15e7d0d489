"""`mlplatform.Model`: how a candidate is trained, and the gate it must pass."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mlplatform.spec.station import StationSpec, Strict

Metric = Literal["r2", "rmse", "mae", "accuracy", "f1", "roc_auc", "log_loss"]
HIGHER_IS_BETTER: dict[str, bool] = {
    "r2": True, "rmse": False, "mae": False, "accuracy": True, "f1": True, "roc_auc": True, "log_loss": False,
}  # fmt: skip


class RangeSpec(Strict):
    """A hyperparameter's range: `low` … `high` (whole numbers if both are), or `choices`."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: list[str] = Field(default_factory=list)

    @model_validator(mode="after")
    def _one_form(self) -> RangeSpec:
        if bool(self.choices) == (self.low is not None and self.high is not None):
            raise ValueError("a range has either 'low' and 'high', or 'choices'")
        return self


class SearchSpec(Strict):
    """A hyperparameter search (Optuna's TPE) on the validation rows; 0 trials = none."""

    trials: int = Field(default=8, ge=0)
    timeout_s: float = Field(default=120, gt=0)
    ranges: dict[str, RangeSpec] = Field(default_factory=dict)
    seed: int = 0


class LimitsSpec(Strict):
    """What a training job may use."""

    timeout_s: int = Field(default=1800, gt=0)
    memory_mib: int = Field(default=0, ge=0, description="0 = no limit.")


class GateSpec(Strict):
    """What a candidate must show on held-out rows before it is registered.

    Absolute: `metric` on the right side of `threshold`. Against the champion: a paired bootstrap over the groups of `by`
    (rows of a day are not independent) gives an interval for the improvement; better = its lower end > `margin`.
    """

    metric: Metric
    threshold: float
    by: str | None = Field(
        default=None, description="Column whose values are resampled together; default: each row alone."
    )
    segments: list[str] = Field(
        default_factory=list, description="Columns by whose values the metric is also reported."
    )
    segment_tolerance: float | None = Field(
        default=None,
        description="Largest worsening accepted in any segment (in the metric's unit); None = segments only inform.",
    )
    margin: float = Field(default=0.0, ge=0)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    resamples: int = Field(default=2000, ge=100)
    seed: int = 0


class ModelSpec(StationSpec):
    """A model: a container trained on a feature set, then gated."""

    features: str = Field(description="Name of a feature set of this system.")
    task: Literal["regression", "binary", "multiclass"]
    container: str = Field(default="xgboost", description="Folder under containers/.")
    hyperparameters: dict[str, str | int | float] = Field(default_factory=dict)
    search: SearchSpec = Field(default_factory=lambda: SearchSpec(trials=0))
    limits: LimitsSpec = Field(default_factory=LimitsSpec)
    gate: GateSpec
