"""Rollout over real deployment records, MLflow and item store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mlplatform.adapters.endpoints import LocalEndpoints
from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.tracking.mlflow import MlflowTracking
from mlplatform.errors import ConflictError, GateError, NotFoundError, StateError
from mlplatform.ports.tracking import TrackedRun
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.stations.rollout import Rollout
from mlplatform_tests.packages import INPUTS, make_package

MODEL = "stock_prices.stock_model"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class World:
    """Ports of a rollout; versions 1 to 3 have passed the gate, 4 has not, 5 has no verdict, 6 has another signature."""

    endpoints: LocalEndpoints
    tracking: MlflowTracking
    items: SqliteItemStore
    digests: list[str]
    root: Path

    def rollout(self, **settings: Any) -> Rollout:
        spec = EndpointSpec(
            **{"name": "prices", "model": "stock_model", "prediction": "price", "keys": ["trading_day"], **settings}
        )
        return Rollout(self.endpoints, self.tracking, self.items, spec, system="stock_prices", clock=lambda: NOW)

    def champion(self) -> list[int]:
        return [v.version for v in self.tracking.versions(MODEL) if "champion" in v.aliases]


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    root = tmp_path_factory.mktemp("rollout")
    tracking = MlflowTracking(root / "tracking", root / "packages")
    items = SqliteItemStore(root / "items.sqlite")
    digests = []
    for seed in range(1, 7):
        package = root / f"trained-{seed}"
        inputs = INPUTS[:2] if seed == 6 else INPUTS
        digest = make_package(package, seed=seed, inputs=inputs, rounds=2)
        run = TrackedRun(
            experiment="stock_prices", name=f"run {seed}", parameters={}, metrics={}, tags={}, package=package
        )
        tracking.stage(run, model=MODEL, digest=digest)
        tracking.register(MODEL, digest, verdict={"passed": True, "digest": digest})
        if seed != 5:
            items.put(
                "verdicts", digest, {"passed": seed != 4, "digest": digest, "reason": "r2 0.5 misses the threshold."}
            )
        digests.append(digest)
    yield World(LocalEndpoints(root / "endpoints"), tracking, items, digests, root)
    items.close()


@pytest.fixture
def world(registered: World, tmp_path: Path) -> World:
    """The registered versions, with nothing deployed."""
    registered.tracking.set_alias(MODEL, "champion", None)
    registered.tracking.set_alias(MODEL, "challenger", None)
    return World(
        LocalEndpoints(tmp_path / "endpoints"), registered.tracking, registered.items, registered.digests, tmp_path
    )


def test_a_deployment_is_a_record_and_the_alias_follows_it(world: World) -> None:
    made = world.rollout().deploy(2, "refresh", "run-9")
    assert (made.endpoint, made.generation, made.model, made.version) == ("stock_prices/prices", 1, MODEL, 2)
    assert (made.digest, made.reason, made.run_id) == (world.digests[1], "refresh", "run-9")
    assert made.created_at == "2026-01-02T03:04:05+00:00"
    assert EndpointSpec.model_validate(dict(made.settings)).prediction == "price"
    assert world.endpoints.desired("stock_prices/prices") == made
    assert world.champion() == [2]


def test_the_same_deployment_again_changes_nothing(world: World) -> None:
    first = world.rollout().deploy(1, "refresh", "run-1")
    assert world.rollout().deploy(1, "refresh", "run-2") == first
    assert len(world.endpoints.history("stock_prices/prices")) == 1


def test_changed_settings_are_a_generation_of_the_same_version(world: World) -> None:
    world.rollout().deploy(1, "refresh")
    assert world.rollout(public=True).apply_settings() == world.endpoints.desired("stock_prices/prices")
    made = world.endpoints.desired("stock_prices/prices")
    assert made is not None
    assert (made.generation, made.version, made.reason, made.settings["public"]) == (2, 1, "settings", True)


def test_settings_of_what_was_never_deployed_are_not_applied(world: World) -> None:
    assert world.rollout().apply_settings() is None


def test_resume_after_record_before_alias(world: World) -> None:
    world.rollout().deploy(1, "refresh")
    world.rollout().deploy(2, "refresh")
    world.tracking.set_alias(MODEL, "champion", 1)
    world.tracking.set_alias(MODEL, "challenger", 2)
    assert world.rollout().reconcile()
    assert world.champion() == [2]
    assert [v.aliases for v in world.tracking.versions(MODEL)][1] == ("champion",)
    assert not world.rollout().reconcile()


def test_a_version_that_did_not_pass_is_refused(world: World) -> None:
    with pytest.raises(GateError, match=r"Version 4 .* did not pass the gate: r2 0\.5 misses the threshold"):
        world.rollout().deploy(4, "refresh")
    with pytest.raises(GateError, match=r"Version 5 .* has no verdict .* Run the gate on it first"):
        world.rollout().promote(5)
    assert world.endpoints.desired("stock_prices/prices") is None
    assert world.champion() == []


def test_an_unknown_version_is_refused(world: World) -> None:
    with pytest.raises(
        NotFoundError, match=r"'stock_prices\.stock_model' has no version 9; it has: 1, 2, 3, 4, 5, 6\."
    ):
        world.rollout().deploy(9, "refresh")


def test_a_change_that_breaks_callers_is_refused_by_field_unless_it_is_allowed(world: World) -> None:
    world.rollout().deploy(1, "refresh")
    with pytest.raises(ConflictError) as refused:
        world.rollout().deploy(6, "refresh")
    assert refused.value.message == (
        "Version 6 would break callers of endpoint 'stock_prices/prices', which serves version 1: "
        "field 'change' is gone."
    )
    assert world.champion() == [1]
    assert world.rollout().promote(6, allow_signature_change=True).generation == 2
    assert world.champion() == [6]


def test_another_name_of_the_prediction_or_a_key_less_breaks_callers(world: World) -> None:
    world.rollout().deploy(1, "refresh")
    with pytest.raises(
        ConflictError, match=r"the answer's 'price' is now 'value'; key 'trading_day' is no longer taken"
    ):
        world.rollout(prediction="value", keys=[]).deploy(2, "refresh")


def test_a_rollback_goes_back_and_a_second_one_further(world: World) -> None:
    rollout = world.rollout()
    for version in (1, 2, 3):
        rollout.deploy(version, "refresh")
    assert [(d.generation, d.version, d.reason) for d in (rollout.rollback(), rollout.rollback())] == [
        (4, 2, "rollback"),
        (5, 1, "rollback"),
    ]
    assert world.champion() == [1]
    with pytest.raises(NotFoundError, match="there is no earlier one"):
        rollout.rollback()


def test_a_rollback_may_name_a_generation(world: World) -> None:
    rollout = world.rollout()
    for version in (1, 2, 3):
        rollout.deploy(version, "refresh")
    assert rollout.rollback(to=1).version == 1
    with pytest.raises(NotFoundError, match="has no generation 9; it has 1 to 4"):
        rollout.rollback(to=9)


def test_there_is_nothing_to_go_back_to_before_the_first_deployment(world: World) -> None:
    with pytest.raises(NotFoundError, match="was never deployed"):
        world.rollout().rollback()


def test_a_rollback_passes_a_changed_signature(world: World) -> None:
    rollout = world.rollout()
    rollout.deploy(6, "refresh")
    rollout.deploy(1, "refresh")
    assert (rollout.rollback().version, rollout.deploy(1, "refresh").version, rollout.rollback().version) == (6, 1, 6)


def test_a_damaged_package_is_not_deployed(world: World, registered: World) -> None:
    digest = world.digests[2]
    stored = next(p for p in (registered.root / "tracking").rglob("model.onnx") if digest in _digest_of(p))
    content = stored.read_bytes()
    cached = registered.root / "packages" / digest
    moved = cached.with_name("aside")
    if cached.is_dir():
        cached.rename(moved)
    stored.write_bytes(content + b"x")
    try:
        with pytest.raises(StateError, match=r"'model\.onnx' of the model package .* is damaged"):
            world.rollout().deploy(3, "refresh")
    finally:
        stored.write_bytes(content)
        if moved.is_dir():
            moved.rename(cached)
    assert world.endpoints.desired("stock_prices/prices") is None


def _digest_of(model: Path) -> str:
    return hashlib.sha256((model.parent / "model.json").read_bytes()).hexdigest()
