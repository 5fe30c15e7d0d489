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

    low: float | None = Field(default=None, examples=[0.05], description="Smallest value tried.")
    high: float | None = Field(default=None, examples=[0.3], description="Largest value tried.")
    log: bool = Field(default=False, examples=[True], description="Whether values are spread by their logarithm.")
    choices: list[str] = Field(default_factory=list, examples=[["gbtree", "dart"]], description="The values tried.")

    @model_validator(mode="after")
    def _one_form(self) -> RangeSpec:
        if bool(self.choices) == (self.low is not None and self.high is not None):
            raise ValueError("a range has either 'low' and 'high', or 'choices'")
        return self


class SearchSpec(Strict):
    """A hyperparameter search (Optuna's TPE) on the validation rows; 0 trials = none."""

    trials: int = Field(default=8, ge=0, description="Settings tried; 0 = none.")
    timeout_s: float = Field(
        default=120, gt=0, examples=[600], description="Seconds after which no further trial begins."
    )
    ranges: dict[str, RangeSpec] = Field(
        default_factory=dict,
        description="By hyperparameter; none: what the container searches by itself, of XGBoost eta and max_depth.",
    )
    seed: int = Field(default=0, examples=[7], description="Of the sampler.")


class LimitsSpec(Strict):
    """What a training job may use."""

    timeout_s: int = Field(default=1800, gt=0, examples=[600], description="Seconds after which the job is stopped.")
    memory_mib: int = Field(default=0, ge=0, examples=[4096], description="Of each host; 0 = no limit.")


class EvaluationSpec(Strict):
    """A container of the user's own that evaluates each candidate before the gate does: a processing job.

    It reads the candidate's package, its held-out rows and the champion's package, and writes `metrics.json` and what else it
    likes. Where it fails, the candidate is refused.
    """

    container: str = Field(examples=["confusion"], description="Folder under containers/.")
    arguments: list[str] = Field(default_factory=list, examples=[["--top", "5"]], description="Of its command.")
    limits: LimitsSpec = Field(default_factory=LimitsSpec)


class GateSpec(Strict):
    """What a candidate must show on held-out rows before it is registered.

    Absolute: `metric` on the right side of `threshold`. Against the champion: a paired bootstrap over the groups of `by`
    (rows of a day are not independent) gives an interval for the improvement; better = its lower end > `margin`.
    """

    metric: Metric = Field(description="What is compared, on held-out rows.")
    threshold: float = Field(description="What a candidate must reach, in the metric's unit.")
    by: str | None = Field(
        default=None, description="Column whose values are resampled together; default: each row alone."
    )
    segments: list[str] = Field(
        default_factory=list, description="Columns by whose values the metric is also reported."
    )
    segment_tolerance: float | None = Field(
        default=None,
        examples=[0.05],
        description="Largest worsening accepted in any segment (in the metric's unit); null = segments only inform.",
    )
    margin: float = Field(
        default=0.0,
        ge=0,
        examples=[0.005],
        description="How much better than the champion it must be, in the metric's unit.",
    )
    confidence: float = Field(
        default=0.95, gt=0.5, lt=1, examples=[0.9], description="Of the interval of the improvement."
    )
    resamples: int = Field(default=2000, ge=100, examples=[5000], description="Of the bootstrap.")
    seed: int = Field(default=0, examples=[7], description="Of the bootstrap.")


class ModelSpec(StationSpec):
    """A model: a container trained on a feature set, then gated."""

    features: str = Field(description="Name of a feature set of this system.")
    task: Literal["regression", "binary", "multiclass"] = Field(description="Kind of the answer.")
    container: str = Field(default="xgboost", examples=["autogluon"], description="Folder under containers/.")
    hosts: int = Field(
        default=1,
        ge=1,
        examples=[2],
        description="How many hosts train it together, each on its share of the rows; the container must be able to.",
    )
    hyperparameters: dict[str, str | int | float] = Field(
        default_factory=dict, description="Passed to the container; a search starts from them."
    )
    search: SearchSpec | None = Field(
        default=None,
        description="Default: what the container searches by itself, of XGBoost a few trials of eta and max_depth, where"
        " they are not given; `{trials: 0}` = none.",
    )
    limits: LimitsSpec = Field(default_factory=LimitsSpec)
    evaluation: EvaluationSpec | None = Field(
        default=None, description="Evaluates each candidate in a container of your own; default: only the gate does."
    )
    gate: GateSpec
