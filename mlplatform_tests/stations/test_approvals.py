"""Versions that wait for people: what is deployed and what is not, which one goes live when they decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from mlplatform.adapters.endpoints.local import LocalEndpoints
from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.tracking.mlflow import MlflowTracking
from mlplatform.adapters.tracking.sagemaker_packages import PackagedTracking
from mlplatform.errors import GateError, UnavailableError
from mlplatform.ports.tracking import Approval, ModelVersion
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.model import ModelSpec
from mlplatform.stations.approvals import Approvals
from mlplatform.stations.registry import Registry
from mlplatform.stations.rollout import Rollout
from mlplatform.stations.verdict import Verdict, store_verdict
from mlplatform_tests.conformance.object_stores import ministack_server, s3_store
from mlplatform_tests.conformance.trackings import (
    MODEL,
    home_tracking,
    mlflow_home,
    packaged_tracking,
    packages,
    passed,
    stage,
)
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_account, sagemaker_server
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount

__all__ = ["home_tracking", "ministack_server", "mlflow_home", "packages", "sagemaker_account", "sagemaker_server"]


@dataclass
class World:
    """Three versions that passed the gate, with packages nobody has looked at."""

    tracking: PackagedTracking
    home: MlflowTracking
    items: SqliteItemStore
    rollout: Rollout
    approvals: Approvals
    client: Any

    @property
    def versions(self) -> list[ModelVersion]:
        return self.tracking.versions(MODEL)

    def decide(self, version: int, status: str) -> None:
        """A person's word on a version's package."""
        how = self.tracking.approval(self.versions[version - 1]).how
        arn = how.partition("--model-package-arn ")[2].split()[0]
        self.client.update_model_package(
            ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription="bias seen"
        )


@pytest.fixture
def world(
    home_tracking: MlflowTracking,
    sagemaker_account: SageMakerAccount,
    ministack_server: Ministack,
    packages: dict[str, Path],
    tmp_path: Path,
) -> Iterator[World]:
    store = s3_store(ministack_server)
    tracking = packaged_tracking(home_tracking, sagemaker_account, store, approval=True, approvers="the risk team")
    items = SqliteItemStore(tmp_path / "items.sqlite")
    for index in range(3):
        digest = stage(tracking, packages, index)
        tracking.register(MODEL, digest, verdict=passed(digest))
        verdict = Verdict(MODEL, digest, None, None, "s" * 64, "2026-01-02T03:04:05+00:00", True, "first", "", {})
        store_verdict(items, verdict)
    spec = EndpointSpec(name="prices", model="stock_model", prediction="price", keys=["trading_day"])
    rollout = Rollout(LocalEndpoints(tmp_path / "endpoints"), tracking, items, spec, system="stock_prices")
    approvals = Approvals(tracking, items, name="stock_prices/prices", model=MODEL)
    client = boto3.client("sagemaker", **sagemaker_account.client_options)
    yield World(tracking, home_tracking, items, rollout, approvals, client)
    items.close()
    store.close()


def test_only_what_people_approved_is_deployed(world: World) -> None:
    with pytest.raises(
        GateError, match=rf"Version 1 of model '{MODEL}' waits for approval\. the risk team: approve 'arn:aws:"
    ):
        world.rollout.deploy(1, "refresh")
    world.decide(1, "Rejected")
    with pytest.raises(GateError, match=r"Version 1 of model .* was rejected: bias seen"):
        world.rollout.promote(1)
    world.decide(1, "Approved")
    assert world.rollout.deploy(1, "refresh").version == 1


def test_what_serves_goes_on_and_is_not_gone_back_to_when_it_is_rejected_later(world: World) -> None:
    for version in (1, 2):
        world.decide(version, "Approved")
        world.rollout.deploy(version, "refresh")
    for version in (1, 2):
        world.decide(version, "Rejected")
    assert world.rollout.deploy(2, "refresh").generation == 2
    with pytest.raises(GateError, match=r"Version 1 of model .* was rejected"):
        world.rollout.rollback()


@pytest.mark.slow
def test_who_goes_back_is_not_held_up_by_a_service_that_is_away(
    world: World, sagemaker_account: SageMakerAccount, caplog: pytest.LogCaptureFixture
) -> None:
    for version in (1, 2):
        world.decide(version, "Approved")
        world.rollout.deploy(version, "refresh")
    sagemaker_account.refuse("*", "ServiceUnavailable", times=100, status=503)
    assert world.rollout.rollback().version == 1
    assert "goes back to version 1 without asking people" in caplog.text
    with pytest.raises(UnavailableError):
        world.rollout.promote(2)
    sagemaker_account.mend()
    assert world.rollout.reconcile()
    assert [v.aliases for v in world.versions] == [("champion",), (), ()]


def test_the_newest_that_waited_and_is_approved_is_due(world: World) -> None:
    one, two, three = world.versions
    for version in (one, two, three):
        assert world.approvals.choose(version, live=None).version is None
    assert world.approvals.waiting() == [1, 2, 3]
    assert world.approvals.due(live=None) is None
    world.decide(1, "Approved")
    world.decide(2, "Approved")
    found = world.approvals.due(live=None)
    assert found is not None
    assert found.version == 2
    chosen = world.approvals.choose(three, live=None)
    assert (chosen.version and chosen.version.version, chosen.wanted.status) == (2, "pending")
    world.approvals.done(2)
    assert world.approvals.waiting() == [3]


def test_an_older_one_is_not_gone_back_to(world: World) -> None:
    one, two, _ = world.versions
    world.approvals.choose(one, live=None)
    world.decide(1, "Approved")
    assert world.approvals.due(live=two) is None
    assert world.approvals.waiting() == []


def test_what_is_rejected_waits_no_longer_and_the_champion_stays(world: World) -> None:
    one, two, _ = world.versions
    world.approvals.choose(two, live=one)
    world.decide(2, "Rejected")
    assert world.approvals.due(live=one) is None
    assert world.approvals.waiting() == []
    chosen = world.approvals.choose(two, live=one)
    assert (chosen.version, chosen.wanted.status, chosen.wanted.said) == (None, "rejected", "bias seen")
    assert world.approvals.waiting() == []


def test_who_serves_already_is_asked_for_nothing(world: World) -> None:
    one, _, _ = world.versions
    assert world.approvals.choose(one, live=one).version == one
    assert world.approvals.waiting() == []


def test_a_registry_without_people_lets_all_pass(world: World) -> None:
    one, _, _ = world.versions
    approvals = Approvals(world.home, world.items, name="stock_prices/prices", model=MODEL)
    assert approvals.choose(one, live=None).version == one
    assert approvals.choose(one, live=None).wanted == Approval("approved")


def test_a_model_that_nothing_serves_has_no_champion_before_people_approved_it(world: World) -> None:
    gate = {"metric": "r2", "threshold": 0.5}
    spec = ModelSpec.model_validate(
        {"name": "stock_model", "features": "f", "container": "xgboost", "task": "regression", "gate": gate}
    )
    registry = Registry(world.tracking, world.items, world.rollout._endpoints, spec, system="stock_prices")
    with pytest.raises(GateError, match="waits for approval"):
        registry.appoint(2)
    assert registry.champion() is None
    world.decide(2, "Approved")
    registry.appoint(2)
    champion = registry.champion()
    assert champion is not None
    assert champion.version == 2
