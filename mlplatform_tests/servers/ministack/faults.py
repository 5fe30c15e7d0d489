"""A proxy before a server that speaks AWS's protocols: it passes requests on, but for the faults a test asks of it.

Operations are AWS's (``PutRecords``), S3's too (``PutObject``); a fault is used up once it has been told `times` times. `calls` has every operation
asked, as it was asked: a retry is a call of its own.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_XML = (
    "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>"
    "<RequestId>0</RequestId></ErrorResponse>"
)
_S3_XML = "<Error><Code>{code}</Code><Message>{message}</Message><RequestId>0</RequestId></Error>"
_OF_A_CONNECTION = ("connection", "keep-alive", "transfer-encoding", "content-length", "date", "server")


@dataclass
class _Fault:
    operation: str
    times: int
    code: str = ""
    status: int = 400
    message: str = ""
    body: dict[str, Any] | None = None
    lost: bool = False
    slow_s: float = 0.0


@dataclass
class Faults:
    """What goes wrong at `port`, in the order in which it was asked.

    `calls`: all that came; `done`: what was passed on and is answered; `read_timeout_s`: how long an impatient client waits.
    """

    port: int
    calls: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    read_timeout_s: float = 60.0
    _waiting: list[_Fault] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def client_options(self) -> dict[str, Any]:
        """Keyword arguments of ``boto3.client``."""
        return {
            "endpoint_url": f"http://127.0.0.1:{self.port}",
            "region_name": "us-east-1",
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
        }

    @property
    def impatient_options(self) -> dict[str, Any]:
        """The same, of a client that tries twice only: for what fails in the end."""
        from botocore.config import Config

        config = Config(retries={"total_max_attempts": 2}, read_timeout=self.read_timeout_s)
        return {**self.client_options, "config": config}

    def refuse(
        self, operation: str, code: str, *, status: int = 400, times: int = 1, message: str = "as the test says"
    ) -> None:
        """Answer `operation` with an error, without passing it on."""
        self._waiting.append(_Fault(operation, times, code=code, status=status, message=message))

    def answer(self, operation: str, body: dict[str, Any], *, times: int = 1) -> None:
        """Answer `operation` with `body`, without passing it on."""
        self._waiting.append(_Fault(operation, times, status=200, body=body))

    def lose_answer(self, operation: str, *, times: int = 1) -> None:
        """Pass `operation` on, and break the connection instead of answering."""
        self._waiting.append(_Fault(operation, times, lost=True))

    def slow(self, operation: str, seconds: float, *, times: int = 1) -> None:
        """Pass `operation` on after so long."""
        self._waiting.append(_Fault(operation, times, slow_s=seconds))

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._waiting.clear()

    def take(self, operation: str) -> _Fault | None:
        """The fault that this call meets, None where it meets none."""
        with self._lock:
            self.calls.append(operation)
            for fault in self._waiting:
                if fault.operation == operation and fault.times:
                    fault.times -= 1
                    return fault
        return None


@contextlib.contextmanager
def faults_before(upstream: int, *, read_timeout_s: float = 60.0) -> Iterator[Faults]:
    """A proxy before the server at port `upstream` of 127.0.0.1."""
    server = _Proxy(upstream, read_timeout_s)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.faults
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Proxy(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, upstream: int, read_timeout_s: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.faults = Faults(self.server_port, read_timeout_s=read_timeout_s)
        self.upstream = upstream


class _Handler(BaseHTTPRequestHandler):
    server: _Proxy
    protocol_version = "HTTP/1.1"

    def handle_one_request(self) -> None:
        # A client that gave up is gone.
        with contextlib.suppress(ConnectionResetError):
            super().handle_one_request()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        operation = _operation(self.command, self.path, self.headers, body)
        fault = self.server.faults.take(operation)
        if fault is None or fault.lost or fault.slow_s:
            time.sleep(fault.slow_s if fault else 0)
            status, headers, answer = self._passed_on(body)
            self.server.faults.done.append(operation)
            if fault is None or not fault.lost:
                self._say(status, headers, answer)
            else:
                self.close_connection = True
        elif fault.body is not None:
            self._say(200, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(fault.body).encode())
        elif self.headers.get("X-Amz-Target"):
            said = {"__type": fault.code, "message": fault.message}
            self._say(fault.status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(said).encode())
        elif self.headers.get("smithy-protocol"):
            told = {"Content-Type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}
            self._say(fault.status, told, _cbor({"__type": fault.code, "message": fault.message}))
        else:
            form = _S3_XML if _is_s3(self.headers) else _XML
            said_xml = form.format(code=fault.code, message=fault.message)
            self._say(fault.status, {"Content-Type": "text/xml"}, said_xml.encode())

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def _passed_on(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=60)
        try:
            connection.request(self.command, self.path, body, dict(self.headers.items()))
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def _say(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _OF_A_CONNECTION:
                self.send_header(name, value)
        # The answer to HEAD tells the length of a body that does not come.
        length = next((value for name, value in headers.items() if name.lower() == "content-length"), "0")
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(body)))
        self.end_headers()
        # A client that did not wait is gone.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.wfile.write(b"" if self.command == "HEAD" else body)


def _operation(method: str, path: str, headers: Mapping[str, str], body: bytes) -> str:
    if headers.get("X-Amz-Target"):
        return headers["X-Amz-Target"].rpartition(".")[2]
    if headers.get("smithy-protocol"):
        return path.rpartition("/")[2]
    if not _is_s3(headers):
        return urllib.parse.parse_qs(body.decode(errors="replace")).get("Action", [""])[0]
    asked = set(urllib.parse.parse_qs(urllib.parse.urlsplit(path).query, keep_blank_values=True))
    if "uploadId" in asked or "uploads" in asked:
        parts = {"PUT": "UploadPart", "DELETE": "AbortMultipartUpload", "GET": "ListMultipartUploads"}
        posted = "CompleteMultipartUpload" if "uploadId" in asked else "CreateMultipartUpload"
        return parts.get(method, posted)
    kinds = {"GET": "ListObjectsV2" if "list-type" in asked else "GetObject", "HEAD": "HeadObject", "PUT": "PutObject"}
    return kinds.get(method, "DeleteObject")


def _cbor(texts: Mapping[str, str]) -> bytes:
    """A map of texts (RFC 8949)."""
    found = bytes([0xA0 + len(texts)])
    for text in (each.encode() for pair in texts.items() for each in pair):
        found += b"\x79" + len(text).to_bytes(2, "big") + text
    return found


def _is_s3(headers: Mapping[str, str]) -> bool:
    """S3 has no operations in its requests, but methods and paths; and signs for itself."""
    return "/s3/aws4_request" in headers.get("Authorization", "")
