"""Names of a model's jobs: what people know them by, what went into them, and which attempt it is."""

from __future__ import annotations

import itertools
import re

from mlplatform.errors import NotFoundError
from mlplatform.ports.compute import Compute

LONGEST_BASE = 36


def job_base(system: str, model: str, length: int = LONGEST_BASE) -> str:
    """What names of jobs of a model begin with, so that people know them."""
    return re.sub(r"[^a-zA-Z0-9]+", "-", f"{system}-{model}").strip("-")[:length].rstrip("-")


def attempt_name(compute: Compute, stem: str) -> str:
    """`stem` with the number of the first attempt that has not failed."""
    for attempt in itertools.count(1):
        name = f"{stem}{attempt}"
        try:
            status = compute.describe(name)["TrainingJobStatus"]
        except NotFoundError:
            return name
        if status not in ("Failed", "Stopped"):
            return name
    raise AssertionError  # count() has no end
