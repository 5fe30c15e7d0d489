"""Sensors and schedules after the clock was set back.

Dagster evaluates none before the times that it wrote down for its last evaluation: where those lie ahead, it would evaluate
nothing until then. They are brought back to now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagster import DagsterInstance


def bring_back(instance: DagsterInstance, now: float) -> list[str]:
    """Let no sensor or schedule have been evaluated after `now` (seconds since 1970); names of those that were."""
    names = []
    for state in instance.all_instigator_state():
        data: Any = state.instigator_data
        ahead = {
            name: now
            for name, value in (data._asdict().items() if data is not None else ())
            if name.endswith("_timestamp") and value is not None and value > now
        }
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=now)
        for tick in ticks:
            instance.update_tick(tick._replace(tick_data=tick.tick_data._replace(timestamp=now)))
        if ahead:
            instance.update_instigator_state(state.with_data(data._replace(**ahead)))
        if ahead or ticks:
            names.append(state.instigator_name)
    return names
