"""`mlplatform.Monitor`: what is watched, when it alarms, and when that starts a retraining."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mlplatform.spec.model import Metric
from mlplatform.spec.station import StationSpec, Strict


class TumblingSpec(Strict):
    """Windows of `size` distinct values of `column`, one after another from the end of the champion's training rows on."""

    column: str = Field(description="Column of the table, usually the day.")
    size: int = Field(gt=0, description="Distinct values of it in one window.")
    lateness_s: float = Field(
        default=5.0,
        ge=0,
        examples=[60],
        description="Seconds without a new row after which a full window is judged; never while rows that came before wait to be loaded.",
    )


class DriftSpec(Strict):
    """Feature drift against the profile taken at training time."""

    statistic: Literal["psi", "js", "ks", "linf"] = Field(
        default="psi", description="How far a feature's distribution is from training's."
    )
    threshold: float = Field(default=0.2, gt=0, description="Where the check fails, for features without their own.")
    thresholds: dict[str, float] = Field(default_factory=dict, examples=[{"change": 0.4}], description="By feature.")
    completeness: float = Field(
        default=0.05, ge=0, le=1, examples=[0.01], description="Largest fall of a feature's share of non-NULL values."
    )


class QualitySpec(Strict):
    """Predicted against arrived values.

    `scored`: the champion scores the arrived rows. `captured`: the predictions the endpoint gave, joined by its keys.
    """

    metric: Metric = Field(description="What is computed from predicted and arrived values.")
    threshold: float = Field(description="Where the check fails, in the metric's unit.")
    predictions: Literal["scored", "captured"] = Field(
        default="scored", examples=["captured"], description="Whose predictions are judged."
    )
    minimum_rows: int = Field(default=50, gt=0, examples=[500], description="A window with fewer rows is not judged.")


class CorrectionsSpec(Strict):
    """Rows that the champion learned from, or would have, that came late, were corrected or were erased since."""

    max_share: float = Field(
        default=0.01, ge=0, le=1, description="Share of the rows it was trained on where the check fails."
    )


class RetrainSpec(Strict):
    """Which failed checks ask for a retraining, and how often at most."""

    checks: list[Literal["quality", "drift", "corrections"]] = Field(
        default=["quality"], description="Checks whose failure asks for a retraining."
    )
    cooldown_s: float = Field(default=3600, ge=0, description="Seconds between two requests at least.")
    max_per_day: int = Field(default=4, gt=0, description="Requests within 24 hours at most.")


class MonitorSpec(StationSpec):
    """Watches an endpoint's model on the rows that arrive."""

    endpoint: str = Field(description="Name of an endpoint of this system.")
    table: str = Field(description="Name of the table whose new rows are judged.")
    window: TumblingSpec
    drift: DriftSpec | None = Field(default_factory=DriftSpec)
    quality: QualitySpec | None = None
    corrections: CorrectionsSpec | None = None
    retrain: RetrainSpec | None = None

    @model_validator(mode="after")
    def _retrain_on_what_is_watched(self) -> MonitorSpec:
        for what in self.retrain.checks if self.retrain else []:
            if getattr(self, what) is None:
                raise ValueError(f"retrain on '{what}', but the monitor has no '{what}'")
        return self
