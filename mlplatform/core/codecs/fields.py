"""What a request's rows may carry, and the checks both codecs share."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from mlplatform.core.tables.schema import MASKED
from mlplatform.errors import DataError

if TYPE_CHECKING:
    from mlplatform.core.packages.manifest import InputField


@dataclass(frozen=True)
class RequestFields:
    """Inputs of the signature, `keys` that may stand beside them, and how many rows one request may have.

    `personal`: fields whose values no answer tells; where there are some, none tells what else a body holds, either.
    """

    inputs: tuple[InputField, ...]
    keys: tuple[str, ...] = ()
    max_rows: int = 1000
    personal: frozenset[str] = frozenset()
    names: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        inputs = tuple(i.name for i in self.inputs)
        object.__setattr__(self, "names", inputs + tuple(k for k in self.keys if k not in inputs))

    @cached_property
    def known(self) -> frozenset[str]:
        return frozenset(self.names)

    def refuse_unknown(self, names: Iterable[str], where: str) -> None:
        """Raise DataError for the first name that is no field: a misspelt field must not count as a missing value."""
        for name in names:
            if name not in self.known:
                close = difflib.get_close_matches(str(name), self.names, n=1)
                hint = f"Did you mean '{close[0]}'?" if close else ""
                shown = MASKED if self.personal else str(name)[:80]
                raise DataError(
                    f"{where}: there is no field '{shown}'; there are: {', '.join(self.names)}.",
                    next_step=hint,
                )

    def refuse_count(self, rows: int) -> None:
        """Raise DataError for no rows, or too many."""
        if rows == 0:
            raise DataError(f"The request has no rows; expected 1 to {self.max_rows}.")
        if rows > self.max_rows:
            raise DataError(
                f"The request has {rows} rows; expected at most {self.max_rows}.", next_step="Send several requests."
            )
