"""A table's columns as what transforms take: float64 with NaN for missing, or dictionary-encoded text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mlplatform.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


def column(table: pa.Table, name: str) -> pa.ChunkedArray[Any]:
    """The column called `name`. Raises DataError with those there are."""
    if name not in table.column_names:
        raise DataError(
            f"The rows have no column '{name}'; they have: {', '.join(table.column_names)}.",
            next_step="Select it in the feature set's query.",
        )
    return table.column(name)


def numbers(table: pa.Table, name: str) -> npt.NDArray[np.float64]:
    """Values as float64; NULL and NaN are both NaN. Raises DataError for a column that holds no numbers."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    values = column(table, name)
    kind = values.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise DataError(
            f"Column '{name}' has type {kind}, expected numbers.", next_step="Cast it to double in the query."
        )
    doubles: Any = pc.cast(values, pa.float64(), safe=False)
    return np.asarray(pc.fill_null(doubles, math.nan).to_numpy(), dtype=np.float64)


def texts(table: pa.Table, name: str) -> pa.DictionaryArray[Any, Any]:
    """Values dictionary-encoded, NULL as a null index. Raises DataError for a column that holds no text."""
    import pyarrow as pa

    values = _text_column(table, name)
    array: Any = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], pa.string())
    encoded: pa.DictionaryArray[Any, Any] = array.dictionary_encode()
    return encoded


def free_texts(table: pa.Table, name: str) -> list[str | None]:
    """Values, row by row. Raises DataError for a column that holds no text."""
    found: list[str | None] = _text_column(table, name).to_pylist()
    return found


def _text_column(table: pa.Table, name: str) -> pa.ChunkedArray[Any]:
    import pyarrow as pa

    values = column(table, name)
    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise DataError(
            f"Column '{name}' has type {values.type}, expected text.", next_step="Cast it to varchar in the query."
        )
    found: pa.ChunkedArray[Any] = values.cast(pa.string())
    return found
