"""A session with an SQL warehouse: statements one by one or in a transaction, tried again where another was in the way."""

from __future__ import annotations

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from mlplatform.errors import PlatformError, TransientError, UnavailableError

T = TypeVar("T")

ATTEMPTS = 20
_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0


class SqlSession(ABC):
    """One session at a time; a broken one is opened anew by the next statement."""

    _open: Any = None
    _within = False

    @abstractmethod
    def execute(self, sql: str, parameters: Sequence[Any] = (), *, subject: str = "") -> Any:
        """The cursor of the executed statement; ``?`` stands for a parameter.

        Raises:
            PlatformError: what the driver's error means; `subject` is what was worked on.
        """

    @abstractmethod
    def is_conflict(self, error: BaseException) -> bool:
        """Whether a driver's error says that another transaction was in the way: nothing was changed."""

    @property
    def is_open(self) -> bool:
        """Whether there is a session that a statement would go to."""
        return self._open is not None

    def close(self) -> None:
        """Ends the session; the server rolls back what it was in. The next statement opens another."""
        session, self._open = self._open, None
        if session is not None:
            with suppress(Exception):
                self._end(session)

    @abstractmethod
    def _end(self, session: Any) -> None:
        """Ends what was `_open`."""

    def rows(self, sql: str, parameters: Sequence[Any] = (), *, subject: str = "") -> list[tuple[Any, ...]]:
        """Rows of one statement that reads."""
        return self.reading(lambda: [tuple(row) for row in self.execute(sql, parameters, subject=subject).fetchall()])

    def reading(self, attempt: Callable[[], T]) -> T:
        """What `attempt` returns, which reads only; once more in a new session where the open one turns out to be gone.

        A server ends a session that was idle for long. Within a transaction nothing is tried again: it is gone as well.
        """
        was_open = self.is_open and not self._within
        try:
            return attempt()
        except UnavailableError:
            if not was_open:
                raise
            self.close()
            return attempt()

    def count(self, sql: str, parameters: Sequence[Any] = (), *, subject: str = "") -> int:
        """How many rows a statement wrote."""
        return int(self.execute(sql, parameters, subject=subject).rowcount)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A transaction, rolled back whatever is raised in it."""
        self.execute("BEGIN")
        self._within = True
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            with suppress(PlatformError):
                if self.is_open:
                    self.execute("ROLLBACK")
            raise
        finally:
            self._within = False

    def retried(self, attempt: Callable[[], T], subject: str) -> T:
        """What `attempt` returns, after as many conflicts with other transactions as it takes, within bounds."""
        for number in range(ATTEMPTS):
            try:
                return attempt()
            except TransientError as error:
                cause = error.__cause__ or error.__context__
                if cause is None or not self.is_conflict(cause):
                    raise
            time.sleep(random.uniform(0.2, 1) * min(_PAUSE_S * (number + 1), _LONGEST_PAUSE_S))  # noqa: S311
        raise TransientError(
            f"{subject}: lost the race with other transactions {ATTEMPTS} times.", next_step="Try again."
        )
