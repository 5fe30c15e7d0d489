"""Bytes that no document foresees, sent to the gateway: a refusal in its own form, or a closed connection; never a 5xx."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlplatform_tests.gateway.site import ROW, Served, Site

LEAN = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
FULL = settings(LEAN, max_examples=5_000)
HANG_S = 20.0
TYPES = st.sampled_from(["application/json", "text/csv", "text/csv; header=present"])
NUMBER = st.one_of(
    st.integers(), st.floats(), st.sampled_from([10**400, -(10**400), 1e308, 2**63, 2**64, 1e-400]), st.text(max_size=4)
)
SCALAR = st.one_of(st.none(), st.booleans(), NUMBER)
VALUE = st.recursive(
    SCALAR,
    lambda v: st.one_of(st.lists(v, max_size=3), st.dictionaries(st.text(max_size=3), v, max_size=3)),
    max_leaves=5,
)
NAME = st.sampled_from([*ROW, "trading_day", "instances", ""])
JSON_BODY = st.one_of(
    st.dictionaries(NAME, VALUE, max_size=4),
    st.lists(st.dictionaries(NAME, VALUE, max_size=4), max_size=4),
    st.lists(st.one_of(VALUE, st.text(min_size=70, max_size=90)), max_size=4),
    st.fixed_dictionaries({"instances": VALUE}),
    st.fixed_dictionaries(dict.fromkeys(ROW, VALUE)),
).map(lambda content: json.dumps(content).encode())
FIELD = st.sampled_from(
    ["AAPL", "Energy", "1.5", "9" * 400, "1e999", "NaN", '"', '"a"', "", "\0", "é", "ticker_symbol"]
)
CSV_BODY = st.lists(st.lists(FIELD, min_size=1, max_size=5).map(",".join), max_size=4).map("\n".join).map(str.encode)
BODY = st.one_of(JSON_BODY, CSV_BODY, st.binary(max_size=60))
HEADER_NAME = st.sampled_from(
    ["x-request-id", "accept", "x-api-key", "authorization", "x-amzn-sagemaker-target-model",
     "x-amzn-sagemaker-custom-attributes", "content-encoding", "expect", "content-type"]
)  # fmt: skip
HEADER_VALUE = st.binary(max_size=40).map(lambda b: re.sub(rb"[\r\n\0]", b"", b))
PATH = st.sampled_from([b"/predict/open", b"/predict/fraud/rises", b"/invocations", b"/predict/", b"/predict/%00"])
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    site = Site(tmp_path_factory.mktemp("bytes"))
    site.deploy(site.package(), endpoint="stock_prices/open", public=True, max_rows=3, max_body_kib=4)
    site.deploy(site.package(task="binary"), endpoint="fraud/rises", public=True, prediction="rises", keys=[])
    with site.serve() as served:
        yield served
    log = (site.root / "gateway.log").read_text()
    assert "Traceback" not in log, log


def told(served: Served, request: bytes, *, cut_off: bool = False) -> bytes:
    """All that comes back until the gateway closes the connection; with `cut_off` it hears that nothing more will come."""
    host, port = served.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=HANG_S) as connection:
        connection.sendall(request)
        if cut_off:
            connection.shutdown(socket.SHUT_WR)
        parts = []
        try:
            while part := connection.recv(65536):
                parts.append(part)
        except ConnectionResetError:
            pass
    return b"".join(parts)


def check(answer: bytes) -> None:
    found = STATUS.match(answer)
    assert found is not None, answer
    assert int(found[1]) < 500, answer
    assert b"Traceback" not in answer


def request_of(path: bytes, kind: str, body: bytes, headers: list[tuple[str, bytes]]) -> bytes:
    lines = [b"POST " + path + b" HTTP/1.1", b"host: x", b"content-type: " + kind.encode()]
    lines += [name.encode() + b": " + value for name, value in headers]
    lines += [b"content-length: %d" % len(body), b"connection: close"]
    return b"\r\n".join([*lines, b"", body])


def any_body_and_headers(served: Served, path: bytes, kind: str, body: bytes, headers: list[tuple[str, bytes]]) -> None:
    check(told(served, request_of(path, kind, body, headers)))


ARGUMENTS = {
    "path": PATH,
    "kind": TYPES,
    "body": BODY,
    "headers": st.lists(st.tuples(HEADER_NAME, HEADER_VALUE), max_size=3),
}


@LEAN
@given(**ARGUMENTS)  # type: ignore[arg-type]
def test_any_body_under_any_headers_is_answered_or_refused(
    served: Served, path: bytes, kind: str, body: bytes, headers: list[tuple[str, bytes]]
) -> None:
    any_body_and_headers(served, path, kind, body, headers)


@pytest.mark.slow
@FULL
@given(**ARGUMENTS)  # type: ignore[arg-type]
def test_any_body_under_any_headers_is_answered_or_refused_however_often(
    served: Served, path: bytes, kind: str, body: bytes, headers: list[tuple[str, bytes]]
) -> None:
    any_body_and_headers(served, path, kind, body, headers)


@LEAN
@given(st.binary(max_size=200))
def test_bytes_that_are_no_http_are_answered_or_cut_off(served: Served, noise: bytes) -> None:
    answer = told(served, noise + b"\r\n\r\n", cut_off=True)
    if answer:
        check(answer)


@LEAN
@given(BODY, st.integers(min_value=0, max_value=400))
def test_a_request_cut_off_anywhere_leaves_the_gateway_as_it_was(served: Served, body: bytes, at: int) -> None:
    whole = request_of(b"/predict/open", "application/json", body, [])
    told(served, whole[:at], cut_off=True)
    good = json.dumps(ROW).encode()
    answer = told(served, request_of(b"/predict/open", "application/json", good, []))
    assert answer.startswith(b"HTTP/1.1 200 ")
