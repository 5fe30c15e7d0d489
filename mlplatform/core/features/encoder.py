"""The encoder: rows of a request, or a table, to the matrix a model takes. One set of rules for both.

Rows and tables are only *gathered* differently (a dict's values, or Arrow columns) into one float64 matrix: a category
as its code, a number as itself, a free text as its terms' weights, missing as NaN. All rules then work on that matrix, as
bounds of its columns:

    category          0 … count - 1, and count for an unseen one where the signature says ``flag``
    number            minimum … maximum, at most ± the largest float32, so that infinity never passes
    text              from 0; of one that has no known term, and is to be refused, the number of words is -1
    NaN               refused, kept, or replaced by the training median

What lies inside takes no further step. One row that is whole and lies inside, the common request, is compared in plain
Python: for so few numbers, numpy's fixed cost a call is most of the time.
"""

from __future__ import annotations

import math
import numbers as abstract
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mlplatform.core.features.columns import free_texts, numbers, texts
from mlplatform.core.features.terms import Terms
from mlplatform.core.tables.schema import MASKED
from mlplatform.errors import DataError, StateError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from mlplatform.core.features.fitted import FittedField
    from mlplatform.core.packages.manifest import InputField

_NAN = math.nan
_LARGEST = float(np.finfo(np.float32).max)


class Encoded(NamedTuple):
    """The float32 matrix (rows × `Encoder.width`) and each row's flags (``unseen:<field>``)."""

    matrix: npt.NDArray[np.float32]
    flags: list[tuple[str, ...]]


class Encoder:
    """Applies fitted transforms by the signature's rules; immutable, safe from several threads.

    With `masked`, or a personal field, errors tell no value of any field: a text in one may have slipped from another.
    """

    def __init__(self, inputs: Sequence[InputField], fitted: Sequence[FittedField], *, masked: bool = False) -> None:
        if [field.name for field in inputs] != [field.name for field in fitted]:
            raise StateError(
                f"transforms are fitted for {', '.join(f.name for f in fitted)}; "
                f"the signature has {', '.join(f.name for f in inputs)}."
            )
        self._inputs = tuple(inputs)
        self._masked = masked or any(field.personal for field in inputs)
        self._codes = [
            None if f.categories is None else {category: float(i) for i, category in enumerate(f.categories)}
            for f in fitted
        ]
        terms = [None if f.terms is None else Terms(f.terms, f.weights) for f in fitted]
        self._plan = list(zip(inputs, self._codes, terms, strict=True))
        low, high = (
            np.array([pick(field, codes) for field, codes in zip(inputs, self._codes, strict=True)])
            for pick in (_lowest, _highest)
        )
        bounds = zip(self._codes, low.tolist(), high.tolist(), strict=True)
        self._places = [(field.name, place) for field, place in zip(inputs, bounds, strict=True)]
        self._has_texts = any(terms)
        self._field_of = np.repeat(np.arange(len(inputs)), [len(f.columns) for f in fitted])
        self._low, self._high = low[self._field_of], high[self._field_of]
        self._refuse_missing = np.array([field.missing == "refuse" for field in inputs])[self._field_of]
        self._fill = np.array([np.nan if f.median is None else f.median for f in fitted])[self._field_of]

    @property
    def width(self) -> int:
        """Columns of the matrix: one an input, and of a free text one a term and one more."""
        return len(self._field_of)

    def rows(self, rows: Sequence[Mapping[str, Any]]) -> Encoded:
        """Encode rows as a request carries them; a key that is not there, None and NaN are missing, other keys are not looked at.

        Raises:
            DataError: a value does not fit; names row (from 1), field, expectation and finding.
        """
        if len(rows) == 1 and not self._has_texts and (whole := self._whole(rows[0])) is not None:
            return Encoded(whole, [()])
        values: list[float] = []
        flags: list[tuple[str, ...]] = []
        for index, row in enumerate(rows):
            unseen: tuple[str, ...] = ()
            for field, codes, terms in self._plan:
                name = field.name
                value = row.get(name)
                if terms is not None:
                    vector, met = terms.of(_text(value, index, name, self._masked), refuse=field.unseen == "refuse")
                    values += vector
                    unseen = unseen if met else (*unseen, f"unseen:{name}")
                    continue
                if codes is None:
                    values.append(value if type(value) is float else _number(value, index, name, self._masked))
                    continue
                text = value if type(value) is str else _text(value, index, name, self._masked)
                code = _NAN if text is None else codes.get(text)
                if code is None:
                    code = float(len(codes))
                    unseen = (*unseen, f"unseen:{name}")
                values.append(code)
            flags.append(unseen)
        matrix = np.array(values, dtype=np.float64).reshape(len(rows), self.width)
        return Encoded(self._checked(matrix, lambda row, name: rows[row].get(name)), flags)

    def _whole(self, row: Mapping[str, Any]) -> npt.NDArray[np.float32] | None:
        """One row whose every field is there, of its plain type, known and inside its bounds; None for any other."""
        values: list[float] = []
        for name, (codes, low, high) in self._places:
            value = row.get(name)
            if codes is not None:
                value = codes.get(value) if type(value) is str else None
            if (type(value) is not float and type(value) is not int) or not low <= value <= high:
                return None
            values.append(value)
        return np.array((values,), dtype=np.float32)

    def table(self, table: pa.Table) -> Encoded:
        """Encode a table's columns (by name; others are not looked at). Raises DataError as `rows` does."""
        matrix = np.empty((table.num_rows, self.width), dtype=np.float64)
        flags: list[tuple[str, ...]] = [()] * table.num_rows
        after = 0
        for field, codes, terms in self._plan:
            name, place = field.name, after
            after += 1 if terms is None else terms.width
            if terms is not None:
                for row, text in enumerate(free_texts(table, name)):
                    matrix[row, place:after], met = terms.of(text, refuse=field.unseen == "refuse")
                    if not met:
                        flags[row] = (*flags[row], f"unseen:{name}")
                continue
            if codes is None:
                matrix[:, place] = numbers(table, name)
                continue
            encoded = texts(table, name)
            by_index = np.array(
                [codes.get(str(text), float(len(codes))) for text in encoded.dictionary.to_pylist()] + [_NAN]
            )
            indices = encoded.indices.fill_null(len(encoded.dictionary)).to_numpy(zero_copy_only=False)
            matrix[:, place] = by_index[indices]
            for unseen in np.flatnonzero(matrix[:, place] == len(codes)):
                flags[unseen] = (*flags[unseen], f"unseen:{name}")
        return Encoded(self._checked(matrix, lambda row, name: table.column(name)[row].as_py()), flags)

    def _checked(self, matrix: npt.NDArray[np.float64], found: Callable[[int, str], Any]) -> npt.NDArray[np.float32]:
        inside = (matrix >= self._low) & (matrix <= self._high)
        if inside.all():
            return matrix.astype(np.float32)
        missing = np.isnan(matrix)
        bad = np.where(missing, self._refuse_missing, ~inside)
        if bad.any():
            row, place = (int(i) for i in np.argwhere(bad)[0])
            field = self._inputs[int(self._field_of[place])]
            self._refuse(row, field, found(row, field.name), missing=bool(missing[row, place]))
        return np.where(missing, self._fill, matrix).astype(np.float32)

    def _refuse(self, row: int, field: InputField, value: Any, *, missing: bool) -> None:
        where = f"Row {row + 1}, field '{field.name}'"
        shown = describe(value, masked=self._masked)
        if missing:
            expected = "text" if field.type == "varchar" else "a number"
            raise DataError(f"{where}: expected {expected}, found {shown}.", next_step="Send a value.")
        if field.is_text:
            raise DataError(f"{where}: expected a text with a word that training met, found {shown}.")
        codes = self._codes[self._inputs.index(field)]
        if codes is not None:
            some = ", ".join(list(codes)[:10]) + (", …" if len(codes) > 10 else "")
            raise DataError(f"{where}: expected one of the {len(codes)} known values ({some}), found {shown}.")
        low = "" if field.minimum is None else f" from {field.minimum:g}"
        high = "" if field.maximum is None else f" to {field.maximum:g}"
        raise DataError(f"{where}: expected a finite number{low}{high}, found {shown}.")


def describe(value: Any, *, masked: bool = False) -> str:
    """A value as an error message shows it, cut at 80 characters; masked, as what kind of value it is."""
    if value is None:
        return "nothing"
    if masked and isinstance(value, bool | str | abstract.Real):
        return (
            f"a {'text' if isinstance(value, str) else 'boolean' if isinstance(value, bool) else 'number'} ({MASKED})"
        )
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text '{value}'" if len(value) <= 80 else f"a text of {len(value)} characters"
    if isinstance(value, float):
        return f"{value:.17g}"
    if isinstance(value, abstract.Real):
        return f"{value}"[:80]
    return "a list" if isinstance(value, list) else "an object" if isinstance(value, Mapping) else type(value).__name__


def _lowest(field: InputField, codes: Mapping[str, float] | None) -> float:
    return (
        0.0
        if codes is not None or field.is_text
        else max(-_LARGEST, -_LARGEST if field.minimum is None else field.minimum)
    )


def _highest(field: InputField, codes: Mapping[str, float] | None) -> float:
    if codes is not None:
        return float(len(codes) if field.unseen == "flag" else len(codes) - 1)
    return min(_LARGEST, _LARGEST if field.maximum is None else field.maximum)


def _number(value: Any, index: int, name: str, masked: bool) -> float:
    if value is None:
        return _NAN
    if not isinstance(value, bool) and isinstance(value, abstract.Real):
        try:
            return float(value)
        except OverflowError:
            return float("inf")
    raise DataError(f"Row {index + 1}, field '{name}': expected a number, found {describe(value, masked=masked)}.")


def _text(value: Any, index: int, name: str, masked: bool) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, str):
        return str(value)
    raise DataError(f"Row {index + 1}, field '{name}': expected text, found {describe(value, masked=masked)}.")
