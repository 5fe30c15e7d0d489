"""AWS of one test session, as far as Redshift needs it: found by clients through ``AWS_ENDPOINT_URL_<SERVICE>`` alone."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mlplatform_tests.servers.aws_protocol.messages import Asked, answered, asked, refused
from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError

SERVICES = ("redshift", "redshift-serverless", "redshift-data")


@dataclass
class Aws:
    """A running server. `calls`: the operations that were asked for, in order."""

    port: int
    calls: list[str] = field(default_factory=list)
    _refusals: list[tuple[str, AwsRefusedError]] = field(default_factory=list)

    @property
    def env(self) -> dict[str, str]:
        """The environment of who asks it."""
        places = {f"AWS_ENDPOINT_URL_{s.upper().replace('-', '_')}": f"http://127.0.0.1:{self.port}" for s in SERVICES}
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
        return {**places, **keys, "AWS_EC2_METADATA_DISABLED": "true"}

    def refuse(self, operation: str, code: str, *, status: int = 400, times: int = 1) -> None:
        """Answers the next `times` requests for `operation` with the error."""
        self._refusals += [(operation, AwsRefusedError(code, f"{operation} is refused.", status))] * times

    def mend(self) -> None:
        """Nothing is refused any more."""
        self._refusals.clear()

    def noted(self, request: Asked) -> None:
        """Writes the call down. Raises AwsRefusedError where it is to be refused."""
        self.calls.append(request.operation)
        found = next((r for r in self._refusals if r[0] == request.operation), None)
        if found is not None:
            self._refusals.remove(found)
            raise found[1]


@contextlib.contextmanager
def aws(*services: Callable[[Asked], dict[str, Any] | None]) -> Iterator[Aws]:
    """A server that has each request answered by the first of `services` that knows it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body in one packet: the second would wait for the first one's receipt.
        wbufsize = -1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, service = 200, "redshift" if "X-Amz-Target" not in self.headers else "redshift-data"
            try:
                request = asked(self.headers, body, SERVICES)  # type: ignore[arg-type]
                found.noted(request)
                answers = (service(request) for service in services)
                text = answered(request, next(answer for answer in answers if answer is not None))
            except AwsRefusedError as error:
                status, text = error.status, refused(service, error)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nothing: who wants to know what was asked reads `calls`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found = Aws(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
