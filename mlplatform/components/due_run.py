"""A sensor's run for work that is due: one at a time, and asked for again while the work stays due after it ended."""

from __future__ import annotations

from datetime import datetime

import dagster as dg

DUE_TAG = "mlplatform/due"
"""What a run was asked for; the same for each try."""

SENSOR_TAG = "dagster/sensor_name"

FIRST_PAUSE_S, LONGEST_PAUSE_S = 30, 3600
_ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_OPEN = [status for status in dg.DagsterRunStatus if status not in _ENDED]


def due_run(
    instance: dg.DagsterInstance, sensor: str, asset: dg.AssetKey, due: str, *, now: datetime
) -> dg.SensorResult | dg.SkipReason:
    """The run of `sensor` that does what `due` names, on `asset`.

    Dagster launches a run key once, ever. So the key counts the runs that ended (failed, cancelled, or done with the work
    still due); the pause before the next one doubles with each, up to an hour, so that what always fails stays cheap.
    """
    if instance.get_runs_count(dg.RunsFilter(tags={SENSOR_TAG: sensor}, statuses=_OPEN)):
        return dg.SkipReason("A run that was asked for has not ended.")
    asked = dg.RunsFilter(tags={SENSOR_TAG: sensor, DUE_TAG: due}, statuses=_ENDED)
    tries = instance.get_runs_count(asked)
    if tries:
        (last,) = instance.get_run_records(asked, limit=1)
        pause_s = min(FIRST_PAUSE_S * 2 ** min(tries - 1, 20), LONGEST_PAUSE_S)
        # An end in the future is from before the clock was set back: it keeps nothing waiting for longer than a pause.
        left_s = pause_s - abs(now.timestamp() - (last.end_time or last.update_timestamp.timestamp()))
        if left_s > 0:
            return dg.SkipReason(
                f"Still due after {tries} runs that were asked for, the last one {last.dagster_run.run_id}; the next one "
                f"is asked for in {left_s:.0f} s."
            )
    key = f"{due}#{tries}" if tries else due
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=key, tags={DUE_TAG: due}, asset_selection=[asset])])
