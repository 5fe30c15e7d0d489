"""The tree of errors: who can fix it (user, platform, bug) × whether a retry can help.

    PlatformError
    ├── UserError                 the caller's data, file or setting; a retry of the same call fails again
    │   ├── SpecError             a YAML file: names file, key path and line
    │   ├── ProfileError          a profile, a connection, or state made under another profile
    │   ├── DataError             a record, object or request body that does not fit its schema
    │   ├── NotFoundError         an object, table, model or system that is not there
    │   ├── ConflictError         the target is in another state than the call expects
    │   ├── PermissionDeniedError a key, credential or permission is missing or wrong
    │   └── GateError             a verdict without a pass stands in the way
    ├── TransientError            the outside world, for now; the same call may succeed later
    │   ├── ThrottledError        too much at once
    │   ├── UnavailableError      a server or connection is away
    │   └── TimedOutError         a deadline passed
    ├── JobError                  a job's own code failed, was stopped, or ran out of time or memory
    ├── StateError                stored state is damaged or of another version; an operator restores or migrates
    └── BugError                  what must not happen, did; please report it

A message says what failed, on which object, what was expected and what was found, and the next step:
``Table 'a.b' has no column 'ts'; it has: id, event_time. Set event_time.`` An error that says no next step has its kind's.

`EXIT_CODES` and `HTTP_STATUSES` are the one table from errors to what a shell or an HTTP client sees.
"""

from __future__ import annotations


class PlatformError(Exception):
    """Anything the platform raises on purpose.

    Args:
        message: what failed, on which object, expected against found.
        next_step: what the reader can do about it; shown on a line of its own. Without one, the kind's `fallback`, which a
            traceback, and so the page of a run in Dagster's UI, shows as a note.
    """

    retryable = False
    fallback = "See the logs: mlplatform status says where they are."
    """What helps against errors of this kind, where an error says nothing better."""

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.own_step = next_step
        if not next_step:
            self.add_note(f"→ {self.fallback}")

    @property
    def next_step(self) -> str:
        """What the reader can do about it; never empty."""
        return self.own_step or self.fallback

    def __str__(self) -> str:
        """The message and a next step of its own. The fallback is left out: the text may become part of another message."""
        return f"{self.message} {self.own_step}".rstrip()

    @property
    def code(self) -> str:
        """Stable name of the kind of error, for machines: ``data_error``."""
        name = type(self).__name__
        return "".join(("_" if i and c.isupper() else "") + c.lower() for i, c in enumerate(name))


class UserError(PlatformError):
    """The caller's data, file or setting; a retry of the same call fails again."""

    fallback = "Correct what the message names, then call again."


class SpecError(UserError):
    """A YAML file does not describe a system; the message names file, line and key path."""

    fallback = "Correct the file at that place; see what would change with: mlplatform plan"


class ProfileError(UserError):
    """A profile or connection is wrong, or state was made under another profile."""

    fallback = (
        "Correct the profile, or the variable of the environment that it reads; MLPLATFORM_PROFILE chooses another."
    )


class DataError(UserError):
    """A record, object or request body does not fit its schema."""

    fallback = "Correct what the message names and send it again."


class NotFoundError(UserError):
    """An object, table, model or system is not there."""

    fallback = "Name one that is there; mlplatform status shows what is."


class ConflictError(UserError):
    """The target is in another state than the call expects."""

    fallback = "See how it stands now (mlplatform status), then decide anew."


class PermissionDeniedError(UserError):
    """A key, credential or permission is missing or wrong."""

    fallback = "Ask whoever runs this for the key or permission that is missing."


class GateError(UserError):
    """A verdict without a pass stands in the way."""

    fallback = "Change the model or its data and train again; mlplatform models shows versions and metrics."


class TransientError(PlatformError):
    """The outside world, for now; the same call may succeed later."""

    retryable = True
    fallback = "Try again in a moment."


class ThrottledError(TransientError):
    """Too much at once."""

    fallback = "Wait a little, then send less at once."


class UnavailableError(TransientError):
    """A server or connection is away."""

    fallback = "Try again in a moment; mlplatform status says what is away."


class TimedOutError(TransientError):
    """A deadline passed."""

    fallback = "Try again; if it stays so, ask for less at once or give it more time."


class JobError(PlatformError):
    """A job's own code failed, was stopped, or ran out of time or memory."""

    fallback = "Read the end of the job's log; mlplatform status says where the logs are."


class StateError(PlatformError):
    """Stored state is damaged or of another version."""

    fallback = "See what is damaged: mlplatform state check. Then restore a backup: mlplatform state restore"


class BugError(PlatformError):
    """What must not happen, did."""

    fallback = "Please report it, with the log; mlplatform status says where the logs are."


EXIT_CODES: dict[type[PlatformError], int] = {
    SpecError: 3,
    ProfileError: 4,
    DataError: 5,
    NotFoundError: 6,
    ConflictError: 7,
    PermissionDeniedError: 8,
    GateError: 9,
    UserError: 2,
    TransientError: 10,
    JobError: 11,
    StateError: 12,
    BugError: 70,
    PlatformError: 1,
}
"""Exit code of the CLI and of job entrypoints; the nearest class up the tree counts."""

HTTP_STATUSES: dict[type[PlatformError], int] = {
    NotFoundError: 404,
    ConflictError: 409,
    PermissionDeniedError: 401,
    UserError: 400,
    ThrottledError: 429,
    TimedOutError: 504,
    TransientError: 503,
    PlatformError: 500,
}
"""HTTP status of the gateway's answers; the nearest class up the tree counts."""


def exit_code(error: BaseException) -> int:
    """Exit code for `error`: 0 is success, 1 an error nobody mapped."""
    return _nearest(EXIT_CODES, error, 1)


def http_status(error: BaseException) -> int:
    """HTTP status for `error`: 500 for one nobody mapped."""
    return _nearest(HTTP_STATUSES, error, 500)


def _nearest(table: dict[type[PlatformError], int], error: BaseException, default: int) -> int:
    for kind in type(error).__mro__:
        if kind in table:
            return table[kind]
    return default
