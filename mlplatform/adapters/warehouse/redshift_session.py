"""What the warehouse needs of a session with Redshift, whichever way it came in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.warehouse.redshift_settings import DataApiSettings, DriverSettings
from mlplatform.adapters.warehouse.sql_session import SqlSession

if TYPE_CHECKING:
    import pyarrow as pa


class RedshiftSession(SqlSession):
    """A session whose results are read as Arrow."""

    settings: DriverSettings | DataApiSettings

    @abstractmethod
    def table(self, select: str, parameters: Sequence[Any] = (), *, timeout_s: float | None = None) -> pa.Table:
        """All rows of a statement, which is cancelled after `timeout_s`. Duplicate column names stay."""

    @abstractmethod
    def parts(self, select: str) -> Iterator[pa.Table]:
        """The rows a part at a time, all of one schema; one part without rows where there are none.

        Raises:
            DataError: later rows of a number without declared places need more of them than the first.
        """
