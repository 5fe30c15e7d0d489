"""What a disk can do to a command: full, read-only, failing, or not this user's. No fault of the platform's."""

from __future__ import annotations

import errno

from mlplatform.errors import PermissionDeniedError, PlatformError, UnavailableError

_FAILING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}


def disk_error(error: OSError) -> PlatformError | None:
    """The error in words, where the disk is to blame; None for any other."""
    said = f"{error.strerror}: '{error.filename}'." if error.filename else f"{error.strerror}."
    if error.errno in _FAILING:
        return UnavailableError(said, next_step="Check the disk (space, mount), then try again.")
    if error.errno in _FORBIDDEN:
        return PermissionDeniedError(said, next_step="Give this user the right to it, or another MLPLATFORM_HOME.")
    return None
