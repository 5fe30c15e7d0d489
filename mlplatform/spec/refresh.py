"""`mlplatform.Refresh`: when the line from features to model, and to its endpoint where it has one, runs."""

from __future__ import annotations

from pydantic import Field, model_validator

from mlplatform.spec.station import StationSpec, Strict


class ParametersSpec(Strict):
    """Run parameters of a refresh."""

    as_of: str | None = Field(
        default=None,
        examples=["2026-01-31"],
        description="Only rows whose window column is at most this value (ISO text for days). Default: all.",
    )
    window_last: int | None = Field(
        default=None, gt=0, examples=[500], description="Another window than the feature set's."
    )


class RefreshSpec(StationSpec):
    """Runs features → model → gate → endpoint on a schedule, at the first data, and when a monitor asks.

    A model that no endpoint serves, of a system that works in batches, is named itself; its newest version that passed
    the gate is its champion.
    """

    endpoint: str | None = Field(default=None, description="Name of the endpoint to refresh, with its model.")
    model: str | None = Field(
        default=None, examples=["survival"], description="Instead: name of a model that no endpoint serves."
    )
    schedule: str | None = Field(default="0 6 * * *", description="Cron expression; null = no schedule.")
    timezone: str = Field(default="UTC", examples=["Europe/Berlin"], description="In which the schedule is read.")
    parameters: ParametersSpec = Field(
        default_factory=ParametersSpec, description="Run parameters of the scheduled refresh."
    )
    first: bool = Field(
        default=True, examples=[False], description="Also run as soon as there is data and no model yet."
    )
    first_rows: int = Field(default=1000, gt=0, examples=[5000], description="Rows the table must have for that.")

    @model_validator(mode="after")
    def _one_line(self) -> RefreshSpec:
        if (self.endpoint is None) == (self.model is None):
            raise ValueError("a refresh names either an 'endpoint', or a 'model' that no endpoint serves")
        return self

    @property
    def station(self) -> str:
        """The last station of its line: the endpoint, or the model."""
        return str(self.endpoint or self.model)
