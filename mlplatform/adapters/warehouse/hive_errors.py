"""What HiveServer2 answers as the platform's own errors: by SQLSTATE and condition, which Spark puts into its messages."""

from __future__ import annotations

import re
from typing import Literal

from mlplatform.adapters.warehouse.sql_errors import UNTOLD
from mlplatform.errors import (
    BugError,
    DataError,
    PermissionDeniedError,
    PlatformError,
    TransientError,
    UnavailableError,
)

_STATE = re.compile(r"SQLSTATE: (\w{5})")
_CONDITION = re.compile(r"\[([A-Z][A-Z0-9_.]+)\]")
_WRAPPING = re.compile(r"^(?:[\w.$]+(?:Exception|Error): |Error running query: |\[[A-Z0-9_.]+\] )+")
_MISSING: dict[Literal["table", "column"], re.Pattern[str]] = {
    "table": re.compile(
        r"TABLE_OR_VIEW_NOT_FOUND\].*?The table or view ((?:`(?:[^`]|``)*`\.?)+) cannot be found", re.S
    ),
    "column": re.compile(r"UNRESOLVED_COLUMN.*? with name ((?:`(?:[^`]|``)*`\.?)+) cannot be resolved", re.S),
}
_LAST_NAME = re.compile(r"`((?:[^`]|``)*)`$")
_GONE = ("FAILED_READ_FILE.FILE_NOT_EXIST", "PATH_NOT_FOUND", "FileNotFoundException")
_DENIED = ("AccessControlException", "AccessDeniedException", "Permission denied", "HiveAccessControlException")


class FilesGoneError(TransientError):
    """Files that a statement was to read were cleaned up meanwhile: the state that it was made from is out of date."""


class SessionLostError(UnavailableError):
    """The server no longer knows the session, or cannot be reached."""


class RefusedError(DataError):
    """A statement that is wrong, or that a value does not fit; `told`: why."""

    def __init__(self, subject: str, told: str) -> None:
        super().__init__(f"{subject}: {told}")
        self.told = told


class MissingError(RefusedError):
    """A table or column that is not there; `name` without what qualifies it."""

    def __init__(self, subject: str, told: str, *, kind: Literal["table", "column"], name: str) -> None:
        super().__init__(subject, told)
        self.kind = kind
        self.name = name


def statement_error(message: str, subject: str, *, masked: bool = False) -> PlatformError:
    """The platform's error of a statement that the server refused or that failed; `masked`: values are not told."""
    for kind, pattern in _MISSING.items():
        if (found := pattern.search(message)) is not None:
            return MissingError(subject, shown(message), kind=kind, name=_last(found[1]))
    states, told = _STATE.findall(message), shown(message)
    state = next((s for s in states if s.startswith("22")), states[0] if states else "")
    if "Invalid SessionHandle" in message or "Session does not exist" in message:
        return SessionLostError(f"{subject}: the server ended the session.", next_step="Try again.")
    if any(word in message for word in _GONE):
        return FilesGoneError(f"{subject}: files were cleaned up while they were read.", next_step="Try again.")
    if state == "42501" or any(word in message for word in _DENIED):
        return PermissionDeniedError(
            f"{subject}: {told}", next_step="Give the server's user the right to it, or this user in the server."
        )
    if state.startswith("22"):
        return RefusedError(subject, UNTOLD if masked else told)
    if state.startswith(("42", "0A", "21")):
        return RefusedError(subject, told)
    if state.startswith("53") or "OutOfMemoryError" in message:
        return UnavailableError(f"{subject}: {told}", next_step="The server needs more memory, or the query less.")
    return BugError(f"{subject}: {UNTOLD if masked else told}")


def shown(message: str) -> str:
    """What the message says, without Java's names, the query and the stack."""
    text = re.split(r"\n\tat |\n\n?== SQL|\nDriver stacktrace", message, maxsplit=1)[0].strip()
    while (bare := _WRAPPING.sub("", text)) != text:
        text = bare
    condition = _CONDITION.search(message)
    named = f"{condition[1]}: " if condition is not None and condition[1] not in text else ""
    return named + " ".join(text.split())[:600]


def _last(name: str) -> str:
    found = _LAST_NAME.search(name)
    return found[1].replace("``", "`") if found is not None else name
