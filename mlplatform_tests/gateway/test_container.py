"""The serving container as SageMaker runs it: a process that finds its model and its port in the environment."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from mlplatform.core.rollout.variables import as_variables
from mlplatform.ports.endpoints import Deployment
from mlplatform_tests.gateway.site import ROW, spec
from mlplatform_tests.packages import make_package
from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.servers.process import listens, running

COMMAND = [sys.executable, "-m", "mlplatform.gateway.container", "serve", "--host", "127.0.0.1"]


def record(digest: str, **settings: Any) -> dict[str, str]:
    """The variables of generation 7, version 3."""
    deployment = Deployment(
        endpoint="stock_prices/prices",
        generation=7,
        model="stock_prices.stock_model",
        version=3,
        digest=digest,
        reason="test",
        run_id="",
        created_at="2026-01-02T03:04:05+00:00",
        settings=spec(**settings).model_dump(mode="json"),
    )
    return as_variables(json.dumps(deployment.to_json()))


@contextmanager
def container(package: Path, log: Path, env: dict[str, str]) -> Iterator[tuple[httpx.Client, subprocess.Popen[bytes]]]:
    port = free_port()
    variables = {"PATH": "/usr/bin:/bin", "SM_MODEL_DIR": str(package), "SAGEMAKER_BIND_TO_PORT": str(port), **env}
    with (
        running(COMMAND, ready=lambda: listens(port), log=log, env=variables) as process,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        yield client, process


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("container") / "model"
    return folder, make_package(folder)


@pytest.fixture(scope="module")
def client(package: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder, digest = package
    with container(folder, tmp_path_factory.mktemp("log") / "log", record(digest)) as (found, _):
        yield found


def test_ping_is_empty_and_a_transform_is_advised(client: httpx.Client) -> None:
    assert (client.get("/ping").status_code, client.get("/ping").content) == (200, b"")
    advice = client.get("/execution-parameters").json()
    assert advice == {"MaxConcurrentTransforms": 4, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}
    assert client.get("/models").status_code == 404


def test_a_call_is_answered_as_the_gateway_would(client: httpx.Client) -> None:
    headers = {"X-Amzn-SageMaker-Inference-Id": "req-1", "X-Amzn-SageMaker-Custom-Attributes": "run=9"}
    answer = client.post("/invocations", json={"instances": [ROW, {**ROW, "change": -1.0}]}, headers=headers)
    found = answer.json()
    assert found["model"] == {"name": "stock_prices.stock_model", "version": 3, "generation": 7}
    assert found["inference_id"].startswith("prices.g7.main.")
    first, second = (row["price"] for row in found["predictions"])
    assert 80 < second < first < 120
    assert answer.headers["x-amzn-sagemaker-custom-attributes"] == "run=9"
    again = client.post("/invocations", json={"instances": [ROW, {**ROW, "change": -1.0}]}, headers=headers)
    assert again.json() == found


def test_csv_in_and_out(client: httpx.Client) -> None:
    # Without a header: the features in the signature's order, then the keys.
    answer = client.post(
        "/invocations",
        content=b"AAPL,Information Technology,1.5,2026-01-02\n",
        headers={"Content-Type": "text/csv", "Accept": "text/csv"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/csv")
    alone = client.post("/invocations", json=ROW).json()["predictions"][0]["price"]
    names, values = answer.text.splitlines()
    assert names == "price,flags"
    assert float(values.partition(",")[0]) == pytest.approx(alone)


def test_what_does_not_fit_is_refused_with_the_field(client: httpx.Client) -> None:
    answer = client.post("/invocations", json={**ROW, "change": "much"})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "data_error"
    assert "change" in answer.json()["error"]["message"]
    assert client.post("/invocations", content=b"x", headers={"Content-Type": "image/png"}).status_code == 415
    assert client.get("/invocations").status_code == 405


def test_without_a_record_it_serves_as_the_model_is_called(package: tuple[Path, str], tmp_path: Path) -> None:
    with container(package[0], tmp_path / "log", {}) as (client, process):
        found = client.post("/invocations", json=ROW).json()
        assert found["inference_id"].startswith("stock_model.g1.main.")
        assert sorted(found["predictions"][0]) == ["flags", "prediction"]
        process.terminate()
        assert process.wait(90) == 0


@pytest.mark.parametrize(
    ("env", "code", "message"),
    [
        ({"SM_MODEL_DIR": ""}, 4, "Environment variable SM_MODEL_DIR is not set"),
        ({"SAGEMAKER_BIND_TO_PORT": "http"}, 4, "SAGEMAKER_BIND_TO_PORT: expected a port, found 'http'"),
        ({"SM_MODEL_DIR": "/nowhere"}, 12, "no readable model package at '/nowhere'"),
        ({"MLPLATFORM_DEPLOYMENT_1": "{"}, 12, "The deployment record in the environment is damaged"),
        (record("0" * 64), 12, "has digest"),
    ],
)
def test_what_cannot_be_served_ends_with_the_reason(
    package: tuple[Path, str], env: dict[str, str], code: int, message: str
) -> None:
    variables = {"PATH": "/usr/bin:/bin", "SM_MODEL_DIR": str(package[0]), "SAGEMAKER_BIND_TO_PORT": "1", **env}
    done = subprocess.run(COMMAND, env=variables, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code
    assert message in done.stderr


def test_it_needs_no_package_that_its_image_does_not_have(package: tuple[Path, str]) -> None:
    # The program in this environment, where these cannot be imported.
    code = (
        "import pathlib, sys\n"
        "for name in ('anyio', 'boto3', 'dagster', 'httpx', 'litestar', 'pandas', 'psutil', 'pyarrow', 'sqlglot', 'yaml'):\n"
        "    sys.modules[name] = None\n"
        "from mlplatform.adapters.runtimes import PackageRuntimes\n"
        "from mlplatform.gateway.container import Container, load\n"
        "Container(load(pathlib.Path(sys.argv[1]), {}, PackageRuntimes()))\n"
        "print('served')\n"
    )
    command = [sys.executable, "-c", code, str(package[0])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "served\n", done.stderr
