"""What the page on the gateway as a Lambda shows works as it says: its package alone answers calls."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from mlplatform_tests.conformance.endpoint_places import IMAGES, ROLE
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.docs.walkthrough import blocks
from mlplatform_tests.gateway.lambda_site import LambdaSite
from mlplatform_tests.gateway.site import ROW
from mlplatform_tests.packages import make_package
from mlplatform_tests.servers.ministack.functions import ACCOUNT
from mlplatform_tests.servers.ministack.functions import ROLE as FUNCTION_ROLE
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_server
from mlplatform_tests.servers.sagemaker.server import SageMaker

__all__ = ["ministack_server", "sagemaker_server"]

ROOT = Path(__file__).parents[2]
PAGE = {b.title: b for b in blocks(ROOT / "docs" / "how-to" / "lambda.md")}
MOST_BYTES = 250 * 1024 * 1024
"""What Lambda takes, unpacked (https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html)."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive that the page's commands make."""
    folder = tmp_path_factory.mktemp("package")
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "VIRTUAL_ENV": sys.prefix,
        "UV_NO_BUILD_ISOLATION": "1",
    }
    for command, _ in PAGE["package"].commands:
        line = command.replace("build/", f"{folder}/")
        subprocess.run(["/bin/sh", "-ec", line], cwd=ROOT, env=env, check=True, capture_output=True, timeout=300)
    size = sum(path.stat().st_size for path in (folder / "lambda").rglob("*") if path.is_file())
    assert size < MOST_BYTES * 3 / 4
    return folder / "lambda.zip"


@pytest.fixture
def site(ministack_server: Ministack, sagemaker_server: SageMaker, tmp_path: Path) -> Iterator[LambdaSite]:
    digest = make_package(tmp_path / "package")
    found = LambdaSite(ministack_server, sagemaker_server, tmp_path, {digest: tmp_path / "package"})
    found.deploy(1, digest, public=True)
    yield found
    found.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_package_the_function_and_the_api_that_are_shown_answer_a_call(
    site: LambdaSite, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**site.account.env, "AWS_ACCESS_KEY_ID": "test"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    variables = {
        **{name: value for name, value in site.variables.items() if name != "MLPLATFORM_PROFILE"},
        "MLPLATFORM_BUCKET": site.name,
        "MLPLATFORM_PREFIX": "lake",
        "MLPLATFORM_TABLE": site.name,
        "MLPLATFORM_SERVING_ROLE": ROLE,
        "MLPLATFORM_SERVING_IMAGE": f"{IMAGES}/serve:1",
        "MLPLATFORM_SERVING_NAMES": site.name[:15],
    }
    names: dict[str, Any] = {
        "archive": str(archive),
        "bucket": site.name,
        "name": site.name,
        "role_arn": FUNCTION_ROLE,
        "account": ACCOUNT,
        "variables": variables,
    }
    exec(PAGE["function"].text, names)  # noqa: S102 - the page's own code
    exec(PAGE["api"].text, names)  # noqa: S102 - the page's own code
    try:
        names["functions"].get_waiter("function_active_v2").wait(FunctionName=site.name)
        url = f"{site.ministack.endpoint_url}/_aws/execute-api/{names['api']['ApiId']}/$default"
        with httpx.Client(base_url=url, timeout=60) as client:
            answer = client.post("/predict/prices", json=ROW)
            assert answer.status_code == 200, answer.text
            assert answer.json()["model"]["generation"] == 1
            assert client.get("/schema/openapi.json").status_code == 200
        assert len(site.captured()) == 1
    finally:
        names["functions"].delete_function(FunctionName=site.name)
