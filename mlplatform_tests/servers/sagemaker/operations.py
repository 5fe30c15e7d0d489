"""All that the stand-in can do: the operations of each family, by AWS's names."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mlplatform_tests.servers.sagemaker import (
    endpoint_configs,
    endpoint_life,
    endpoints,
    invocations,
    model_packages,
    models,
    processing,
    tags,
    training,
    transform,
    tuning,
)
from mlplatform_tests.servers.sagemaker.account import Account, Operation

CONTROL: Mapping[str, Operation] = {
    **training.OPERATIONS,
    **processing.OPERATIONS,
    **tags.OPERATIONS,
    **transform.OPERATIONS,
    **tuning.OPERATIONS,
    **models.OPERATIONS,
    **model_packages.OPERATIONS,
    **endpoint_configs.OPERATIONS,
    **endpoints.OPERATIONS,
}
"""Of the service ``sagemaker``."""
RUNTIME: Mapping[str, Operation] = invocations.OPERATIONS
"""Of the service ``sagemaker-runtime``."""
RESUME: tuple[Callable[[Account], None], ...] = (
    training.resume,
    processing.resume,
    transform.resume,
    tuning.resume,
    endpoint_life.resume,
)
"""Called for each account when it is opened: settles what a stand-in that was killed left half-way."""
