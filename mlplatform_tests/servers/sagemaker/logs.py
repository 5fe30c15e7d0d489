"""What a job's hosts say, in CloudWatch Logs: a stream a host, written in batches by a thread of the job's own."""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
import time
from typing import Any

from mlplatform_tests.servers.sagemaker.account import Account

TRAINING, PROCESSING, TRANSFORM = (
    f"/aws/sagemaker/{kind}" for kind in ("TrainingJobs", "ProcessingJobs", "TransformJobs")
)
_BATCH = 500


class JobLogs:
    """Streams ``<job>/<host>-<time>`` of a log group; `close` waits until all is written."""

    def __init__(self, account: Account, group: str, job: str, hosts: list[str]) -> None:
        self._client = account.client("logs")
        self._group = group
        self._job = job
        self._streams = dict.fromkeys(hosts, "")
        self._lines: queue.Queue[tuple[str, int, str] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def say(self, line: str) -> None:
        """Note a line; of several hosts, the one that it names in front said it."""
        host, bar, rest = line.partition(" | ")
        if len(self._streams) == 1 or not bar or host not in self._streams:
            host, rest = next(iter(self._streams)), line
        self._lines.put((host, int(time.time() * 1000), rest))

    def close(self) -> None:
        self._lines.put(None)
        self._thread.join(60)

    def _write(self) -> None:
        exists = self._client.exceptions.ResourceAlreadyExistsException
        with contextlib.suppress(exists):
            self._client.create_log_group(logGroupName=self._group)
        for host in self._streams:
            self._streams[host] = self._stream(host)
        more = True
        while more:
            batch = [self._lines.get()]
            while len(batch) < _BATCH and not self._lines.empty():
                batch.append(self._lines.get())
            more = None not in batch
            for host, stream in self._streams.items():
                # An empty message is refused.
                events: list[dict[str, Any]] = [
                    {"timestamp": said[1], "message": said[2] or " "} for said in batch if said and said[0] == host
                ]
                if events:
                    self._client.put_log_events(logGroupName=self._group, logStreamName=stream, logEvents=events)

    def _stream(self, host: str) -> str:
        """A new stream of the host; an earlier job of that name may have one of the same second."""
        for second in itertools.count(int(time.time())):
            name = f"{self._job}/{host}-{second}"
            with contextlib.suppress(self._client.exceptions.ResourceAlreadyExistsException):
                self._client.create_log_stream(logGroupName=self._group, logStreamName=name)
                return name
        raise AssertionError  # count() has no end
