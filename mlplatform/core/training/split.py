"""Which rows are trained on, validated on, held out: one rule as SQL (DuckDB's dialect) and as Python.

By hash: ``md5(salt ␟ key₁ ␟ key₂ …)`` as hex; its first eight digits below ``holdout · 16⁸`` → *test*; of the others the
next eight below ``validation · 16⁸`` → *validation*; the rest → *train*. Digits are compared as text, so every engine
with an MD5 decides alike. A key's channel never depends on other rows: what is held out stays so in every window.

By time: the newest ``holdout`` share of the window column's distinct values → *test*, of the older ones the newest
``validation`` share → *validation*.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mlplatform.core.sql import identifier, literal
from mlplatform.errors import DataError

ChannelName = Literal["train", "validation", "test"]
CHANNELS: tuple[ChannelName, ...] = ("train", "validation", "test")
_SEPARATOR = "\x1f"
_DIGITS = 8


@dataclass(frozen=True)
class HashSplit:
    """The rule by hash; shares are in (0, 1)."""

    key: tuple[str, ...]
    holdout: float
    validation: float
    salt: str = ""

    def channel(self, key: Sequence[Any]) -> ChannelName:
        """The channel of one key's rows. Raises DataError for a value whose text engines do not agree on."""
        text = _SEPARATOR.join([self.salt, *(_text(name, value) for name, value in zip(self.key, key, strict=True))])
        digits = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        if digits[:_DIGITS] < _limit(self.holdout):
            return "test"
        return "validation" if digits[_DIGITS : 2 * _DIGITS] < _limit(self.validation) else "train"

    def sql(self) -> str:
        """A DuckDB expression over the key columns whose value is the channel's name."""
        parts = [literal(self.salt), *(f"COALESCE(CAST({identifier(k)} AS VARCHAR), '')" for k in self.key)]
        digits = f"MD5({' || CHR(31) || '.join(parts)})"
        return (
            f"CASE WHEN SUBSTRING({digits}, 1, {_DIGITS}) < '{_limit(self.holdout)}' THEN 'test' "
            f"WHEN SUBSTRING({digits}, {_DIGITS + 1}, {_DIGITS}) < '{_limit(self.validation)}' THEN 'validation' "
            "ELSE 'train' END"
        )

    def holds_out_what(self, other: HashSplit) -> bool:
        """Whether every key that `other` holds out is held out by this rule too."""
        return (self.key, self.salt) == (other.key, other.salt) and self.holdout >= other.holdout


@dataclass(frozen=True)
class TimeSplit:
    """The rule by time; shares are in (0, 1), of the distinct values of `column`."""

    column: str
    holdout: float
    validation: float

    def counts(self, values: int) -> tuple[int, int, int]:
        """How many of `values` distinct values go to train, validation and test: at least one to each from three on."""
        test = min(max(1, math.ceil(values * self.holdout)), values)
        validation = min(max(1, math.ceil((values - test) * self.validation)), values - test)
        return values - test - validation, validation, test

    def channels(self, values: Sequence[Any]) -> dict[Any, ChannelName]:
        """Channel by distinct value."""
        ordered = sorted(set(values))
        train, validation, _ = self.counts(len(ordered))
        return {
            value: "train" if place < train else "validation" if place < train + validation else "test"
            for place, value in enumerate(ordered)
        }

    def sql(self) -> str:
        """A DuckDB expression over a relation with `_rank` (from 1) and `_values` (count) of distinct values."""
        test = f"LEAST(GREATEST(1, CEIL(_values * {_double(self.holdout)})), _values)"
        validation = f"LEAST(GREATEST(1, CEIL((_values - {test}) * {_double(self.validation)})), _values - {test})"
        return (
            f"CASE WHEN _rank > _values - {test} THEN 'test' "
            f"WHEN _rank > _values - {test} - {validation} THEN 'validation' ELSE 'train' END"
        )


Split = HashSplit | TimeSplit


def split_from_json(data: dict[str, Any]) -> Split:
    """The rule that `split_to_json` wrote."""
    if data["by"] == "hash":
        return HashSplit(tuple(data["key"]), data["holdout"], data["validation"], data["salt"])
    return TimeSplit(data["column"], data["holdout"], data["validation"])


def split_to_json(split: Split) -> dict[str, Any]:
    """The rule as JSON, kept in a model's package: the gate asks it which rows the model cannot have seen."""
    if isinstance(split, HashSplit):
        return {
            "by": "hash",
            "key": list(split.key),
            "holdout": split.holdout,
            "validation": split.validation,
            "salt": split.salt,
        }
    return {"by": "time", "column": split.column, "holdout": split.holdout, "validation": split.validation}


def _limit(share: float) -> str:
    return f"{min(int(share * 16**_DIGITS), 16**_DIGITS - 1):0{_DIGITS}x}"


def _double(share: float) -> str:
    return f"CAST({share!r} AS DOUBLE)"


def _text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value.isoformat()
    raise DataError(
        f"Split key '{name}' has a value of type {type(value).__name__}; expected text, a whole number, a date or a boolean.",
        next_step="Cast it to varchar in the query.",
    )
