"""Deployments in any order by two operators and one who is killed behind the record: the record, its verdict and the alias agree."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mlplatform.adapters.endpoints import LocalEndpoints
from mlplatform.core.rollout.history import version_stack
from mlplatform.errors import ConflictError, GateError, NotFoundError
from mlplatform.ports.endpoints import Deployment
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform_tests.stations.test_rollout import MODEL, World, registered

__all__ = ["registered"]
HOW = settings(max_examples=30, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
VERSION = st.integers(1, 7)
PASSED = {1, 2, 3, 6}
"""4 failed its gate, 5 has no verdict, 6 takes other fields than the others, 7 is not there."""
SPEC = EndpointSpec(name="prices", model="stock_model", prediction="price", keys=["trading_day"])
NUMBER = count()


def machine(world: World) -> Callable[[], RuleBasedStateMachine]:
    """Machines over the registered versions, each with an endpoint of its own that nothing was deployed to."""

    class Rollouts(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            world.tracking.set_alias(MODEL, "champion", None)
            self.endpoints = LocalEndpoints(world.root / f"endpoints-{next(NUMBER)}")
            own = World(self.endpoints, world.tracking, world.items, world.digests, world.root)
            self.rollout = own.rollout()
            self.served: list[int] = []
            self.behind = False

        @rule(version=VERSION, allow=st.booleans())
        def promote(self, version: int, allow: bool) -> None:
            expected = self.refusal(version, allow)
            if expected is not None:
                with pytest.raises(expected):
                    self.rollout.promote(version, allow_signature_change=allow)
                return
            made = self.rollout.promote(version, allow_signature_change=allow)
            if not self.served or self.served[-1] != version:
                self.served.append(version)
            assert (made.generation, made.version) == (len(self.served), version)
            self.behind = False

        @rule(to=st.one_of(st.none(), st.integers(1, 9)))
        def rollback(self, to: int | None) -> None:
            stack = version_stack(self.served)
            if not self.served or (to is None and len(stack) < 2) or (to is not None and to > len(self.served)):
                with pytest.raises(NotFoundError):
                    self.rollout.rollback(to)
                return
            target = stack[-2] if to is None else self.served[to - 1]
            made = self.rollout.rollback(to)
            assert made.version == target
            if self.served[-1] != target:
                self.served.append(target)
            self.behind = False

        @rule(version=st.sampled_from(sorted(PASSED)))
        def killed_behind_the_record(self, version: int) -> None:
            self.endpoints.deploy(self.record(version, len(self.served) + 1))
            self.served.append(version)
            self.behind = True

        @rule(version=st.sampled_from(sorted(PASSED)), late=st.integers(0, 2))
        def come_too_late(self, version: int, late: int) -> None:
            generation = len(self.served) - late
            if generation < 1:
                return
            with pytest.raises(ConflictError, match=f"is at generation {len(self.served)}"):
                self.endpoints.deploy(self.record(version, generation))

        @rule()
        def reconcile(self) -> None:
            self.rollout.reconcile()
            self.behind = False
            assert self.rollout.reconcile() is False

        @invariant()
        def records_are_what_was_deployed(self) -> None:
            history = self.endpoints.history(self.rollout.name)
            assert [d.version for d in history] == self.served
            assert [d.generation for d in history] == list(range(1, len(self.served) + 1))
            assert all(d.digest == world.digests[d.version - 1] for d in history)
            assert set(self.served) <= PASSED

        @invariant()
        def the_alias_is_the_records(self) -> None:
            if not self.behind:
                assert world.champion() == self.served[-1:]

        def refusal(self, version: int, allow: bool) -> type[Exception] | None:
            if version == 7:
                return NotFoundError
            if version not in PASSED:
                return GateError
            # A signature that asks for less takes away a field: it breaks callers; the way back adds one that may be missing.
            breaks = bool(self.served) and version == 6 and self.served[-1] != 6
            return ConflictError if breaks and not allow else None

        def record(self, version: int, generation: int) -> Deployment:
            return Deployment(
                endpoint=self.rollout.name,
                generation=generation,
                model=MODEL,
                version=version,
                digest=world.digests[version - 1],
                reason="promote",
                run_id="",
                created_at=datetime.now(UTC).isoformat(),
                settings=SPEC.model_dump(mode="json"),
            )

    return Rollouts


@pytest.mark.slow
def test_whatever_is_deployed_in_whatever_order_record_verdict_and_alias_agree(registered: World) -> None:
    run_state_machine_as_test(machine(registered), settings=HOW)
