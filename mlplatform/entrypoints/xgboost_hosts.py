"""The hosts of an XGBoost training, joined by its own collective: a tracker on the first one, sums and gathers over all.

Within `joined` XGBoost itself trains on all hosts' rows as if they were one table's.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mlplatform.core.training.hosts import ALONE, Hosts
from mlplatform.entrypoints.contract import Job, Machines
from mlplatform.errors import UnavailableError

if TYPE_CHECKING:
    from xgboost.tracker import RabitTracker

_WAIT_S = 600.0
"""How long hosts wait for the first one to appear: machines do not start at the same moment."""
_STEP_S = 7 * 86_400
"""How long one host waits for another in the middle of the work. One that is gone is noticed at once; one that is slow is not gone."""
_PAUSE_S = 0.2


class Collective:
    """Every host of the job, by `xgboost.collective`."""

    def __init__(self, machines: Machines) -> None:
        self.rank = machines.rank
        self.count = len(machines.names)

    def sum(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        from xgboost import collective

        return collective.allreduce(values, collective.Op.SUM).reshape(values.shape)

    def gather(self, part: bytes) -> list[bytes]:
        """By a sum of buffers that are zero but for the host's own part: numbers only cross the wire, nothing is unpickled."""
        sizes = np.zeros(self.count, dtype=np.int64)
        sizes[self.rank] = len(part)
        sizes = self.sum(sizes)
        ends = np.cumsum(sizes)
        buffer = np.zeros(int(ends[-1]), dtype=np.uint8)
        buffer[ends[self.rank] - len(part) : ends[self.rank]] = np.frombuffer(part, dtype=np.uint8)
        if buffer.size:
            buffer = self.sum(buffer)
        return [buffer[end - size : end].tobytes() for size, end in zip(sizes, ends, strict=True)]


@contextlib.contextmanager
def joined(job: Job, log: Callable[[str], None]) -> Iterator[Hosts]:
    """All hosts of `job`, until the block ends well. A host whose block fails says nothing more to the others: they notice.

    Raises:
        UnavailableError: the first host does not come.
    """
    machines = job.machines
    if len(machines.names) == 1:
        yield ALONE
        return
    from xgboost import collective

    address = _address(machines)
    tracker = _tracker(machines, address) if machines.rank == 0 else None
    _join(machines, address)
    log(f"{machines.current} is host {machines.rank + 1} of {len(machines.names)}")
    yield Collective(machines)
    collective.finalize()
    if tracker is not None:
        tracker.wait_for(int(_WAIT_S))


def _tracker(machines: Machines, address: str) -> RabitTracker:
    from xgboost.tracker import RabitTracker

    tracker = RabitTracker(n_workers=len(machines.names), host_ip=address, port=machines.port, sortby="task")
    tracker.start()
    return tracker


def _join(machines: Machines, address: str) -> None:
    """Connect to the tracker, which may not be there yet."""
    import xgboost
    from xgboost import collective

    arguments: dict[str, int | str | None] = {
        "dmlc_communicator": "rabit",
        "dmlc_tracker_uri": address,
        "dmlc_tracker_port": machines.port,
        "dmlc_task_id": f"{machines.rank:06d}",
        "dmlc_retry": 1,
        "dmlc_timeout": _STEP_S,
    }
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            # Each attempt that comes too early would be a page of warnings.
            with xgboost.config_context(verbosity=0):
                return collective.init(**arguments)
        except xgboost.core.XGBoostError as error:
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"Host '{machines.names[0]}' does not answer on port {machines.port} after {_WAIT_S:.0f} s."
                ) from error
            time.sleep(_PAUSE_S)


def _address(machines: Machines) -> str:
    """The first host's: that of this machine, where all are its processes; else by name, which may not be known yet."""
    if machines.local:
        return "127.0.0.1"
    deadline = time.monotonic() + _WAIT_S
    while True:
        try:
            return socket.gethostbyname(machines.names[0])
        except OSError as error:
            if time.monotonic() > deadline:
                raise UnavailableError(f"No address is known for host '{machines.names[0]}': {error}.") from error
            time.sleep(1.0)
