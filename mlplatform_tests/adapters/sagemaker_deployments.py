"""For tests of endpoints on SageMaker: deployments of a real package, and what was asked of SageMaker."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from mlplatform.adapters.endpoints.sagemaker import SageMakerEndpoints
from mlplatform.adapters.endpoints.sagemaker_names import endpoint_name
from mlplatform.ports.endpoints import Deployment, EndpointState
from mlplatform_tests.conformance.endpoint_places import SageMakerPlace, sagemaker_place
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.gateway.site import ROW, spec
from mlplatform_tests.packages import make_package
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_server

__all__ = ["ministack_server", "sagemaker_place", "sagemaker_server"]

NAME = "stock_prices/prices"
STEM = endpoint_name("mlplatform", NAME)
BODY = json.dumps({"instances": [ROW]}).encode()
ONCE = Config(retries={"total_max_attempts": 1})
MAKE = ("CreateModel", "CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A package, and its digest."""
    folder = tmp_path_factory.mktemp("package") / "model"
    return folder, make_package(folder)


@pytest.fixture
def place(sagemaker_place: SageMakerPlace, made: tuple[Path, str]) -> SageMakerPlace:
    """With the package there."""
    folder, digest = made
    (sagemaker_place.root / "packages").mkdir(parents=True)
    (sagemaker_place.root / "packages" / digest).symlink_to(folder)
    return sagemaker_place


@pytest.fixture
def digest(made: tuple[Path, str]) -> str:
    return made[1]


def deployment(generation: int, digest: str, *, reason: str = "refresh") -> Deployment:
    return Deployment(
        endpoint=NAME,
        generation=generation,
        model="stock_prices.stock_model",
        version=generation,
        digest=digest,
        reason=reason,
        run_id="run-1",
        created_at="2026-01-02T03:04:05+00:00",
        settings=spec().model_dump(mode="json"),
    )


def once(place: SageMakerPlace, **settings: Any) -> SageMakerEndpoints:
    """An adapter whose client tries each call once."""
    found = place.open(**settings)
    return SageMakerEndpoints(
        found.settings,
        found.records._items,
        place.store,
        place.package,
        options={**place.account.client_options, "config": ONCE},
    )


def asked(endpoints: SageMakerEndpoints) -> tuple[int, float]:
    """Generation and value of an answer."""
    found = json.loads(endpoints.invoke(NAME, BODY, request_id="req-1").body)
    return found["model"]["generation"], found["predictions"][0]["price"]


def failed(endpoints: SageMakerEndpoints) -> EndpointState:
    """The state, when it is Failed."""
    deadline = time.monotonic() + 60
    while (state := endpoints.state(NAME)).status != "Failed":
        assert time.monotonic() < deadline, state
        time.sleep(0.05)
    return state


def made_calls(place: SageMakerPlace) -> Counter[str]:
    return Counter(call for call in place.account.calls if call in MAKE)
