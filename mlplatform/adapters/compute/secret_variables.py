"""Secrets as a job's processes find them: variables of the environment, as `adapters.secrets.environment` reads them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping

from mlplatform.errors import NotFoundError
from mlplatform.ports.compute import JobSpec
from mlplatform.ports.secrets import Secrets

PREFIX = "MLPLATFORM_SECRET_"


def secret_variables(
    job: JobSpec, secrets: Callable[[], Secrets] | None, environment: Mapping[str, str]
) -> dict[str, str]:
    """The secrets that `job` names. One that is not set is left out: a connection may name some that it can do without.

    A job that reaches AWS also gets what boto3 finds in the `environment` of the process that runs it.
    """
    found = {name: value for name, value in environment.items() if job.aws and name.startswith("AWS_")}
    if secrets is None:
        return found
    for name in job.secrets:
        with contextlib.suppress(NotFoundError):
            found[PREFIX + re.sub(r"[^A-Z0-9]", "_", name.upper())] = secrets().get(name).get_secret_value()
    return found
