"""The stand-in as fixtures: one server a session, an account a test whose folder is the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMaker, SageMakerAccount, sagemaker


@pytest.fixture(scope="session")
def sagemaker_server(ministack_server: Ministack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SageMaker]:
    with sagemaker(tmp_path_factory.mktemp("sagemaker"), ministack_server.endpoint_url) as server:
        yield server


@pytest.fixture
def sagemaker_account(sagemaker_server: SageMaker, tmp_path: Path) -> SageMakerAccount:
    return sagemaker_server.account(tmp_path)
