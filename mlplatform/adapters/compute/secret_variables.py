"""Secrets as a job's processes find them: variables of the environment, as `adapters.secrets.environment` reads them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable

from mlplatform.errors import NotFoundError
from mlplatform.ports.compute import JobSpec
from mlplatform.ports.secrets import Secrets

PREFIX = "MLPLATFORM_SECRET_"


def secret_variables(job: JobSpec, secrets: Callable[[], Secrets] | None) -> dict[str, str]:
    """The secrets that `job` names. One that is not set is left out: a connection may name some that it can do without."""
    found: dict[str, str] = {}
    if secrets is None:
        return found
    for name in job.secrets:
        with contextlib.suppress(NotFoundError):
            found[PREFIX + re.sub(r"[^A-Z0-9]", "_", name.upper())] = secrets().get(name).get_secret_value()
    return found
