"""One gateway worker: a process that serves on a socket it inherits, or opens its own."""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from mlplatform.errors import PlatformError, ProfileError, exit_code

if TYPE_CHECKING:
    from mlplatform.gateway.app import GatewayPorts

DRAIN_S = 20
"""What is in flight at SIGTERM may take so long."""

SWITCH_S = 0.0005
"""How long the capture thread may keep the event loop waiting (Python's default is 5 ms)."""


def main(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Serve until SIGTERM: ``--fd N`` names an inherited listening socket, ``--port`` opens one. Returns an exit code."""
    parser = argparse.ArgumentParser(prog="python -m mlplatform.gateway.main", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--fd", type=int, help="file descriptor of a listening socket")
    where.add_argument("--port", type=int, help="port to listen on")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on, with --port")
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        listening = _socket(arguments.fd, arguments.host, arguments.port)
        serve(_ports(env), listening)
    except PlatformError as error:
        print(f"gateway: {error.message} {error.next_step}", file=sys.stderr)
        return exit_code(error)
    return 0


def serve(ports: GatewayPorts, listening: socket.socket) -> None:
    """Serve on `listening` until SIGTERM or SIGINT; then no new connection, what is in flight ends, capture is written."""
    from mlplatform.gateway.app import make_gateway

    sys.setswitchinterval(SWITCH_S)
    run(make_gateway(ports), listening, lifespan="on", drain_s=DRAIN_S)


def run(app: Any, listening: socket.socket, *, lifespan: Literal["on", "off"], drain_s: int) -> None:
    """Serve an ASGI app on `listening` until SIGTERM or SIGINT; what is in flight then may take `drain_s` seconds."""
    import uvicorn

    config = uvicorn.Config(
        app,
        http="httptools",
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        lifespan=lifespan,
        access_log=False,
        proxy_headers=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=drain_s,
        timeout_keep_alive=75,
    )
    server = uvicorn.Server(config)

    def end(*_: object) -> None:
        server.should_exit = True

    # uvicorn puts these back when it is done and raises the signal once more: this worker ends with 0 all the same.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    server.run(sockets=[listening])


def _socket(fd: int | None, host: str, port: int) -> socket.socket:
    from mlplatform.serving.listening import listen

    return socket.socket(fileno=fd) if fd is not None else listen(host, port)


def _ports(env: Mapping[str, str]) -> GatewayPorts:
    from mlplatform.gateway.app import GatewayPorts
    from mlplatform.platform import open_platform
    from mlplatform.ports.endpoints import SelfServed, SelfServing

    platform = open_platform(env)
    endpoints, forward = platform.endpoints, None
    if isinstance(endpoints, SelfServing):
        forward, desk = endpoints, endpoints.follower()
    elif isinstance(endpoints, SelfServed):
        desk = endpoints.desk()
    else:
        raise ProfileError(
            f"Profile '{platform.profile.name}' has endpoints that serve themselves; a gateway has nothing to do.",
            next_step="Call these endpoints; mlplatform status shows them.",
        )
    return GatewayPorts(
        endpoints=platform.endpoints,
        desk=desk,
        forward=forward,
        runtimes=platform.runtimes,
        packages=platform.tracking.package,
        items=platform.items,
        capture=platform.home.capture,
        secret=platform.secrets.get,
    )


if __name__ == "__main__":
    import os

    sys.exit(main(sys.argv[1:], os.environ))
