"""The stand-in as fixtures: one server a session, an account a test whose folder is the test's own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMaker, SageMakerAccount, sagemaker
from mlplatform_tests.servers.sagemaker.serving import Serving


@pytest.fixture(scope="session")
def sagemaker_server(ministack_server: Ministack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SageMaker]:
    with sagemaker(tmp_path_factory.mktemp("sagemaker"), ministack_server.endpoint_url) as server:
        yield server


@pytest.fixture
def sagemaker_account(sagemaker_server: SageMaker, tmp_path: Path) -> SageMakerAccount:
    return sagemaker_server.account(tmp_path)


@pytest.fixture
def serving(sagemaker_account: SageMakerAccount, ministack_server: Ministack) -> Iterator[Serving]:
    """An account for endpoints; those that are left are deleted."""
    found = Serving(sagemaker_account, ministack_server, f"test-{uuid.uuid4().hex}")
    found.prepare()
    yield found
    sagemaker_account.mend()
    for endpoint in found.control.list_endpoints()["Endpoints"]:
        with suppress(ClientError):
            found.settled(endpoint["EndpointName"])
            found.control.delete_endpoint(EndpointName=endpoint["EndpointName"])
