"""The stand-in over HTTP: fakesnow's routes, with logins, locks, cancelling and requests asked twice as Snowflake has them.

Below ``/stand-in/`` tests see what was sent, and say what shall go wrong.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

import fakesnow.server as fake
from stand_in.accounts import Accounts
from stand_in.sessions import Locks, Session, written_table
from stand_in.translation import refusal
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def make_app(accounts: Accounts) -> Starlette:
    """The server's application."""
    stand_in = StandIn(accounts)
    mine = [
        Route("/session/v1/login-request", stand_in.login, methods=["POST"]),
        Route("/queries/v1/query-request", stand_in.query, methods=["POST"]),
        Route("/queries/v1/abort-request", stand_in.abort, methods=["POST"]),
        Route("/session", stand_in.session, methods=["POST"]),
        Route("/telemetry/send", lambda _: JSONResponse({"success": True}), methods=["POST"]),
        Route("/stand-in/seen", stand_in.seen, methods=["GET"]),
        Route("/stand-in/faults", stand_in.plan_fault, methods=["POST"]),
    ]
    taken = {route.path for route in mine}
    return Starlette(routes=[*mine, *(route for route in fake.routes if route.path not in taken)])


class StandIn:
    """All that is between clients and fakesnow."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._sessions: dict[str, Session] = {}
        self._locks = Locks()
        self._ddl = asyncio.Lock()
        self._running: dict[str, Session] = {}
        self._answers: dict[str, Response] = {}
        self._statements: list[dict[str, Any]] = []
        self._logins: list[dict[str, Any]] = []
        self._faults: list[dict[str, Any]] = []
        self._away = False

    async def login(self, request: Request) -> Response:
        if self._away:
            return Response(status_code=503)
        data = (await _body(request))["data"]
        if (refused := self._accounts.refusal(data)) is not None:
            return _failed(*refused)
        answer = json.loads(bytes((await fake.login_request(request)).body))
        token = answer["data"]["token"]
        # Without one the driver never ends its session.
        answer["data"]["masterToken"] = f"master of {token}"
        role = request.query_params.get("roleName", "")
        self._sessions[token] = Session(fake.sessions[token], role.upper())
        told = {key: value for key, value in data.items() if key not in ("PASSWORD", "TOKEN")}
        self._logins.append({**dict(request.query_params), **told})
        return JSONResponse(answer)

    async def query(self, request: Request) -> Response:
        body, request_id = await _body(request), request.query_params["requestId"]
        if self._away:
            return Response(status_code=503)
        if request_id in self._answers:
            return self._answers[request_id]
        session = self._sessions.get(fake.to_token(request))
        if session is None:
            return _gone()
        sql: str = body["sqlText"]
        self._statements.append({"sql": sql, "parameters": body.get("parameters") or {}})
        if (broken := await self._fault("before", sql, request)) is not None:
            return broken
        answer = await self._run(session, sql, body, request)
        if any(f["do"] == "lose_rows" and sql.startswith(f["begins"]) for f in self._faults):
            self._faults.clear()
            told = json.loads(bytes(answer.body))
            told["data"]["total"] += 1
            return JSONResponse(told)
        if (broken := await self._fault("after", sql, request)) is not None:
            return broken
        self._answers[request_id] = answer
        return answer

    async def _run(self, session: Session, sql: str, body: dict[str, Any], request: Request) -> Response:
        if (why := refusal(sql, role=session.role, in_transaction=session.in_transaction)) is not None:
            return _failed(f"{why.errno:06d}", str(why.msg), str(why.sqlstate))
        table = written_table(sql)
        if table is not None and not await self._locks.take(table, session, 60):
            return _failed(
                "000625", "aborted because the number of waiters for this lock exceeds the 20 limit", "57014"
            )
        request_id, parameters = request.query_params["requestId"], body.get("parameters") or {}
        self._running[request_id] = session
        session.running += 1
        limit_s = int(parameters.get("STATEMENT_TIMEOUT_IN_SECONDS") or 0)
        timer = asyncio.get_running_loop().call_later(limit_s, session.interrupt) if limit_s else None
        word = sql.strip().partition(" ")[0].upper()
        try:
            sent = _with_body(request, {**body, "sqlText": session.translated(sql)})
            if word in ("CREATE", "ALTER", "DROP"):
                async with self._ddl:
                    answer = await fake.query_request(sent)
            else:
                answer = await fake.query_request(sent)
        finally:
            del self._running[request_id]
            session.answered()
            if timer is not None:
                timer.cancel()
        if answer.status_code == 200 and json.loads(bytes(answer.body))["success"]:
            session.noted(sql)
        if not session.in_transaction:
            self._locks.release(session)
        return answer

    async def abort(self, request: Request) -> Response:
        request_id = (await _body(request))["requestId"]
        # DuckDB forgets an interrupt that comes before its statement has begun.
        while (session := self._running.get(request_id)) is not None:
            session.interrupt()
            await asyncio.sleep(0.02)
        return JSONResponse({"success": True})

    async def session(self, request: Request) -> Response:
        token = fake.to_token(request)
        if request.query_params.get("delete") and token in self._sessions:
            await self._end(token)
        return await fake.session(request)

    async def _end(self, token: str) -> None:
        session = self._sessions.pop(token)
        session.end()
        self._locks.release(session)

    async def seen(self, request: Request) -> Response:
        return JSONResponse({"statements": self._statements, "logins": self._logins, "running": len(self._running)})

    async def plan_fault(self, request: Request) -> Response:
        """``{"begins", "when": "before" | "after", "do": "end" | "away" | "refuse" | "hold" | "slow" | "lose_rows", "seconds", "times", "code", "message", "state"}``;
        ``{"do": "idle", "seconds"}`` (see `Locks`); ``{"do": "none"}``, which ends all of them."""
        fault = await _body(request)
        if fault["do"] == "none":
            self._faults.clear()
            self._away, self._locks.idle_s = False, None
        elif fault["do"] == "idle":
            self._locks.idle_s = fault["seconds"]
        else:
            self._faults.append(fault)
        return JSONResponse({})

    async def _fault(self, when: str, sql: str, request: Request) -> Response | None:
        for fault in self._faults:
            if fault["when"] == when and fault["do"] != "lose_rows" and sql.startswith(fault["begins"]):
                fault["times"] = fault.get("times", 1) - 1
                if fault["times"] <= 0:
                    self._faults.remove(fault)
                if fault["do"] == "hold":
                    while not await request.is_disconnected():
                        await asyncio.sleep(0.01)
                    return _gone()
                if fault["do"] == "slow":
                    await asyncio.sleep(fault["seconds"])
                    return None
                if fault["do"] == "refuse":
                    return _failed(fault["code"], fault["message"], fault["state"])
                await self._end(fake.to_token(request))
                if fault["do"] == "away":
                    self._away = True
                    return Response(status_code=503)
                return _gone()
        return None


def _gone() -> Response:
    return _failed("390104", "User must login again to access the service.")


def _failed(code: str, message: str, state: str | None = None) -> Response:
    data = {"errorCode": code, "sqlState": state}
    return JSONResponse({"data": data, "code": code, "message": message, "success": False})


async def _body(request: Request) -> dict[str, Any]:
    data = await request.body()
    if request.headers.get("Content-Encoding") == "gzip":
        data = gzip.decompress(data)
    found: dict[str, Any] = json.loads(data)
    return found


def _with_body(request: Request, body: dict[str, Any]) -> Request:
    data = json.dumps(body).encode()
    headers = [(name, value) for name, value in request.scope["headers"] if name != b"content-encoding"]

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": data, "more_body": False}

    return Request({**request.scope, "headers": headers}, receive)
