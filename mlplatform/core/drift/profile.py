"""Profile: what is kept of a sample's features, enough to compare it with another sample on the same bins.

A baseline's profile is written into the model package (`baseline.json`). Its bins are fixed there; a judged sample is
counted on them and never gets bins of its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mlplatform.errors import StateError

Kind = Literal["numeric", "category", "text"]
"""Of a text, its length in characters is profiled, as a number."""

FORMAT_VERSION = 1
MAX_VALUES = 12
"""A numeric feature with at most so many different values gets a bin of its own for each."""
FEW = 10
"""A mean of fewer values says too much of each, where they are personal."""
TOP_CATEGORIES = 50
"""So many of a feature's most frequent categories are counted by name; the rest together."""


@dataclass(frozen=True)
class Field:
    """A column to profile; `personal`: the profile tells no single value of it."""

    name: str
    kind: Kind
    personal: bool = False


@dataclass(frozen=True)
class FeatureProfile:
    """One feature.

    Attributes:
        rows: rows of the sample; present: those with a value (NULL, NaN and infinite are missing).
        mean, sd, minimum, maximum: of a numeric feature's values, or a text's lengths (population sd); None without values.
        integral: how many of a numeric feature's values are whole numbers.
        edges: ascending upper bounds (inclusive) of all bins but the last, which is open; numeric only.
        counts: rows per bin, one more than edges.
        categories: value → rows, most frequent of the baseline first; category only.
        other: rows with a value that is none of `categories`.
        personal: no single value is told: no minimum and maximum, nothing of very few values, and rounded edges.
    """

    name: str
    kind: Kind
    rows: int
    present: int
    mean: float | None = None
    sd: float | None = None
    minimum: float | None = None
    maximum: float | None = None
    integral: int = 0
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    categories: Mapping[str, int] | None = None
    other: int = 0
    personal: bool = False

    @property
    def completeness(self) -> float:
        """Share of rows with a value; 1 for an empty sample, which lacks nothing."""
        return self.present / self.rows if self.rows else 1.0

    def histogram(self) -> list[int]:
        """Rows per bin or category, `other` last."""
        if self.kind != "category":
            return list(self.counts)
        return [*(self.categories or {}).values(), self.other]


@dataclass(frozen=True)
class Profile:
    """All features of one sample; JSON-able."""

    rows: int
    features: tuple[FeatureProfile, ...]
    format_version: int = FORMAT_VERSION

    def feature(self, name: str) -> FeatureProfile:
        """The feature called `name`; KeyError where there is none."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Profile:
        """Read one back. Raises StateError where it is damaged or of another format."""
        if data.get("format_version") != FORMAT_VERSION:
            raise StateError(f"profile of format {data.get('format_version')}; this release reads {FORMAT_VERSION}.")
        try:
            features = tuple(
                FeatureProfile(**{**f, "edges": tuple(f["edges"]), "counts": tuple(f["counts"])})
                for f in data["features"]
            )
            return cls(int(data["rows"]), features)
        except (KeyError, TypeError, ValueError) as error:
            raise StateError(f"the stored profile is damaged: {error!r}.") from error


def coarse_edges(deciles: Sequence[float]) -> tuple[float, ...]:
    """Edges from deciles rounded to two digits, so that none is anybody's value."""
    return decile_edges([float(f"{value:.1e}") for value in deciles])


def decile_edges(deciles: Sequence[float]) -> tuple[float, ...]:
    """Edges from nine deciles; equal ones fall together, so that a bin may hold more than a tenth."""
    return tuple(sorted(set(deciles)))


def value_edges(values: Sequence[float]) -> tuple[float, ...]:
    """Edges that give each value a bin of its own, and what lies below, between and above another.

    A value that the reference never had falls in a bin that is empty there, also for a constant feature.
    """
    return tuple(edge for v in sorted(set(values)) for edge in (math.nextafter(v, -math.inf), v))
