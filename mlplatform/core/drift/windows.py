"""Tumbling windows over the values of one column, and when one is complete."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any


@dataclass(frozen=True)
class Window:
    """`size` distinct values of a column, strictly behind `after` and up to `upto` (inclusive); values as text.

    `model` is the digest of the model judged on it; `index` counts that model's windows, from 0; `first` is the
    smallest value in the window.
    """

    model: str
    index: int
    after: str
    first: str
    upto: str
    size: int

    @property
    def id(self) -> str:
        """The same for every attempt to judge this window for this model."""
        return f"{self.model[:12]}:{self.after}..{self.upto}"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def tumble(values: Sequence[str], *, model: str, after: str, size: int, index: int = 0) -> list[Window]:
    """Full windows over `values` (distinct, in the column's order, all behind `after`), the first numbered `index`."""
    windows: list[Window] = []
    for start in range(0, len(values) - size + 1, size):
        block = values[start : start + size]
        windows.append(Window(model, index + len(windows), after, block[0], block[-1], size))
        after = block[-1]
    return windows


def is_closed(
    *,
    newest_load: datetime,
    passed_by: Mapping[str, bool],
    later_values: bool,
    waiting: Collection[str],
    now: datetime,
    lateness: timedelta,
) -> bool:
    """Whether no more rows of a full window are to be expected.

    Never while something waits to be loaded that came before the window was quiet for `lateness`, but on shards that have
    gone past it: half of its rows would be judged. Else, when every stream shard that ever delivered has gone past the
    window (where none delivers: a later value has arrived), or none of its rows was loaded within `lateness` before `now`
    (or after it, by a clock that was set back since). A shard that lags behind its neighbours keeps the window open; one
    that is idle does not keep it for ever.

    Args:
        newest_load: when the window's newest row was loaded.
        passed_by: by shard, whether it delivered a value behind the window.
        later_values: whether any row has a value behind the window.
        waiting: sources with something that came by `newest_load` and `lateness` and is not loaded; shards by the names that
            `passed_by` has.
    """
    if any(not passed_by.get(source, False) for source in waiting):
        return False
    if abs(now - newest_load) >= lateness:
        return True
    return all(passed_by.values()) if passed_by else later_values
