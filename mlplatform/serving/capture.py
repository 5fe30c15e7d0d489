"""Capture: requests and answers, off the hot path.

The event loop only appends to a bounded queue. One thread a worker takes what is there every 50 ms, masks and encodes
it, appends it to the endpoint's spool and fsyncs. So ``kill -9`` loses at most what the last 50 ms answered, and the
spool's counts tell how many. Where the queue is full, the request is answered and not kept: its sequence is missing.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from mlplatform.core.capture.masking import MASK_SECRET, Masking
from mlplatform.errors import NotFoundError, ProfileError
from mlplatform.serving.capture_spool import CaptureSpool
from mlplatform.serving.served_model import ServedModel
from mlplatform.spec.process_name import process_name

if TYPE_CHECKING:
    from pydantic import SecretStr

    from mlplatform.ports.runtimes import Prediction

FLUSH_S = 0.05
SLICE_REQUESTS, PAUSE_S = 128, 0.00005
"""The writer gives way after so many requests: while it encodes, the event loop of its process stands still."""

QUEUE_REQUESTS = 20_000
log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode
_share = random.Random().random  # noqa: S311 - a sample


class Entry(NamedTuple):
    """One request as the hot path hands it over: references only."""

    sequence: int
    time_ns: int
    served: ServedModel
    inference_id: str
    request_id: str
    content_type: str
    rows: Sequence[Mapping[str, Any]]
    predictions: Sequence[Prediction]


class Lane(NamedTuple):
    """What capture needs of one endpoint."""

    spool: CaptureSpool
    queue: deque[Entry]


class Capture:
    """One a worker. `record` never blocks and never fails for a full queue."""

    def __init__(
        self, folder: Path, *, secret: Callable[[str], SecretStr], queue_requests: int = QUEUE_REQUESTS
    ) -> None:
        self._folder = folder
        self._secret = secret
        self._bound = queue_requests
        self._worker = process_name()
        self._lanes: dict[str, Lane] = {}
        self._maskings: dict[tuple[frozenset[str], frozenset[str]], Masking] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def prepare(self, served: ServedModel) -> None:
        """Make ready to capture a generation. Raises ProfileError where it masks fields and there is no key to do it with."""
        self._masking(served)
        if served.name not in self._lanes:
            self._lanes[served.name] = Lane(CaptureSpool(self._folder / served.name, self._worker), deque())

    def record(
        self,
        served: ServedModel,
        *,
        inference_id: str,
        request_id: str,
        content_type: str,
        rows: Sequence[Mapping[str, Any]],
        predictions: Sequence[Prediction],
    ) -> None:
        """Keep a request, if it is in the sample and there is room."""
        sample = served.spec.capture.sample
        if sample < 1.0 and _share() >= sample:
            return
        spool, queue = self._lanes[served.name]
        sequence = spool.next_sequence()
        if len(queue) < self._bound:
            queue.append(
                Entry(sequence, time.time_ns(), served, inference_id, request_id, content_type, rows, predictions)
            )

    def start(self) -> None:
        """Start the writer."""
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what is queued and close the spools."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.flush()
        for lane in self._lanes.values():
            lane.spool.close()

    def settle(self) -> None:
        """Write what is queued and close its segments, so that a drainer finds all (where there is no writer's thread)."""
        self.flush()
        for lane in self._lanes.values():
            lane.spool.close_when_due(now=0.0, force=True)

    def flush(self) -> None:
        """Write what is queued now (on the writer's thread, or after it ended)."""
        for lane in list(self._lanes.values()):
            now = time.monotonic()
            lines = []
            last = 0
            for number in range(1, len(lane.queue) + 1):
                entry = lane.queue.popleft()
                last = entry.sequence
                lines.append(self._line(entry))
                if number % SLICE_REQUESTS == 0:
                    time.sleep(PAUSE_S)
            if lines:
                lane.spool.write(b"".join(lines), last, now=now)
            lane.spool.close_when_due(now=now)

    def _run(self) -> None:
        while not self._stop.wait(FLUSH_S):
            try:
                self.flush()
            except OSError:
                # A full disk: what was taken is lost and counted by its sequences; serving goes on.
                log.exception("captured requests could not be written")

    def _line(self, entry: Entry) -> bytes:
        """A `CapturedRequest`, put together from the parts that differ; twice as fast as encoding the whole."""
        return (
            b'{"sequence":%d,"captured_at":"%b","inference_id":%b,"request_id":%b,"content_type":%b,%b,"rows":%b,"predictions":%b}\n'
            % (
                entry.sequence,
                _iso(entry.time_ns),
                _encode(entry.inference_id),
                _encode(entry.request_id),
                _encode(entry.content_type),
                entry.served.identity,
                _encode(self._masking(entry.served).rows(entry.rows)),
                _encode(entry.predictions),
            )
        )

    def _masking(self, served: ServedModel) -> Masking:
        spec = served.spec.capture
        fields = frozenset(spec.mask), frozenset(spec.drop)
        found = self._maskings.get(fields)
        if found is None:
            found = self._maskings[fields] = Masking(*fields, key=self._key(served) if spec.mask else b"")
        return found

    def _key(self, served: ServedModel) -> bytes:
        try:
            return self._secret(MASK_SECRET).get_secret_value().encode()
        except NotFoundError as error:
            raise ProfileError(
                f"Endpoint '{served.name}' masks {', '.join(served.spec.capture.mask)} in what it captures, and there is "
                f"no secret '{MASK_SECRET}'.",
                next_step=f"Set it (any long random text). {error}",
            ) from error


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def _iso(time_ns: int) -> bytes:
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{_second(seconds)}.{rest // 1000:06d}Z".encode()
