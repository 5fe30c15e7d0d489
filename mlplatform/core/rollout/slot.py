"""A slot: what one worker holds of one endpoint, and what it does next.

    empty ──started──▶ loading ──loaded──▶ serving n ──started──▶ serving n, loading m ──loaded──▶ serving m
                          └────failed────▶ failed          └───────────failed──────────▶ serving n, m failed

At most one generation is loaded at a time; the one that serves goes on until the next one is ready, and a generation
that failed for good is not tried again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Slot:
    """Generations by what they are to this worker; 0 = none."""

    serving: int = 0
    loading: int = 0
    failed: int = 0
    message: str = ""


def wanted(slot: Slot, desired: int) -> int | None:
    """The generation to start loading now, or None."""
    if slot.loading or desired in (slot.serving, slot.failed):
        return None
    return desired


def started(slot: Slot, generation: int) -> Slot:
    """Loading of `generation` began."""
    return replace(slot, loading=generation)


def loaded(slot: Slot) -> Slot:
    """The generation that was loading is ready: it serves from now on."""
    return Slot(serving=slot.loading)


def failed(slot: Slot, message: str, *, retry: bool = False) -> Slot:
    """The generation that was loading could not be; with `retry` it may be tried again. What serves goes on serving."""
    return Slot(serving=slot.serving, failed=0 if retry else slot.loading, message=message)
