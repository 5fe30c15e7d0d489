"""What stands before SageMaker's managed MLflow, for tests: a request goes on to a server only if AWS's signature fits and it names
the ARN. The signature is computed anew from the request and the secret, by botocore's own signer.

(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.)
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)"
)
_SIGNED_AT = "%Y%m%dT%H%M%SZ"
NAMED_BY = "x-mlflow-sm-tracking-server-arn"
SERVICE = "sagemaker-mlflow"
SKEW_S = 300.0


@dataclass
class SignedFront:
    """A running front. `refusals`: what was wrong with requests that it refused."""

    arn: str
    key: str
    secret: str
    upstream: str
    url: str = ""
    passed: int = 0
    refusals: list[str] = field(default_factory=list)

    def fault(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
        """What is wrong with a request; "" where it may go on."""
        found = _AUTHORIZATION.fullmatch(headers.get("Authorization", ""))
        if found is None:
            return "Missing Authentication Token"
        key, _, region, service, names, signature = found.groups()
        if key != self.key:
            return "The security token included in the request is invalid."
        if (region, service) != (self.arn.split(":")[3], SERVICE):
            return f"Credential should be scoped to a valid region and service, not {region} and {service}."
        if NAMED_BY not in names.split(";") or headers.get(NAMED_BY) != self.arn:
            return f"User is not authorized to access {headers.get(NAMED_BY)}"
        signed_at = datetime.strptime(headers["X-Amz-Date"], _SIGNED_AT).replace(tzinfo=UTC)
        if abs((datetime.now(UTC) - signed_at).total_seconds()) > SKEW_S:
            return "Signature expired"
        if headers.get("X-Amz-Content-SHA256") != sha256(body).hexdigest():
            return "The request signature does not match: it was made of another body."
        signed = {name: headers[name] for name in names.split(";")}
        request = AWSRequest(method=method, url=f"{self.url}{path}", data=body, headers=signed)
        request.context["timestamp"] = headers["X-Amz-Date"]
        signer = SigV4Auth(Credentials(self.key, self.secret), service, region)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        return "" if signer.signature(text, request) == signature else "The request signature does not match."


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        front, headers = self.server.front, {name.lower(): text for name, text in self.headers.items()}
        fault = front.fault(self.command, self.path, _Headers(headers), body)
        if fault:
            front.refusals.append(fault)
            self._say(403, "application/json", json.dumps({"message": fault}).encode())
            return
        front.passed += 1
        own = ("host", "authorization", "content-length", "connection", "accept-encoding")
        kept = {name: text for name, text in headers.items() if name not in own and not name.startswith("x-amz")}
        answer = httpx.request(self.command, f"{front.upstream}{self.path}", headers=kept, content=body, timeout=60)
        self._say(answer.status_code, answer.headers.get("Content-Type", "application/json"), answer.content)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""

    def _say(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class _Headers(dict[str, str]):
    """Found by a name in any case."""

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def get(self, name: str, default: str | None = None) -> str:  # type: ignore[override]
        return super().get(name.lower(), default or "")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    front: SignedFront


@contextlib.contextmanager
def signed_front(upstream: str, *, arn: str, key: str, secret: str) -> Iterator[SignedFront]:
    """A front before the server at `upstream`, which whoever has that key may ask in the name of `arn`."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.front = SignedFront(arn, key, secret, upstream, f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.front
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
