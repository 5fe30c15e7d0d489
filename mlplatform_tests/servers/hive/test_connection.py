"""Logging on to HiveServer2, and what its errors become: TLS, LDAP, a server that is away, a statement that is stopped."""

from __future__ import annotations

import gc
import signal
import socket
import sys
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.hive_connection import SESSION, HiveConnection
from mlplatform.adapters.warehouse.hive_settings import HiveSettings
from mlplatform.errors import (
    DataError,
    PermissionDeniedError,
    ProfileError,
    TimedOutError,
    UnavailableError,
)
from mlplatform_tests.conformance.interruption import stopped
from mlplatform_tests.servers.hive.server import PASSWORD, USER, Hive
from mlplatform_tests.servers.ports import free_port

HOURS = "SELECT count(*) AS n FROM range(1000000000000) WHERE id % 7 = 3"


def connect(server: Hive, secrets: dict[str, str] | None = None, **settings: Any) -> HiveConnection:
    made = HiveSettings.model_validate({**server.settings, **settings})
    return HiveConnection(made, EnvironmentSecrets(server.secrets if secrets is None else secrets))


@pytest.fixture
def connection(hive_server: Hive) -> Iterator[HiveConnection]:
    found = connect(hive_server)
    yield found
    found.close()


def one(connection: HiveConnection) -> list[dict[str, int]]:
    found: list[dict[str, int]] = connection.read("SELECT 1 AS one").to_pylist()
    return found


def test_a_user_of_the_directory_logs_on_over_tls(connection: HiveConnection) -> None:
    assert connection.read("SELECT current_user() AS name").to_pylist() == [{"name": USER}]


def test_a_wrong_password_is_refused_by_name_and_untold(hive_server: Hive) -> None:
    wrong = connect(hive_server, {"MLPLATFORM_SECRET_HIVE_PASSWORD": "wrong one"})
    with pytest.raises(PermissionDeniedError, match=rf"127\.0\.0\.1:{hive_server.port}.*refused user 'ann'") as error:
        one(wrong)
    assert "wrong one" not in str(error.value)
    with warnings.catch_warnings():
        # The driver leaves the socket of a login that was refused to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        del error
        gc.collect()


def test_a_jdbc_url_in_a_secret_is_all_that_logging_on_takes(hive_server: Hive) -> None:
    url = f"jdbc:hive2://127.0.0.1:{hive_server.port}/sales;ssl=true;user={USER};password={PASSWORD}"
    settings = HiveSettings(url_secret="hive_url", authentication="ldap", ca_file=hive_server.settings["ca_file"])
    found = HiveConnection(settings, EnvironmentSecrets({"MLPLATFORM_SECRET_HIVE_URL": url}))
    assert (found.database, one(found)) == ("sales", [{"one": 1}])
    found.close()


def test_a_certificate_that_nobody_vouches_for_is_refused(hive_server: Hive) -> None:
    with pytest.raises(UnavailableError, match=r"(?i)certificate"):
        one(connect(hive_server, ca_file=None))


def test_a_server_that_is_away_is_unavailable_by_address(hive_server: Hive) -> None:
    port = free_port()
    with pytest.raises(UnavailableError, match=rf"127\.0\.0\.1:{port}"):
        one(connect(hive_server, port=port, ssl=False, authentication="none"))


def test_a_session_that_broke_off_is_opened_again_for_what_only_reads(connection: HiveConnection) -> None:
    one(connection)
    _cut(connection)
    assert one(connection) == [{"one": 1}]
    _cut(connection)
    with pytest.raises(UnavailableError, match="broke off"):
        connection.run("SET x=1")
    connection.run("SET x=1")


def test_a_session_is_in_utc_and_a_cast_that_fails_is_an_error(connection: HiveConnection) -> None:
    for name in (name for name in SESSION if name.startswith("spark.")):
        assert connection.read(f"SET {name}").to_pylist() == [{"key": name, "value": SESSION[name]}]
    found = connection.read("SELECT typeof(CAST('2020-01-01' AS TIMESTAMP)) AS a, current_timezone() AS b").to_pylist()[
        0
    ]
    assert found == {"a": "timestamp_ntz", "b": "UTC"}
    with pytest.raises(DataError, match="CAST_INVALID_INPUT"):
        connection.read("SELECT CAST('x' AS INT) AS a")


def test_a_statement_that_takes_too_long_is_stopped_on_the_server(
    connection: HiveConnection, hive_server: Hive
) -> None:
    with pytest.raises(TimedOutError, match=r"longer than 0\.5 s"):
        connection.read(HOURS, timeout_s=0.5)
    assert one(connection) == [{"one": 1}]
    limited = connect(hive_server, query_timeout_s=0.2)
    with pytest.raises(TimedOutError):
        limited.read(HOURS)
    limited.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_caller_that_is_stopped_stops_the_statement(hive_server: Hive) -> None:
    """A worker that is told to end, or Ctrl-C: the query does not go on behind it."""
    mine = connect(hive_server)
    one(mine)
    begun = time.monotonic()
    with (
        pytest.raises(KeyboardInterrupt),
        stopped(signal.SIGINT, lambda: time.monotonic() > begun + 0.5),
    ):
        mine.read(HOURS)
    gc.collect()
    assert one(mine) == [{"one": 1}]
    mine.close()


def test_a_long_statement_says_that_it_runs(
    connection: HiveConnection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from mlplatform.adapters.warehouse import hive_connection

    monkeypatch.setattr(hive_connection, "_TELL_EVERY_S", 0.2)
    with caplog.at_level("INFO", logger=hive_connection.__name__), pytest.raises(TimedOutError):
        connection.read(HOURS, subject="Rows of a day", timeout_s=4.0)
    assert any(record.message.startswith("Rows of a day: running for") for record in caplog.records)


def test_a_type_that_the_protocol_has_not_is_named(connection: HiveConnection) -> None:
    with pytest.raises(DataError, match="does not carry"):
        connection.read("SELECT INTERVAL 1 DAY AS a")
    assert one(connection) == [{"one": 1}]


def test_without_the_driver_the_install_line_is_the_error(hive_server: Hive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "impala.dbapi", None)
    with pytest.raises(ProfileError, match=r"pip install 'mlplatform\[hive\]'"):
        one(connect(hive_server))


def _cut(connection: HiveConnection) -> None:
    """The network is gone under an open session."""
    transport = connection._connection.service.client._iprot.trans._trans
    # Not as TLS would end it.
    socket.socket.shutdown(transport.handle, socket.SHUT_RDWR)
