"""``python -m benchmarks.peers.asgi.serve MODEL SCRATCH PORT WORKERS``."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import uvicorn

from benchmarks.peers.asgi.app import make


def main(model: Path, port: int, workers: int) -> None:
    """Serve with so many processes on one socket."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(2048)
    for _ in range(workers - 1):
        if os.fork() == 0:
            break
    config = uvicorn.Config(
        make(model),
        http="httptools",
        loop="uvloop",
        lifespan="off",
        access_log=False,
        proxy_headers=False,
        log_level="warning",
        server_header=False,
        date_header=False,
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4]))
