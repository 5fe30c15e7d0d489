"""What processing, transform and tuning jobs have alike: a name used once, a status, an end, lists, and events."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlplatform.errors import PlatformError
from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError, operation_of
from mlplatform_tests.servers.sagemaker import events
from mlplatform_tests.servers.sagemaker.account import Account, Operation
from mlplatform_tests.servers.sagemaker.listing import page

LOST = "InternalServerError: We encountered an internal error. Please try again."
_SUMMARY = ("CreationTime", "LastModifiedTime", "FailureReason", "ExitMessage")


@dataclass(frozen=True)
class JobKind:
    """One kind. `label`: ``ProcessingJob`` begins its fields' names, `times` their times' (``Processing``); `running`: its status
    at work. `work` runs a job and returns what is added to its description, or raises a PlatformError or `EndedError`."""

    kind: str
    label: str
    times: str
    event: str
    work: Callable[[Account, dict[str, Any]], dict[str, Any]]
    check: Callable[[Account, dict[str, Any]], None]
    summary: tuple[str, ...] = ()
    described: Callable[[Account, dict[str, Any]], dict[str, Any]] | None = None

    @property
    def operations(self) -> dict[str, Operation]:
        """Create, describe, stop and list, by AWS's names."""
        return {
            f"Create{self.label}": self.create,
            f"Describe{self.label}": self.describe,
            f"Stop{self.label}": self.stop,
            f"List{self.label}s": self.list_all,
        }

    def name_of(self, record: Mapping[str, Any]) -> str:
        return str(record[f"{self.label}Name"])

    def create(self, account: Account, request: dict[str, Any]) -> dict[str, Any]:
        self.check(account, request)
        name, now = self.name_of(request), time.time()
        arn = account.arn(self.kind, name)
        state = {f"{self.label}Arn": arn, f"{self.label}Status": "InProgress"}
        record = {**request, **state, "CreationTime": now, "LastModifiedTime": now}
        if not account.records.add(self.kind, name, record):
            raise AwsRefusedError(
                "ResourceInUse",
                f"Job name must be unique within an AWS account and region, and a job already exists with this name ({arn})",
            )
        events.send(account, self.event, arn, self._shown(account, record))
        account.work(arn, self._run, account, record)
        return {f"{self.label}Arn": arn}

    def describe(self, account: Account, request: dict[str, Any]) -> dict[str, Any]:
        members: Any = operation_of("sagemaker", f"Describe{self.label}").output_shape
        found = self._shown(account, account.known(self.kind, self.name_of(request)))
        return {key: value for key, value in found.items() if key in members.members}

    def stop(self, account: Account, request: dict[str, Any]) -> dict[str, Any]:
        found = account.known(self.kind, self.name_of(request))
        status = found[f"{self.label}Status"]
        if status != "InProgress":
            raise AwsRefusedError(
                "ValidationException", f"The request was rejected because the job is in status {status}."
            )
        self.change(account, self.name_of(request), {f"{self.label}Status": "Stopping"})
        return {}

    def delete(self, account: Account, request: dict[str, Any]) -> dict[str, Any]:
        """Forget a job that has ended; what it left stays."""
        name = self.name_of(request)
        status = account.known(self.kind, name)[f"{self.label}Status"]
        if status not in ("Completed", "Failed", "Stopped"):
            raise AwsRefusedError("ResourceInUse", f"{self.label} {name} is in status {status}.")
        account.records.delete(self.kind, name)
        return {}

    def list_all(self, account: Account, request: dict[str, Any]) -> dict[str, Any]:
        fields = [f"{self.label}{part}" for part in ("Name", "Arn", "Status")]
        wanted = (*fields, f"{self.times}EndTime", *_SUMMARY, *self.summary)
        shown = [self._shown(account, job) for job in account.records.all(self.kind)]
        found = [{key: job[key] for key in wanted if key in job} for job in shown]
        return page(found, request, key=f"{self.label}Summaries", name=fields[0], status=fields[2])

    def resume(self, account: Account) -> None:
        """Fail what ran when the stand-in was killed."""
        for job in account.records.all(self.kind):
            if job[f"{self.label}Status"] in ("InProgress", "Stopping"):
                self._end(account, self.name_of(job), "Failed", {"FailureReason": LOST})

    def stopping(self, account: Account, name: str) -> bool:
        """Whether somebody asked the job to stop."""
        return bool(account.known(self.kind, name)[f"{self.label}Status"] == "Stopping")

    def change(self, account: Account, name: str, more: Mapping[str, Any]) -> None:
        """Add to the job's description."""
        account.records.change(self.kind, name, lambda job: job.update(more, LastModifiedTime=time.time()))

    def _run(self, account: Account, record: dict[str, Any]) -> None:
        name = self.name_of(record)
        if account.faults.takes("capacity"):
            self._end(
                account,
                name,
                "Failed",
                {"FailureReason": "CapacityError: Unable to provision requested ML compute capacity."},
            )
            return
        try:
            more = self.work(account, record)
        except PlatformError as error:
            self._end(account, name, "Failed", {"FailureReason": f"ClientError: {error.message}"})
        except EndedError as ended:
            self._end(account, name, ended.status, ended.more)
        else:
            self._end(account, name, "Completed", more)

    def _end(self, account: Account, name: str, status: str, more: Mapping[str, Any]) -> None:
        self.change(account, name, {f"{self.label}Status": status, f"{self.times}EndTime": time.time(), **more})
        found = account.known(self.kind, name)
        events.send(account, self.event, found[f"{self.label}Arn"], self._shown(account, found))

    def _shown(self, account: Account, record: dict[str, Any]) -> dict[str, Any]:
        shown = {key: value for key, value in record.items() if key != "Tags"}
        return self.described(account, shown) if self.described is not None else shown


class EndedError(Exception):
    """A job that ended otherwise than completed; `more` is added to its description."""

    def __init__(self, status: str, **more: Any) -> None:
        super().__init__(status)
        self.status = status
        self.more = more
