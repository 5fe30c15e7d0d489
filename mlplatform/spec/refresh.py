"""`mlplatform.Refresh`: when the line from features to endpoint runs."""

from __future__ import annotations

from pydantic import Field

from mlplatform.spec.station import StationSpec


class RefreshSpec(StationSpec):
    """Runs features → model → gate → endpoint on a schedule, at the first data, and when a monitor asks."""

    endpoint: str = Field(description="Name of the endpoint to refresh.")
    schedule: str | None = Field(default="0 6 * * *", description="Cron expression; None = no schedule.")
    timezone: str = "UTC"
    first: bool = Field(default=True, description="Also run as soon as there is data and no model yet.")
    first_rows: int = Field(default=1000, gt=0, description="Rows the table must have for that.")
