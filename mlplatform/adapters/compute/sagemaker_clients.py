"""boto3's clients that jobs on SageMaker are asked by, opened when they are first needed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from mlplatform.adapters.aws.client import AwsSettings
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings


class SageMakerClients:
    """Of the settings' account and region; `options` go to boto3's client of SageMaker beside ours."""

    def __init__(self, settings: SageMakerComputeSettings, options: Mapping[str, Any] | None) -> None:
        self._settings = settings
        self._options = dict(options or {})

    @cached_property
    def sagemaker(self) -> Any:
        """Many ask at once where many jobs are awaited: it slows down by itself."""
        from botocore.config import Config

        patient = {"config": Config(retries={"mode": "adaptive", "total_max_attempts": 10})}
        return self._settings.client("sagemaker", {**patient, **self._options})

    @cached_property
    def logs(self) -> Any:
        """Of CloudWatch's logs."""
        return AwsSettings(region=self._settings.region).client("logs")
