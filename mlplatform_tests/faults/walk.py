"""Runs one of `walked_job`'s jobs in this process, as a run worker does: ``python -m … JOB [REQUEST [RUN]]``.

With RUN, that failed run is gone on with, from the step that it did not end, as Dagster does it after a crash.
"""

from __future__ import annotations

import sys

import dagster as dg

from mlplatform.components.station import REQUEST_TAG
from mlplatform_tests.faults import walked_job


def main(name: str, request: str = "", parent: str = "") -> int:
    """0 if the run succeeded."""
    job = dg.reconstructable(getattr(walked_job, name))
    with walked_job.site().instance as instance:
        print("ready", flush=True)
        tags = {REQUEST_TAG: request} if request else {}
        retry = dg.ReexecutionOptions.from_failure(parent, instance) if parent else None
        result = dg.execute_job(job, instance=instance, tags=tags, reexecution_options=retry)
        return 0 if result.success else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
