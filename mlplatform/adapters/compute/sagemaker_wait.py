"""The pause between two looks at a job: a while that grows, or until SageMaker's own event says that its state changed.

Events (EventBridge rule → SQS queue: source ``aws.sagemaker``, detail type ``SageMaker Training Job State Change`` and the like) come at
least once and in no order, and a queue may be shared: an event is a reason to look, never the news itself.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeVar

from mlplatform.adapters.aws.errors import aws_mapped
from mlplatform.errors import NotFoundError, PermissionDeniedError, PlatformError, TransientError

T = TypeVar("T")
FIRST_S = 0.5
_GROWTH = 1.5
_LONGEST_RECEIVE_S = 20
_FOREIGN_S = 1
"""How long an event of another job is hidden from who waits for it."""
_STALE_S = 900
"""After so long nobody waits for an event any more."""

_NAMES = ("TrainingJobName", "HyperParameterTuningJobName", "ProcessingJobName", "TransformJobName")
_KINDS: dict[str, type[PlatformError]] = {
    "AWS.SimpleQueueService.NonExistentQueue": NotFoundError,
    "QueueDoesNotExist": NotFoundError,
}
_STEPS: dict[type[PlatformError], str] = {
    NotFoundError: "Make it, or take events_queue out of the compute connection: then jobs are looked at from time to time.",
    PermissionDeniedError: "Allow sqs:ReceiveMessage, sqs:DeleteMessage and sqs:ChangeMessageVisibility on it.",
}


class Pause(Protocol):
    """Waits a while."""

    def wait(self) -> None: ...


class Growing:
    """A sleep that grows up to `longest_s`."""

    def __init__(self, longest_s: float) -> None:
        self._next_s = min(FIRST_S, longest_s)
        self._longest_s = longest_s

    def wait(self) -> None:
        time.sleep(self._next_s)
        self._next_s = min(self._next_s * _GROWTH, self._longest_s)


class Patience:
    """Bears that AWS is away, throttled or slow, for `seconds` after it last answered."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._answered = time.monotonic()

    @contextlib.contextmanager
    def bearing(self) -> Iterator[None]:
        """The block is tried again later where it fails so. Raises TransientError once it has lasted too long."""
        try:
            yield
        except TransientError:
            if time.monotonic() - self._answered > self._seconds:
                raise
        else:
            self._answered = time.monotonic()


def until_seen(look: Callable[[], T], *, within_s: float, patience_s: float) -> T:
    """What `look` finds, which was just made and may be seen a moment later; AWS may be away, too.

    Raises NotFoundError after `within_s`, and TransientError as `Patience` does.
    """
    deadline, pause, away = time.monotonic() + within_s, Growing(1.0), Patience(patience_s)
    while True:
        with away.bearing():
            try:
                return look()
            except NotFoundError:
                if time.monotonic() >= deadline:
                    raise
        pause.wait()


class Queue:
    """Until an event of `job` is in the queue at `url`, at most `longest_s`. `client`: of SQS."""

    def __init__(self, client: Any, url: str, job: str, longest_s: float) -> None:
        self._client = client
        self._url = url
        self._job = job
        self._longest_s = longest_s

    def wait(self) -> None:
        """Raises NotFoundError or PermissionDeniedError about the queue; where it is away, time passes instead."""
        deadline = time.monotonic() + self._longest_s
        while (left := deadline - time.monotonic()) > 0:
            try:
                if self._received(left):
                    return
            except TransientError:
                time.sleep(min(FIRST_S, left))
                return

    def _received(self, left_s: float) -> bool:
        """Whether an event of the job came, within `left_s` or so."""
        with aws_mapped(f"Queue '{self._url}'", service="SQS", kinds=_KINDS, steps=_STEPS):
            found = self._client.receive_message(
                QueueUrl=self._url,
                WaitTimeSeconds=min(_LONGEST_RECEIVE_S, max(1, round(left_s))),
                MaxNumberOfMessages=10,
                AttributeNames=["SentTimestamp"],
            )
            ours = [self._is_ours(message) for message in found.get("Messages", ())]
            return any(ours)

    def _is_ours(self, message: dict[str, Any]) -> bool:
        """Whether it is about the job; such a one is taken away, any other is put back unless it is old."""
        receipt = {"QueueUrl": self._url, "ReceiptHandle": message["ReceiptHandle"]}
        ours = job_of(message["Body"]) == self._job
        sent = int(message.get("Attributes", {}).get("SentTimestamp", "0")) / 1000
        if ours or time.time() - sent > _STALE_S:
            self._client.delete_message(**receipt)
        else:
            self._client.change_message_visibility(**receipt, VisibilityTimeout=_FOREIGN_S)
        return ours


def job_of(body: str) -> str:
    """The job that an event is about (of a tuning job's trial: the tuning job), "" of any other message."""
    try:
        detail = json.loads(body)["detail"]
        tuning = str(detail.get("TuningJobArn") or "").rpartition("/")[2]
        return tuning or next((str(detail[name]) for name in _NAMES if name in detail), "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
