"""The gateway's workers as programs: processes that share one listening socket, which the supervisor holds.

A worker that dies leaves the socket open; callers that connect meanwhile wait in its queue for another worker.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping

from mlplatform.serving.program import Program
from mlplatform.serving.supervisor import http_ready

STOP_S = 25.0
"""Longer than a worker takes to drain (`gateway.main.DRAIN_S`)."""


def gateway_programs(listening: socket.socket, workers: int, *, env: Mapping[str, str] | None = None) -> list[Program]:
    """``gateway-1`` … ``gateway-n`` on a socket from `serving.listening.listen`; keep the socket open while they run."""
    host, port = listening.getsockname()[:2]
    url = f"http://[{host}]:{port}/ping" if ":" in host else f"http://{host}:{port}/ping"
    fd = listening.fileno()
    return [
        Program(
            name=f"gateway-{number}",
            argv=[sys.executable, "-m", "mlplatform.gateway.main", "--fd", str(fd)],
            env=env,
            pass_fds=(fd,),
            ready=http_ready(url),
            stop_s=STOP_S,
        )
        for number in range(1, workers + 1)
    ]
