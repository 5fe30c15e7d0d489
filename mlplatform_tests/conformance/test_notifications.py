"""What is Apprise's alone in the notifications: several targets, with a real web hook as one of them."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.notifications.apprise import AppriseNotifications
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.errors import UnavailableError
from mlplatform.ports.notifications import Notification

PASSWORD = "hunter2-of-the-hook"
FIRST = Notification("prices/drift/1", "drift", "prices", "Drift", "change moved")
SECOND = Notification("prices/drift/2", "failure", "prices", "Failure", "a run failed")


@dataclass
class Hook:
    """A web hook: what it got, and the status it answers with."""

    port: int = 0
    status: int = 200
    got: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"json://bot:{PASSWORD}@127.0.0.1:{self.port}/notify"


@pytest.fixture
def hook() -> Iterator[Hook]:
    state = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if state.status == 200:
                state.got.append(body)
            self.send_response(state.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


Open = Callable[..., AppriseNotifications]


@pytest.fixture
def open_notifications(tmp_path: Path, hook: Hook) -> Open:
    """Another instance on the same state, as another process opens it."""

    def opened(**settings: Any) -> AppriseNotifications:
        secrets = EnvironmentSecrets({"MLPLATFORM_SECRET_TEAM_HOOK": hook.url})
        return AppriseNotifications(
            SqliteItemStore(tmp_path / "items.sqlite"),
            secrets,
            **{"log": tmp_path / "logs" / "notifications.jsonl", "targets": ["team_hook"], **settings},
        )

    return opened


def lines(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "logs" / "notifications.jsonl").read_text().splitlines()]


def test_a_notification_reaches_every_target(
    open_notifications: Open, hook: Hook, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert open_notifications().send(FIRST) is True
    (line,) = lines(tmp_path)
    assert {k: line[k] for k in ("key", "kind", "system", "title", "body")} == {
        "key": "prices/drift/1",
        "kind": "drift",
        "system": "prices",
        "title": "Drift",
        "body": "change moved",
    }
    assert [(g["title"], g["message"], g["type"]) for g in hook.got] == [("Drift", "change moved", "warning")]
    assert capsys.readouterr().err == "[drift] Drift\nchange moved\n"


def test_a_target_that_was_away_gets_it_with_the_next_one(open_notifications: Open, hook: Hook, tmp_path: Path) -> None:
    hook.status = 503
    assert open_notifications().send(FIRST) is True
    assert hook.got == []
    hook.status = 200
    assert open_notifications().send(SECOND) is True
    assert [g["title"] for g in hook.got] == ["Drift", "Failure"]
    assert open_notifications().send(Notification("3", "info", "prices", "Third", "")) is True
    assert [g["title"] for g in hook.got] == ["Drift", "Failure", "Third"]
    assert len(lines(tmp_path)) == 3


def test_where_no_target_takes_it_the_error_says_so_and_it_can_be_sent_again(
    open_notifications: Open, hook: Hook, tmp_path: Path
) -> None:
    hook.status = 500
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    nowhere = open_notifications(log=blocked / "notifications.jsonl", console=False)
    with pytest.raises(UnavailableError, match="'prices/drift/1' reached none of: file, team_hook"):
        nowhere.send(FIRST)
    hook.status = 200
    assert open_notifications().send(FIRST) is True


@pytest.mark.parametrize("status", [200, 403])
def test_no_credential_is_written_anywhere(
    open_notifications: Open,
    hook: Hook,
    status: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    hook.status = status
    caplog.set_level(logging.DEBUG)
    open_notifications(targets=["team_hook", "missing_hook"]).send(FIRST)
    seen = capsys.readouterr()
    written = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    assert PASSWORD not in seen.out + seen.err + caplog.text
    assert PASSWORD.encode() not in written
    assert "did not reach target 'missing_hook'" in caplog.text
