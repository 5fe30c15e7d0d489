"""What the gateway refuses, and what it says."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from mlplatform.gateway.refusal import FIELDS
from mlplatform_tests.gateway.site import ROW, Served, Site
from mlplatform_tests.serving.until import until


def error(answer: httpx.Response) -> dict[str, Any]:
    """The error in an answer, whose request id is that of the header."""
    found: dict[str, Any] = answer.json()["error"]
    assert set(found) == {"code", "message", "next_step", "request_id"}
    assert found["request_id"] == answer.headers["x-request-id"]
    assert found["next_step"]
    return found


@pytest.mark.parametrize(
    ("body", "message", "next_step"),
    [
        ("{", "The body is not readable as JSON: Input data was truncated.", FIELDS),
        (
            '{"change": NaN}',
            "The body is not readable as JSON: JSON is malformed: invalid character (byte 11).",
            FIELDS,
        ),
        ("[]", "The request has no rows; expected 1 to 1000.", FIELDS),
        ("[1]", "Row 1: expected an object with ticker_symbol, sector, change, trading_day, found 1.", FIELDS),
        (
            '{"ticker_symbol":"AAPL","sector":"Energy","chnage":1}',
            "Row 1: there is no field 'chnage'; there are: ticker_symbol, sector, change, trading_day.",
            "Did you mean 'change'?",
        ),
        (
            '[{"ticker_symbol":"AAPL","sector":"Energy"},{"ticker_symbol":"AAPL","sector":"Energy","change":"x"}]',
            "Row 2, field 'change': expected a number, found the text 'x'.",
            FIELDS,
        ),
        (
            '{"ticker_symbol":"AAPL","change":1}',
            "Row 1, field 'sector': expected text, found nothing.",
            "Send a value.",
        ),
        (
            '{"ticker_symbol":"AAPL","sector":"Energy","change":2000}',
            "Row 1, field 'change': expected a finite number from -1000 to 1000, found 2000.",
            FIELDS,
        ),
    ],
)
def test_a_row_that_does_not_fit_is_refused(client: httpx.Client, body: str, message: str, next_step: str) -> None:
    answer = client.post("/predict/prices", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    found = error(answer)
    assert (found["code"], found["message"], found["next_step"]) == ("data_error", message, next_step)


def test_an_unseen_category_is_refused_where_the_signature_says_so(client: httpx.Client) -> None:
    answer = client.post("/predict/prices", json={**ROW, "sector": "Mining"})
    assert answer.status_code == 400
    assert error(answer)["message"].startswith("Row 1, field 'sector': expected one of the 3 known values")


def test_an_unknown_endpoint_is_answered_with_those_there_are(client: httpx.Client) -> None:
    answer = client.post("/predict/price", json=ROW)
    assert answer.status_code == 404
    found = error(answer)
    assert found["message"] == "No endpoint 'price' is served; there are: open, prices, rises, small."
    assert found["next_step"] == "Correct the route; the routes are at /schema."


def test_another_route_points_to_the_docs(client: httpx.Client) -> None:
    answer = client.get("/predictions")
    assert answer.status_code == 404
    found = error(answer)
    assert (found["message"], found["next_step"]) == (
        "There is no GET /predictions here.",
        "The routes are at /schema.",
    )


def test_another_method_is_refused(client: httpx.Client) -> None:
    answer = client.get("/predict/prices")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert error(answer)["message"] == "/predict/prices takes POST, found GET."


@pytest.mark.parametrize("content_type", ["text/plain", "application/json; charset=latin-1", None])
def test_an_unknown_content_type_is_refused(client: httpx.Client, content_type: str | None) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = client.post("/predict/prices", content=b"{}", headers=headers)
    assert answer.status_code == 415
    assert error(answer)["code"] == "unsupported_content_type_error"


def test_too_many_rows_are_refused(client: httpx.Client) -> None:
    answer = client.post("/predict/small", json=[{"sector": "Energy"}] * 4)
    assert answer.status_code == 400
    assert error(answer)["message"] == "The request has 4 rows; expected at most 3."


def test_a_body_of_10_mib_is_refused_and_the_connection_lives(client: httpx.Client) -> None:
    answer = client.post(
        "/predict/small", content=b"x" * 10 * 1024 * 1024, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413
    assert error(answer)["message"] == "The body: expected at most 1024 bytes, found 10485760 bytes."
    assert client.post("/predict/small", json=ROW).status_code == 200


def test_a_body_is_refused_by_its_declared_length_before_it_is_sent(served: Served) -> None:
    with _connected(served) as raw:
        raw.sendall(_head("small", "content-length: 104857600"))
        answer = raw.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close" in answer.lower()


def test_a_chunked_body_is_refused_once_it_is_too_large(served: Served) -> None:
    with _connected(served) as raw:
        raw.sendall(_head("small", "transfer-encoding: chunked") + b"800\r\n" + b"x" * 0x800 + b"\r\n")
        assert raw.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_request_id_that_is_no_token_is_refused(client: httpx.Client) -> None:
    answer = client.post("/predict/open", json=ROW, headers={"x-request-id": "x" * 129})
    assert answer.status_code == 400
    assert (
        error(answer)["message"] == "Header x-request-id: expected 1 to 128 visible ASCII characters, found 129 bytes."
    )


def test_a_request_without_a_key_is_refused(served: Served) -> None:
    with served.client() as client:
        answer = client.post("/predict/prices", json=ROW)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        assert error(answer)["next_step"] == "Send 'Authorization: Bearer <key>' or 'X-Api-Key: <key>'."
        assert client.post("/predict/open", json=ROW).status_code == 200


def test_a_key_of_another_endpoint_does_not_open_this_one(served: Served, shared_site: Site) -> None:
    with served.client(shared_site.key("stock_prices/small")) as client:
        answer = client.post("/predict/prices", json=ROW)
    assert answer.status_code == 401
    assert "not valid for endpoint 'prices'" in error(answer)["message"]


def test_keys_are_rotated_without_a_gap(served: Served, shared_site: Site) -> None:
    now = datetime.now(UTC)
    old_token, old = shared_site.keys.create("stock_prices/prices", label="old", now=now)
    with served.client(old_token) as before:
        assert before.post("/predict/prices", json=ROW).status_code == 200
        new_token, _ = shared_site.keys.create("*", label="new", now=now)
        with served.client() as after:
            headers = {"x-api-key": new_token}
            assert after.post("/predict/prices", json=ROW, headers=headers).status_code == 200
            assert before.post("/predict/prices", json=ROW).status_code == 200
            shared_site.keys.revoke(old.id, now=datetime.now(UTC))
            until(lambda: before.post("/predict/prices", json=ROW).status_code == 401)
            assert after.post("/predict/prices", json=ROW, headers=headers).status_code == 200


def test_an_expired_key_is_refused(served: Served, shared_site: Site) -> None:
    now = datetime.now(UTC)
    token, _ = shared_site.keys.create(
        "*", label="old", now=now - timedelta(days=2), expires_at=now - timedelta(days=1)
    )
    with served.client(token) as client:
        assert client.post("/predict/prices", json=ROW).status_code == 401


def test_no_token_is_stored(shared_site: Site) -> None:
    token = shared_site.key()
    stored = b"".join(path.read_bytes() for path in shared_site.root.glob("items.sqlite*"))
    assert token.encode() not in stored
    assert token not in (shared_site.root / "gateway.log").read_text()


def _connected(served: Served) -> socket.socket:
    host, port = served.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def _head(endpoint: str, *headers: str) -> bytes:
    lines = [f"POST /predict/{endpoint} HTTP/1.1", "host: x", "content-type: application/json", *headers, "", ""]
    return "\r\n".join(lines).encode()
