"""The stand-in's HTTP side: requests to operations, and ``POST /_admin/<call>``, by which a test asks for accounts and faults."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from mlplatform_tests.servers.aws_protocol.messages import Asked, answered, asked, refused
from mlplatform_tests.servers.aws_protocol.rest import answered_rest, asked_rest, refused_rest
from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError
from mlplatform_tests.servers.sagemaker import scaling
from mlplatform_tests.servers.sagemaker.account import Account
from mlplatform_tests.servers.sagemaker.operations import CONTROL, RESUME, RUNTIME

ADMIN = "/_admin/"
ROLE = "/_role/"


class App(ThreadingHTTPServer):
    """Accounts by access key; one that nobody opened has a folder below `folder`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, folder: Path, environment: Mapping[str, str]) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self._folder = folder
        self._environment = dict(environment)
        self._accounts: dict[str, Account] = {}
        self._lock = threading.Lock()

    def account(self, key: str, folder: str = "") -> Account:
        """The account, opened if need be."""
        with self._lock:
            if key not in self._accounts or folder:
                place = Path(folder) if folder else self._folder / key
                account = Account(key, place, f"http://127.0.0.1:{self.server_port}", self._environment)
                for settle in RESUME:
                    settle(account)
                self._accounts[key] = account
            return self._accounts[key]

    def done(self, request: Asked) -> dict[str, Any]:
        """The answer to a request. Raises AwsRefusedError."""
        account = self.account(request.access_key)
        account.faults.meet(request.operation)
        table = _TABLES[request.service]
        if request.operation not in table:
            raise AwsRefusedError("UnknownOperationException", f"The stand-in has no {request.operation}.")
        return table[request.operation](account, dict(request.parameters))

    def administered(self, call: str, given: dict[str, Any]) -> Any:
        """What a test asks for: an account with a folder, or a method of its faults."""
        key = given.pop("account")
        if call == "open":
            self.account(key, given["folder"])
            return {}
        if call == "calls":
            return {"calls": self.account(key).faults.calls}
        getattr(self.account(key).faults, call)(**given)
        return {}


class Handler(BaseHTTPRequestHandler):
    server: App
    protocol_version = "HTTP/1.1"
    # Head and body in one packet: the second would wait for the first one's receipt.
    wbufsize = -1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers: Any = self.headers
        if self.path.startswith(ADMIN):
            found = self.server.administered(self.path.removeprefix(ADMIN), json.loads(body))
            self._say(200, {}, json.dumps(found).encode())
        elif "X-Amz-Target" in headers:
            try:
                request = asked(headers, body, _JSON_SERVICES)
                self._say(200, _JSON, answered(request, self.server.done(request)))
            except AwsRefusedError as error:
                self._say(error.status, _JSON, refused("sagemaker", error))
        else:
            try:
                request = asked_rest("sagemaker-runtime", self.command, self.path, headers, body)
                self._say(*answered_rest(request, self.server.done(request)))
            except AwsRefusedError as error:
                self._say(*refused_rest(error))

    def do_GET(self) -> None:
        """Credentials of the role of an account's jobs, as containers on AWS ask for them."""
        key = self.path.removeprefix(ROLE)
        found = {"AccessKeyId": key, "SecretAccessKey": "test", "Token": "role", "Expiration": "2100-01-01T00:00:00Z"}
        self._say(200, {"Content-Type": "application/json"}, json.dumps(found).encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: who wants to know what was asked reads `calls`."""

    def _say(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        # A client that did not wait is gone.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()


_TABLES = {"sagemaker": CONTROL, "sagemaker-runtime": RUNTIME, "application-autoscaling": scaling.OPERATIONS}
_JSON_SERVICES = ("sagemaker", "application-autoscaling")
_JSON = {"Content-Type": "application/x-amz-json-1.1"}
