"""A job's log in CloudWatch: one stream a host, ``<job>/algo-1-<time>``, read from its beginning line by line.

(https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html.) Lines come there some seconds after they were
said; a stream's token says where the next read goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from mlplatform.adapters.aws.errors import aws_mapped
from mlplatform.errors import NotFoundError, PermissionDeniedError, PlatformError

GROUP = "/aws/sagemaker/TrainingJobs"
_HOST = re.compile(r"/(algo-\d+)")
_STEPS: dict[type[PlatformError], str] = {
    PermissionDeniedError: f"Allow logs:DescribeLogStreams and logs:GetLogEvents on {GROUP}."
}


class JobLog:
    """Lines of `job`'s `hosts`, each once. With several hosts a line says whose it is.

    `since`: when the job was made; streams of an earlier job of that name, which was deleted, are older.
    """

    def __init__(self, client: Any, job: str, hosts: int, since: datetime) -> None:
        self._client = client
        self._job = job
        self._hosts = hosts
        self._since_ms = int(since.timestamp() * 1000)
        self._tokens: dict[str, str | None] = {}

    def lines(self) -> Iterator[tuple[str, str]]:
        """What has come since the last call: the line as it is told, and as the host wrote it."""
        if len(self._tokens) < self._hosts:
            self._find()
        for stream in sorted(self._tokens):
            match = _HOST.search(stream)
            host = match[1] if match else stream
            for line in self._read(stream):
                yield (line if self._hosts == 1 else f"{host} | {line}"), line

    def _find(self) -> None:
        request: dict[str, Any] = {"logGroupName": GROUP, "logStreamNamePrefix": f"{self._job}/"}
        while True:
            try:
                with aws_mapped(self._what, service="CloudWatch Logs", steps=_STEPS):
                    page = self._client.describe_log_streams(**request)
            except NotFoundError:
                return  # no job has said anything in this account
            for stream in page["logStreams"]:
                if stream["creationTime"] >= self._since_ms:
                    self._tokens.setdefault(stream["logStreamName"], None)
            if not page.get("nextToken"):
                return
            request["nextToken"] = page["nextToken"]

    def _read(self, stream: str) -> Iterator[str]:
        while True:
            token = self._tokens[stream]
            request = {"logGroupName": GROUP, "logStreamName": stream, "startFromHead": True}
            with aws_mapped(self._what, service="CloudWatch Logs", steps=_STEPS):
                page = self._client.get_log_events(**request, **({"nextToken": token} if token else {}))
            self._tokens[stream] = page["nextForwardToken"]
            for event in page["events"]:
                yield event["message"].rstrip("\r\n")
            # The end is where the token stays the same.
            if not page["events"] or page["nextForwardToken"] == token:
                return

    @property
    def _what(self) -> str:
        return f"The log of job '{self._job}' in {GROUP}"
