"""A row of the results: ours beside a peer, the ratio, the bar, and whether it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

Of = Literal["ours / peer", "peer / ours", "ours"]


@dataclass(frozen=True)
class Bar:
    """What was promised: `of` is at least, or at most, `value`.

    Attributes:
        of: ``ours / peer`` (how much more, or how much of it), ``peer / ours`` (how many times faster, where the unit is
            a time), or ``ours`` itself, in the row's unit.
    """

    of: Of
    at: Literal["least", "most"]
    value: float

    def holds(self, measured: float) -> bool:
        """Whether `measured` keeps the promise."""
        return measured >= self.value if self.at == "least" else measured <= self.value

    def __str__(self) -> str:
        return f"{self.of} {'≥' if self.at == 'least' else '≤'} {self.value:g}"


@dataclass(frozen=True)
class Series:
    """One measured quantity, a value a round."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> Series:
        """A series of at least one value."""
        if not values:
            raise ValueError("a series has at least one value, found none")
        return cls(tuple(float(v) for v in values))

    @property
    def median(self) -> float:
        return float(median(self.values))

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)


@dataclass(frozen=True)
class Row:
    """What one benchmark says of one quantity.

    Attributes:
        ours, peer: medians over the rounds, in `unit`; `peer` is None where there is nothing to compare with.
        ours_spread, peer_spread: smallest and largest of the rounds.
        ratio: median over the rounds of the ratio that the bar is about (ours / peer without a bar), each taken
            within its round, so that a machine that slows down in mid-run moves both sides.
        commit, date: of the measurement.
    """

    id: str
    title: str
    unit: str
    ours: float
    ours_spread: tuple[float, float]
    peer: float | None
    peer_name: str
    peer_spread: tuple[float, float] | None
    ratio: float | None
    bar: str
    holds: bool | None
    rounds: int
    note: str = ""
    commit: str = ""
    date: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Row:
        """Read one back."""
        spreads = {k: None if data[k] is None else tuple(data[k]) for k in ("ours_spread", "peer_spread")}
        return cls(**{**data, **spreads})


def row(
    id_: str,
    title: str,
    unit: str,
    ours: Series,
    peer: Series | None = None,
    *,
    peer_name: str = "",
    bar: Bar | None = None,
    note: str = "",
) -> Row:
    """A row from what the rounds measured; both series have a value a round, in the same order."""
    ratio = None
    if peer is not None:
        if len(peer.values) != len(ours.values):
            raise ValueError(f"{id_}: ours has {len(ours.values)} rounds, the peer {len(peer.values)}")
        pairs = list(zip(ours.values, peer.values, strict=True))
        turned = bar is not None and bar.of == "peer / ours"
        ratio = float(median(p / o if turned else o / p for o, p in pairs))
    elif bar is not None and bar.of != "ours":
        raise ValueError(f"{id_}: a bar on '{bar.of}' needs a peer")
    measured = ours.median if bar is not None and bar.of == "ours" else ratio
    return Row(
        id=id_,
        title=title,
        unit=unit,
        ours=ours.median,
        ours_spread=(ours.low, ours.high),
        peer=None if peer is None else peer.median,
        peer_name=peer_name,
        peer_spread=None if peer is None else (peer.low, peer.high),
        ratio=ratio,
        bar="" if bar is None else str(bar),
        holds=None if bar is None or measured is None else bar.holds(measured),
        rounds=len(ours.values),
        note=note,
    )
