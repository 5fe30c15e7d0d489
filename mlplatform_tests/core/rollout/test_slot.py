"""A slot never serves what failed, never goes back by itself, and ends at what is desired."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mlplatform.core.rollout.slot import Slot, failed, loaded, started, wanted


class SlotMachine(RuleBasedStateMachine):
    """Deploys, loads that succeed, fail for good or fail for now, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.slot = Slot()
        self.desired = 0
        self.broken: set[int] = set()
        self.served: list[int] = []

    @rule(broken=st.booleans())
    def deploy(self, broken: bool) -> None:
        self.desired += 1
        if broken:
            self.broken.add(self.desired)

    @precondition(lambda self: self.desired and wanted(self.slot, self.desired) is not None)
    @rule()
    def start(self) -> None:
        generation = wanted(self.slot, self.desired)
        assert generation is not None
        self.slot = started(self.slot, generation)

    @precondition(lambda self: self.slot.loading)
    @rule(flaky=st.booleans())
    def finish(self, flaky: bool) -> None:
        if self.slot.loading in self.broken:
            self.slot = failed(self.slot, "damaged")
        elif flaky:
            self.slot = failed(self.slot, "away", retry=True)
        else:
            self.slot = loaded(self.slot)
            self.served.append(self.slot.serving)

    @invariant()
    def never_serves_what_failed_or_goes_back(self) -> None:
        assert self.slot.serving not in self.broken
        assert self.served == sorted(set(self.served))
        assert self.slot.serving == (self.served[-1] if self.served else 0)

    @invariant()
    def loads_one_at_a_time_and_nothing_twice(self) -> None:
        assert self.slot.loading <= self.desired
        assert self.slot.loading == 0 or self.slot.loading not in (self.slot.serving, self.slot.failed)

    def teardown(self) -> None:
        for _ in range(3):
            if self.slot.loading:
                self.finish(False)
            generation = wanted(self.slot, self.desired) if self.desired else None
            if generation is not None:
                self.slot = started(self.slot, generation)
        if self.desired and self.desired in self.broken:
            assert self.slot.failed == self.desired
        else:
            assert self.slot.serving == self.desired
        assert self.slot.loading == 0


TestSlot = SlotMachine.TestCase


def test_a_generation_that_failed_for_good_is_not_tried_again_but_the_next_is() -> None:
    slot = failed(started(Slot(serving=1), 2), "damaged")
    assert slot == Slot(serving=1, failed=2, message="damaged")
    assert wanted(slot, 2) is None
    assert wanted(slot, 3) == 3
    assert loaded(started(slot, 3)) == Slot(serving=3)


def test_a_generation_that_failed_for_now_is_tried_again() -> None:
    slot = failed(started(Slot(serving=1), 2), "away", retry=True)
    assert (slot.serving, slot.message, wanted(slot, 2)) == (1, "away", 2)
