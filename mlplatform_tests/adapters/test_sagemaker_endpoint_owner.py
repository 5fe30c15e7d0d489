"""Two installations of one account, which serve systems of one name under one prefix: none takes the other's endpoint."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplatform.adapters.endpoints.sagemaker import SageMakerEndpoints
from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.errors import ConflictError
from mlplatform_tests.adapters.sagemaker_deployments import (
    NAME,
    ONCE,
    STEM,
    asked,
    deployment,
    digest,
    made,
    made_calls,
    place,
)
from mlplatform_tests.conformance.endpoint_places import SageMakerPlace, sagemaker_place
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_server

__all__ = ["digest", "made", "ministack_server", "place", "sagemaker_place", "sagemaker_server"]


def other(place: SageMakerPlace, tmp_path: Path, **settings: str) -> SageMakerEndpoints:
    """Another installation: records and objects of its own."""
    assert place.store
    found = place.open(**settings)
    return SageMakerEndpoints(
        found.settings,
        SqliteItemStore(tmp_path / "other.sqlite"),
        S3ObjectStore(place.bucket, "other", client_options=place.ministack.client_options),
        place.package,
        options={**place.account.client_options, "config": ONCE},
    )


@pytest.fixture
def first(place: SageMakerPlace, digest: str) -> SageMakerEndpoints:
    """The one that serves."""
    found = place.open()
    found.deploy(deployment(1, digest))
    found.wait(NAME, 1, timeout_s=60)
    return found


def test_who_deploys_to_another_s_endpoint_is_refused_and_has_no_record(
    first: SageMakerEndpoints, place: SageMakerPlace, digest: str, tmp_path: Path
) -> None:
    second = other(place, tmp_path)
    told = rf"endpoint '{STEM}' is of the installation whose objects are at 's3://{place.bucket}/lake/'.*name_prefix of its own"
    with pytest.raises(ConflictError, match=told):
        second.deploy(deployment(1, digest))
    assert second.history(NAME) == []
    own = other(place, tmp_path, name_prefix="second")
    own.deploy(deployment(1, digest))
    own.wait(NAME, 1, timeout_s=60)
    own.remove(NAME)
    assert asked(first)[0] == 1


def test_one_that_was_not_seen_to_be_another_s_is_neither_changed_nor_removed(
    first: SageMakerEndpoints, place: SageMakerPlace, digest: str, tmp_path: Path
) -> None:
    second = other(place, tmp_path)
    place.account.refuse("DescribeEndpoint", "ThrottlingException", times=2)
    second.deploy(deployment(1, digest))
    assert [record.generation for record in second.history(NAME)] == [1]
    with pytest.raises(ConflictError, match="is of the installation"):
        second.wait(NAME, 1, timeout_s=60)
    second.remove(NAME)
    assert second.history(NAME) == []
    assert asked(first)[0] == 1
    assert made_calls(place) == {"CreateModel": 1, "CreateEndpointConfig": 1, "CreateEndpoint": 1}
    assert place.account.calls.count("DeleteEndpoint") == 0


def test_an_endpoint_that_somebody_made_by_hand_is_not_taken(
    place: SageMakerPlace, digest: str, tmp_path: Path
) -> None:
    endpoints = place.open()
    endpoints.deploy(deployment(1, digest))
    endpoints.wait(NAME, 1, timeout_s=60)
    config = place.control.describe_endpoint(EndpointName=STEM)["EndpointConfigName"]
    by_hand = f"second{STEM.removeprefix('mlplatform')}"
    place.control.create_endpoint(EndpointName=by_hand, EndpointConfigName=config)
    with pytest.raises(ConflictError, match=f"endpoint '{by_hand}' was not made by this platform"):
        other(place, tmp_path, name_prefix="second").deploy(deployment(1, digest))
