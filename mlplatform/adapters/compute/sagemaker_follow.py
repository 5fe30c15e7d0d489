"""A job on SageMaker followed to its end, with its log from the beginning: all of it, also what came behind the end."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from mlplatform.adapters.compute.sagemaker_jobs import RemoteJobs
from mlplatform.adapters.compute.sagemaker_logs import LAST_LINES_S, JobLog, LastLines
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.adapters.compute.sagemaker_wait import Growing, Patience
from mlplatform.errors import JobError, NotFoundError, TimedOutError

OnLine = Callable[[str], None]


def follow(
    jobs: RemoteJobs,
    name: str,
    settings: SageMakerComputeSettings,
    logs: Any,
    *,
    hosts: int,
    say: OnLine,
    note: OnLine = lambda _: None,
    timeout_s: float = math.inf,
) -> dict[str, Any]:
    """The job's last description. `logs`: client of CloudWatch Logs; `timeout_s`: it is stopped so long after it was made.

    `say` is given lines as the job's log has them, `note` as the host wrote them.

    Raises:
        JobError: somebody deleted it.
        TimedOutError: it was stopped.
        TransientError: AWS was away for longer than the settings bear.
    """
    made = datetime.fromisoformat(jobs.seen(name)["CreationTime"])
    log = JobLog(logs, name, hosts, made, group=jobs.kind.group)
    pause, away = jobs.pause(name), Patience(settings.patience_s)
    last = LastLines(log, min(LAST_LINES_S, settings.poll_s), end=f"{jobs.kind.times}EndTime")
    described: dict[str, Any] = {}
    ended = False
    while True:
        with away.bearing():
            if not ended:
                described = awaited(jobs, name)
                # Looked at before the log: what is said until then is in there.
                ended = jobs.ended(described)
            for told, line in log.lines(all_streams=ended):
                note(line)
                say(told)
            if ended:
                if last.have_come(described):
                    return described
                pause = Growing(last.silence_s)
        if not ended and (datetime.now(UTC) - made).total_seconds() > timeout_s:
            jobs.stop(name)
            raise TimedOutError(f"Job '{name}' is Stopped: It ran longer than {timeout_s:.0f} s.")
        pause.wait()


def awaited(jobs: RemoteJobs, name: str) -> dict[str, Any]:
    """The description of a job that was seen before. Raises JobError where it is gone."""
    try:
        return jobs.described(name)
    except NotFoundError as error:
        raise JobError(f"Job '{name}' was deleted while it was awaited.") from error
