"""Tracking on a server of MLflow's: homes that share it, logins, what is refused, what is not there."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mlplatform.adapters.tracking.mlflow_settings import MlflowSettings
from mlplatform.core.packages.manifest import read_package
from mlplatform.errors import NotFoundError, PermissionDeniedError, ProfileError, UnavailableError
from mlplatform.ports.tracking import SelfHosted
from mlplatform_tests.conformance.trackings import MODEL, passed, server_tracking, stage
from mlplatform_tests.servers.mlflow.server import MlflowServer
from mlplatform_tests.servers.ports import free_port


@pytest.fixture
def settings(mlflow_servers: MlflowServer) -> Iterator[MlflowSettings]:
    yield MlflowSettings(server=mlflow_servers.url)
    mlflow_servers.empty()


@pytest.mark.slow
def test_what_one_home_registers_another_one_fetches(
    settings: MlflowSettings, tmp_path: Path, packages: dict[str, Path]
) -> None:
    here, there = server_tracking(settings, tmp_path / "a"), server_tracking(settings, tmp_path / "b")
    digest = stage(here, packages)
    here.register(MODEL, digest, verdict=passed(digest))
    assert [v.digest for v in there.versions(MODEL)] == [digest]
    assert read_package(there.package(MODEL, digest), digest=digest).model == MODEL
    assert stage(there, packages) == digest
    assert there.register(MODEL, digest, verdict=passed(digest)).version == 1


@pytest.mark.slow
def test_a_home_closes_what_its_killed_process_left_and_nothing_of_another_home(
    settings: MlflowSettings, tmp_path: Path, packages: dict[str, Path]
) -> None:
    here, there = server_tracking(settings, tmp_path / "a"), server_tracking(settings, tmp_path / "b")
    stage(here, packages)
    client = here._client
    experiment = client.get_experiment_by_name("stock_prices").experiment_id
    left = client.create_run(experiment, tags=dict(here._own_tags)).info.run_id
    stage(there, packages, 1)
    assert client.get_run(left).info.status == "RUNNING"
    stage(here, packages, 2)
    assert client.get_run(left).info.status == "KILLED"


@pytest.mark.slow
def test_pages_are_the_servers_own(settings: MlflowSettings, tmp_path: Path, packages: dict[str, Path]) -> None:
    tracking = server_tracking(settings, tmp_path)
    assert not isinstance(tracking, SelfHosted)
    digest, package = next(iter(packages.items()))
    run = tracking.stage(_run(package), model=MODEL, digest=digest)
    assert run.run_url.startswith(f"{settings.server}/#/experiments/")


def test_a_server_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(
        UnavailableError, match=f"listing versions of 'a' at '{url}'.*Start it again when the server answers"
    ):
        server_tracking(MlflowSettings(server=url), tmp_path).versions("a")


@pytest.mark.parametrize(
    ("login", "secrets", "sent"),
    [
        ({"token_secret": "mlflow"}, {"mlflow": "t0p"}, "Bearer t0p"),
        (
            {"user": "ann", "password_secret": "mlflow"},
            {"mlflow": "t0p"},
            f"Basic {base64.b64encode(b'ann:t0p').decode()}",
        ),
    ],
)
def test_requests_bear_the_login_and_a_refusal_tells_no_secret(
    tmp_path: Path, login: dict[str, str], secrets: dict[str, str], sent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_AUTH", "")
    with _Refusing() as server, pytest.raises(PermissionDeniedError) as refused:
        server_tracking(MlflowSettings(server=server.url, **login), tmp_path, **secrets).versions("a")
    assert server.seen == [sent]
    assert "t0p" not in str(refused.value)
    assert "Check the login of the tracking connection" in str(refused.value)


def test_a_missing_secret_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_AUTH", "")
    settings = MlflowSettings(server="http://127.0.0.1:1", token_secret="mlflow_token")
    with pytest.raises(NotFoundError, match="no secret 'mlflow_token'"):
        server_tracking(settings, tmp_path).versions("a")


def test_what_is_no_mlflow_server_is_a_wrong_address(tmp_path: Path) -> None:
    with _Refusing(404) as server, pytest.raises(ProfileError, match="has to be that of an MLflow server of version 3"):
        server_tracking(MlflowSettings(server=server.url), tmp_path).versions("a")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"server": "mlflow.example.org"}, r"expected http\(s\)://host"),
        ({"server": "https://ann:t0p@mlflow.example.org"}, "without user and password"),
        (
            {"server": "arn:aws:sagemaker:eu-central-1:111122223333:endpoint/a"},
            "or the ARN of an mlflow-tracking-server",
        ),
        ({"server": "https://mlflow.example.org", "user": "ann"}, "user and password_secret together"),
        ({"token_secret": "a"}, "a login is for a server at a URL"),
    ],
)
def test_settings_that_fit_no_server_are_refused(given: dict[str, str], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        MlflowSettings.model_validate(given)


def _run(package: Path) -> Any:
    from mlplatform.ports.tracking import TrackedRun

    return TrackedRun("stock_prices", "job", {}, {}, {}, package)


class _Refusing:
    """A server that refuses all, and remembers who asked."""

    def __init__(self, status: int = 401) -> None:
        self.seen: list[str] = []
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append(self.headers.get("Authorization", ""))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> _Refusing:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
