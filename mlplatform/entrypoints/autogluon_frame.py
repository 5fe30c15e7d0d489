"""The encoder's matrix as a frame that AutoGluon takes, the same in training and in serving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from mlplatform.core.features.fitted import FittedField


def frame_of(matrix: npt.NDArray[np.float32], fitted: Sequence[FittedField]) -> pd.DataFrame:
    """A column an input: numbers as float64 with NaN for missing, categories by name; an unseen one is missing.

    A free text is a column a term, and one for its number of words.
    """
    import pandas as pd

    columns: dict[str, Any] = {}
    after = 0
    for field in fitted:
        place, after = after, after + len(field.columns)
        values = matrix[:, place]
        if field.categories is None:
            columns |= {name: matrix[:, place + i].astype(np.float64) for i, name in enumerate(field.columns)}
            continue
        known = (values >= 0) & (values < len(field.categories))
        codes = np.where(known, values, -1).astype(np.int32)
        columns[field.name] = pd.Categorical.from_codes(codes, categories=list(field.categories))  # type: ignore[call-overload]
    return pd.DataFrame(columns)
