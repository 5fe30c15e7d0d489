"""A job's log in CloudWatch: one stream a host, ``<job>/algo-1-<time>``, read from its beginning line by line.

(https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html.) Lines come there some seconds after they were
said; a stream's token says where the next read goes on.

A container of ours ends its log with a line that its job asked for (`END_VARIABLE`): where it has come, all has. Any other
log is whole when nothing has come for a while after the container ended.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from mlplatform.adapters.aws.errors import aws_mapped
from mlplatform.errors import NotFoundError, PermissionDeniedError, PlatformError

GROUP = "/aws/sagemaker/TrainingJobs"
END_VARIABLE = "MLPLATFORM_END_OF_LOG"
"""Variable of a job's environment: the line that a container says last, once its work is done."""
FIND_S = 30.0
LAST_LINES_S = 5.0
_LONG_AGO_S = 600.0
"""So long after a job's end, nothing of its log is on its way; clocks differ by less."""
_HOST = re.compile(r"/(algo-\d+)")


def end_line(job: str) -> str:
    """The last line of a log of `job`'s."""
    return f"End of the log of {job}."


class JobLog:
    """Lines of `job`'s `hosts` in the log group `group`, each once. With several hosts a line says whose it is.

    `since`: when the job was made; streams of an earlier job of that name, which was deleted, are older.

    Attributes:
        newest: when CloudWatch took the last line, in seconds since 1970; 0 before the first.
    """

    def __init__(self, client: Any, job: str, hosts: int, since: datetime, *, group: str = GROUP) -> None:
        self.newest = 0.0
        self._client = client
        self._group = group
        step = f"Allow logs:DescribeLogStreams and logs:GetLogEvents on {group}."
        self._steps: dict[type[PlatformError], str] = {PermissionDeniedError: step}
        self._job = job
        self._hosts = hosts
        self._since_ms = int(since.timestamp() * 1000)
        self._tokens: dict[str, str | None] = {}
        self._made_ms: dict[str, int] = {}
        self._ended: set[str] = set()
        self._found_at = -math.inf

    @property
    def is_whole(self) -> bool:
        """Whether every host has said its last line; one that began anew counts by its newest stream."""
        newest = {_host(stream): stream for stream in sorted(self._tokens, key=self._made_ms.__getitem__)}
        return len(newest) >= self._hosts and self._ended.issuperset(newest.values())

    def lines(self, *, all_streams: bool = False) -> Iterator[tuple[str, str]]:
        """What has come since the last call: the line as it is told, and as the host wrote it.

        A job that begins anew after an interruption has new streams: they are looked for now and then, and with `all_streams`.
        """
        now = time.monotonic()
        if all_streams or len(self._tokens) < self._hosts or now - self._found_at >= FIND_S:
            self._find()
            self._found_at = now
        for stream in sorted(self._tokens):
            for line in self._read(stream):
                if line == end_line(self._job):
                    self._ended.add(stream)
                else:
                    yield (line if self._hosts == 1 else f"{_host(stream)} | {line}"), line

    def _find(self) -> None:
        request: dict[str, Any] = {"logGroupName": self._group, "logStreamNamePrefix": f"{self._job}/"}
        while True:
            try:
                with aws_mapped(self._what, service="CloudWatch Logs", steps=self._steps):
                    page = self._client.describe_log_streams(**request)
            except NotFoundError:
                return  # no job has said anything in this account
            for stream in page["logStreams"]:
                if stream["creationTime"] >= self._since_ms:
                    self._tokens.setdefault(stream["logStreamName"], None)
                    self._made_ms[stream["logStreamName"]] = stream["creationTime"]
            if not page.get("nextToken"):
                return
            request["nextToken"] = page["nextToken"]

    def _read(self, stream: str) -> Iterator[str]:
        while True:
            token = self._tokens[stream]
            request = {"logGroupName": self._group, "logStreamName": stream, "startFromHead": True}
            with aws_mapped(self._what, service="CloudWatch Logs", steps=self._steps):
                page = self._client.get_log_events(**request, **({"nextToken": token} if token else {}))
            self._tokens[stream] = page["nextForwardToken"]
            for event in page["events"]:
                self.newest = max(self.newest, event["ingestionTime"] / 1000)
                yield event["message"].rstrip("\r\n")
            # The end is where the token stays the same.
            if not page["events"] or page["nextForwardToken"] == token:
                return

    @property
    def _what(self) -> str:
        return f"The log of job '{self._job}' in {self._group}"


class LastLines:
    """Whether all of `log` has come of a job that has ended; its description says when in the field `end`."""

    def __init__(self, log: JobLog, silence_s: float, *, end: str = "TrainingEndTime") -> None:
        self.silence_s = silence_s
        self._end = end
        self._log = log
        self._seen_at: float | None = None
        self._heard_at = 0.0
        self._newest = 0.0

    def have_come(self, described: Mapping[str, Any]) -> bool:
        """Asked after the log was read: it is whole, or was silent for `silence_s`, or the job ended long ago.

        Silent is counted on AWS's clocks from the container's end or the last line, which is often before the job's end:
        SageMaker uploads the model in between.
        """
        now = time.monotonic()
        if self._seen_at is None or self._log.newest > self._newest:
            self._heard_at, self._newest = now, self._log.newest
        self._seen_at = now if self._seen_at is None else self._seen_at
        ended = _time(described.get(self._end) or described["LastModifiedTime"])
        steps = {step["Status"]: step["StartTime"] for step in described.get("SecondaryStatusTransitions", ())}
        left = _time(steps["Uploading"]) if "Uploading" in steps else ended
        silent_s = ended + now - self._seen_at - max(left, self._newest)
        is_long_ago = datetime.now(UTC).timestamp() - ended >= _LONG_AGO_S
        return self._log.is_whole or is_long_ago or max(silent_s, now - self._heard_at) >= self.silence_s


def _host(stream: str) -> str:
    match = _HOST.search(stream)
    return match[1] if match else stream


def _time(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()
