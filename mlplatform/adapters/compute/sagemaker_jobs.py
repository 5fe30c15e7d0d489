"""Jobs of one kind on SageMaker by their name: made once, found again, stopped; and how each kind calls its parts.

Whoever asks first makes the job, everybody else finds it by its name: SageMaker refuses a second one. A process that dies
or loses AWS leaves the job running; the next one of that name follows it. Only an interrupt stops it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from mlplatform.adapters.aws.client import AwsSettings
from mlplatform.adapters.compute.description import ENDED
from mlplatform.adapters.compute.sagemaker_errors import STOPPED, sagemaker_mapped
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.adapters.compute.sagemaker_wait import Growing, Pause, Queue, until_seen
from mlplatform.errors import ConflictError, NotFoundError, TimedOutError, UserError

T = TypeVar("T")
STOP_S = 300.0
"""SageMaker gives a job two minutes after SIGTERM, and then uploads what is there."""
MADE_S = 3.0
"""After so long, a job that was asked for and is not there was not made."""


@dataclass(frozen=True)
class Kind:
    """How SageMaker calls things of one kind of job.

    `label`: fields begin with it; `calls`: boto3's methods end with it; `times`: fields of its times begin with it;
    `group`: of its logs in CloudWatch, "" where it has none of its own.
    """

    label: str
    calls: str
    times: str
    group: str = ""

    @property
    def name(self) -> str:
        return f"{self.label}Name"

    @property
    def status(self) -> str:
        return f"{self.label}Status"

    @property
    def arn(self) -> str:
        return f"{self.label}Arn"


TRAINING = Kind("TrainingJob", "training_job", "Training", "/aws/sagemaker/TrainingJobs")
TUNING = Kind("HyperParameterTuningJob", "hyper_parameter_tuning_job", "HyperParameterTuning")
PROCESSING = Kind("ProcessingJob", "processing_job", "Processing", "/aws/sagemaker/ProcessingJobs")
TRANSFORM = Kind("TransformJob", "transform_job", "Transform", "/aws/sagemaker/TransformJobs")


class RemoteJobs:
    """Jobs of `kind`. `client` opens boto3's client of SageMaker."""

    def __init__(self, kind: Kind, settings: SageMakerComputeSettings, client: Callable[[], Any]) -> None:
        self.kind = kind
        self._settings = settings
        self._open = client

    def run(self, request: Mapping[str, Any], follow: Callable[[], T]) -> T:
        """Make the job of `request`, or find it; then `follow` it. An interrupt stops it first.

        Whatever else ends this (AWS is away, say, or the disk is full): the job runs on, and is joined by who comes next.
        """
        name, answered = request[self.kind.name], False
        try:
            with contextlib.suppress(ConflictError), self.asked(name):
                self._call("create")(**request)
            answered = True
            return follow()
        except BaseException as error:
            if not isinstance(error, Exception):
                self._interrupted(name, answered=answered)
            raise

    def described(self, name: str) -> dict[str, Any]:
        """The describing answer; times are ISO 8601, and a job that was stopped says so. Raises NotFoundError."""
        try:
            with self.asked(name):
                found = self._call("describe")(**{self.kind.name: name})
        except NotFoundError as error:
            raise NotFoundError(f"There is no job '{name}' on SageMaker.") from error
        told = {key: plain(value) for key, value in found.items() if key != "ResponseMetadata"}
        ended = told.get("SecondaryStatus", told[self.kind.status])
        return {**told, "FailureReason": told.get("FailureReason") or (STOPPED if ended == "Stopped" else "")}

    def seen(self, name: str) -> dict[str, Any]:
        """The description of a job that was just made."""
        return until_seen(lambda: self.described(name), within_s=MADE_S, patience_s=self._settings.patience_s)

    def ended(self, described: Mapping[str, Any]) -> bool:
        return described[self.kind.status] in ENDED

    def tagged(self, described: dict[str, Any]) -> dict[str, Any]:
        """The description with the job's tags."""
        with self.asked(described[self.kind.name]):
            tags = self._open().list_tags(ResourceArn=described[self.kind.arn], MaxResults=100)["Tags"]
        return {**described, "Tags": tags}

    def stop(self, name: str) -> None:
        """Stop the job, and wait until it has; no error where it has ended."""
        deadline, pause = time.monotonic() + STOP_S, Growing(self._settings.poll_s)
        while not self.ended(described := self.described(name)):
            if time.monotonic() > deadline:
                raise TimedOutError(f"Job '{name}' did not stop within {STOP_S:.0f} s.", next_step="Look at it on AWS.")
            if described[self.kind.status] == "InProgress":
                # It may end between the two calls: the next look tells.
                with contextlib.suppress(UserError), self.asked(name):
                    self._call("stop")(**{self.kind.name: name})
            pause.wait()

    def delete(self, name: str) -> None:
        """Delete a job that has ended."""
        with self.asked(name):
            self._call("delete")(**{self.kind.name: name})

    def pause(self, name: str) -> Pause:
        """Between two looks at the job."""
        if not self._settings.events_queue:
            return Growing(self._settings.poll_s)
        sqs = AwsSettings(region=self._settings.region).client("sqs")
        return Queue(sqs, self._settings.events_queue, name, self._settings.poll_s)

    def asked(self, name: str) -> AbstractContextManager[None]:
        """Around a call about the job."""
        return sagemaker_mapped(f"Job '{name}'", role=self._settings.role_arn)

    def _interrupted(self, name: str, *, answered: bool) -> None:
        """Stop the job; one whose making was not `answered` may be there in a moment, or never."""
        deadline, pause = time.monotonic() + (0.0 if answered else MADE_S), Growing(1.0)
        while True:
            try:
                return self.stop(name)
            except NotFoundError:
                if time.monotonic() >= deadline:
                    return None
            pause.wait()

    def _call(self, verb: str) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(self._open(), f"{verb}_{self.kind.calls}")
        return found


def plain(value: Any) -> Any:
    """Times as text, in what boto3 answers."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds")
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return [plain(inner) for inner in value] if isinstance(value, list) else value
