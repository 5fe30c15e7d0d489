"""With approval: a run registers and deploys nothing, says who must approve and how; the sensor starts the one that deploys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import boto3
import dagster as dg
import pytest

from mlplatform.adapters.tracking.sagemaker_packages_requests import group_name
from mlplatform.platform.status import platform_status
from mlplatform_tests.components.site import SYSTEM, Site, errors, metadata
from mlplatform_tests.conformance.object_stores import ministack_server, s3_store
from mlplatform_tests.conformance.trackings import IMAGE
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_server
from mlplatform_tests.servers.sagemaker.server import SageMaker

__all__ = ["ministack_server", "sagemaker_server"]

GROUP = group_name("mlplatform", f"{SYSTEM}.stock_model")
SENSOR = "stock_prices_approved"


@pytest.fixture(scope="module")
def client(sagemaker_server: SageMaker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Of an account that the environment's credentials are of, too."""
    account = sagemaker_server.account(tmp_path_factory.mktemp("account"))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in account.env.items():
            patch.setenv(name, value)
        patch.setattr(boto3, "DEFAULT_SESSION", None)
        yield boto3.client("sagemaker", **account.client_options)
        patch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture(scope="module")
def site(client: Any, ministack_server: Ministack, make_site: Callable[[], Site]) -> Iterator[Site]:
    """Everything on this machine, but for objects in S3 and versions that people approve on SageMaker."""
    made = make_site()
    store = s3_store(ministack_server)
    bucket, _, prefix = store.url("").removeprefix("s3://").partition("/")
    packages = {"image": IMAGE, "approval": True, "approvers": "the risk team"}
    made.profile(
        "approving",
        objects={"adapter": "s3", "settings": {"bucket": bucket, "prefix": prefix.strip("/")}},
        tracking={"settings": {"model_packages": packages}},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLPLATFORM_PROFILE", "approving")
        made.put_days(0, 300)
        assert made.materialize("stock_stream_landing", "stock_table").success
        yield made
    store.close()


def _decide(client: Any, status: str) -> None:
    """A person's word on the newest package."""
    newest = client.list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"][0]
    client.update_model_package(
        ModelPackageArn=newest["ModelPackageArn"], ModelApprovalStatus=status, ApprovalDescription="looked at"
    )


def _text(result: dg.ExecuteInProcessResult, name: str) -> str:
    return str(metadata(result, "stock_prices")[name].value)


@pytest.mark.slow
def test_a_version_goes_live_when_it_is_approved_and_not_before(site: Site, client: Any) -> None:
    request = site.ask().id
    first = site.refresh(request)
    assert first.success, errors(first)
    assert (site.versions(), site.generation()) == ([1], 0)
    assert _text(first, "approval") == "version 1 waits for approval"
    assert _text(first, "approve").startswith(
        f"the risk team: approve 'arn:aws:sagemaker:us-east-1:111122223333:model-package/{GROUP}/1'"
    )
    assert site.request(request).message == "version 1 waits for approval"
    assert any("waits for approval" in title for title in site.told())
    assert site.tick(SENSOR).run_requests == []

    _decide(client, "Approved")
    (asked,) = site.tick(SENSOR).run_requests or ()
    assert asked.asset_selection == [dg.AssetKey([SYSTEM, "stock_prices"])]
    started = site.materialize("stock_prices", tags=dict(asked.tags))
    assert started.success, errors(started)
    assert site.generation() == 1
    assert site.tick(SENSOR).run_requests == []
    aliases = client.list_model_packages(ModelPackageGroupName=GROUP)["ModelPackageSummaryList"][0]["ModelPackageArn"]
    said = client.describe_model_package(ModelPackageName=aliases)["CustomerMetadataProperties"]
    assert said["mlplatform:aliases"] == "champion"
    assert said["mlplatform:snapshot"]


@pytest.mark.slow
def test_a_rejected_version_keeps_the_champion(site: Site, client: Any) -> None:
    site.edit("stock_model", hyperparameters={"num_round": 60, "max_depth": 6, "eta": 0.2})
    site.put_days(300, 420)
    assert site.materialize("stock_stream_landing", "stock_table").success
    second = site.refresh()
    assert second.success, errors(second)
    assert (site.versions(), site.generation()) == ([1, 2], 1)
    (endpoint,) = platform_status(site.platform, programs=[], now=datetime.now(UTC)).endpoints
    assert endpoint["message"].endswith("waits for approval: version 2")
    _decide(client, "Rejected")
    assert site.tick(SENSOR).run_requests == []
    again = site.materialize("stock_prices")
    assert again.success, errors(again)
    assert _text(again, "approval") == "version 2 was rejected: looked at"
    assert site.generation() == 1
    champion = site.stations.registry("stock_model").champion()
    assert champion is not None
    assert champion.version == 1
