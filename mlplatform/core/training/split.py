"""Which rows are trained on, validated on, held out: one rule as SQL (DuckDB's dialect) and as Python.

By hash: ``md5(salt ␟ key₁ ␟ key₂ …)`` as hex; its first eight digits below ``holdout · 16⁸`` → *test*; of the others the
next eight below ``validation · 16⁸`` → *validation*; the rest → *train*. Digits are compared as text, so every engine
with an MD5 decides alike. A key's channel never depends on other rows: what is held out stays so in every window.

A sample and the share of one of several hosts are chosen in the same way, each by a salt of its own.

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
_SAMPLE, _SHARE = "sample", "share"


@dataclass(frozen=True)
class HashSplit:
    """The rule by hash; shares are in (0, 1)."""

    key: tuple[str, ...]
    holdout: float
    validation: float
    salt: str = ""

    def channel(self, key: Sequence[Any]) -> ChannelName:
        """The channel of one key's rows. Raises DataError for a value whose text engines do not agree on."""
        digits = _hash(self.salt, self.key, key)
        if digits[:_DIGITS] < _limit(self.holdout):
            return "test"
        return "validation" if digits[_DIGITS : 2 * _DIGITS] < _limit(self.validation) else "train"

    def sql(self) -> str:
        """A DuckDB expression over the key columns whose value is the channel's name."""
        digits = _hash_sql(self.salt, self.key)
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


def sample_sql(key: Sequence[str], share: float, seed: int) -> str:
    """A DuckDB condition that `share` of the keys fulfil: always the same for a seed."""
    return f"SUBSTRING({_hash_sql(f'{_SAMPLE} {seed}', key)}, 1, {_DIGITS}) < '{_limit(share)}'"


def share_sql(key: Sequence[str], share: int, shares: int) -> str:
    """A DuckDB condition that the keys of one of `shares` fulfil (from 0): each key those of exactly one."""
    digits = f"SUBSTRING({_hash_sql(_SHARE, key)}, 1, {_DIGITS})"
    bounds = [f"{digits} >= '{_bound(share, shares)}'"] if share else []
    bounds += [f"{digits} < '{_bound(share + 1, shares)}'"] if share + 1 < shares else []
    return " AND ".join(bounds) or "1 = 1"


def share_of(key: Sequence[str], values: Sequence[Any], shares: int) -> int:
    """Which of `shares` the rows of one key are in, as `share_sql` says. Raises DataError as `HashSplit.channel` does."""
    digits = _hash(_SHARE, key, values)[:_DIGITS]
    return next(n for n in reversed(range(shares)) if n == 0 or digits >= _bound(n, shares))


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


def _hash_sql(salt: str, key: Sequence[str]) -> str:
    parts = [literal(salt), *(f"COALESCE(CAST({identifier(k)} AS VARCHAR), '')" for k in key)]
    return f"MD5({' || CHR(31) || '.join(parts)})"


def _hash(salt: str, names: Sequence[str], values: Sequence[Any]) -> str:
    text = _SEPARATOR.join([salt, *(_text(name, value) for name, value in zip(names, values, strict=True))])
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def _bound(share: int, shares: int) -> str:
    return f"{share * 16**_DIGITS // shares:0{_DIGITS}x}"


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
