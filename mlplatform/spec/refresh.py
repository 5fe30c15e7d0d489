"""`mlplatform.Refresh`: when the line from features to endpoint runs."""

from __future__ import annotations

from pydantic import Field

from mlplatform.spec.station import StationSpec, Strict


class ParametersSpec(Strict):
    """Run parameters of a refresh."""

    as_of: str | None = Field(
        default=None,
        description="Only rows whose window column is at most this value (ISO text for days). Default: all.",
    )
    window_last: int | None = Field(default=None, gt=0, description="Another window than the feature set's.")


class RefreshSpec(StationSpec):
    """Runs features → model → gate → endpoint on a schedule, at the first data, and when a monitor asks."""

    endpoint: str = Field(description="Name of the endpoint to refresh.")
    schedule: str | None = Field(default="0 6 * * *", description="Cron expression; None = no schedule.")
    timezone: str = Field(default="UTC", description="In which the schedule is read.")
    parameters: ParametersSpec = Field(
        default_factory=ParametersSpec, description="Run parameters of the scheduled refresh."
    )
    first: bool = Field(default=True, description="Also run as soon as there is data and no model yet.")
    first_rows: int = Field(default=1000, gt=0, description="Rows the table must have for that.")
