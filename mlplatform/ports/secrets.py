"""Secrets: names to values that never reach code, logs, URLs or metadata."""

from __future__ import annotations

from typing import Protocol

from pydantic import SecretStr


class Secrets(Protocol):
    """Secrets Manager's role."""

    def get(self, name: str) -> SecretStr:
        """The secret called `name`.

        Raises:
            NotFoundError: with the name and where it was looked for, never a value.
        """
        ...
