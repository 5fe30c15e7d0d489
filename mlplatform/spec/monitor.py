"""`mlplatform.Monitor`: what is watched, when it alarms, and when that starts a retraining."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mlplatform.spec.model import Metric
from mlplatform.spec.station import StationSpec, Strict


class TumblingSpec(Strict):
    """Windows of `size` distinct values of `column`, one after another from the end of the champion's training rows on."""

    column: str
    size: int = Field(gt=0)
    lateness_s: float = Field(
        default=5.0, ge=0, description="Seconds without a new row after which a full window is judged."
    )


class DriftSpec(Strict):
    """Feature drift against the profile taken at training time."""

    statistic: Literal["psi", "js", "ks", "linf"] = "psi"
    threshold: float = Field(default=0.2, gt=0)
    thresholds: dict[str, float] = Field(default_factory=dict, description="By feature.")
    completeness: float = Field(
        default=0.05, ge=0, le=1, description="Largest fall of a feature's share of non-NULL values."
    )


class QualitySpec(Strict):
    """Predicted against arrived values.

    `scored`: the champion scores the arrived rows. `captured`: the predictions the endpoint gave, joined by its keys.
    """

    metric: Metric
    threshold: float
    predictions: Literal["scored", "captured"] = "scored"
    minimum_rows: int = Field(default=50, gt=0, description="A window with fewer rows is not judged.")


class RetrainSpec(Strict):
    """Which failed checks ask for a retraining, and how often at most."""

    checks: list[Literal["quality", "drift"]] = Field(default=["quality"])
    cooldown_s: float = Field(default=3600, ge=0)
    max_per_day: int = Field(default=4, gt=0)


class MonitorSpec(StationSpec):
    """Watches an endpoint's model on the rows that arrive."""

    endpoint: str = Field(description="Name of an endpoint of this system.")
    table: str = Field(description="Name of the table whose new rows are judged.")
    window: TumblingSpec
    drift: DriftSpec | None = Field(default_factory=DriftSpec)
    quality: QualitySpec | None = None
    retrain: RetrainSpec | None = None

    @model_validator(mode="after")
    def _retrain_on_what_is_watched(self) -> MonitorSpec:
        for what in self.retrain.checks if self.retrain else []:
            if getattr(self, what) is None:
                raise ValueError(f"retrain on '{what}', but the monitor has no '{what}'")
        return self
