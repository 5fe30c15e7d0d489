"""ETags of files: the SHA-256 of the content, kept beside it so that a listing reads no content.

The tag lies in an extended attribute of the file with the size, time of change and inode it was made for; where one of
them differs, the tag is void. On a file system without extended attributes it is remembered by this process.

A file that others put in the folder (`cp`, an editor, an upload) gets its tag when it is first listed and *settled*:
its inode has not changed for some time, and no process has it open for writing (where the kernel can tell: a read lease
is granted on Linux only while there is no writer). Until then it is not an object.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import signal
import time
from pathlib import Path

ATTRIBUTE = "user.mlplatform.etag"
CHUNK_BYTES = 1024 * 1024

_remembered: dict[tuple[int, int], bytes] = {}


def known_etag(path: str, stat: os.stat_result) -> str | None:
    """The tag kept for exactly this state of the file, or None."""
    try:
        kept = os.getxattr(path, ATTRIBUTE)
    except OSError:
        kept = _remembered.get((stat.st_dev, stat.st_ino), b"")
    etag, _, state = kept.partition(b" ")
    return etag.decode() if state == _state(stat) else None


def keep_etag(descriptor: int, etag: str) -> None:
    """Keep `etag` for the file as it is now."""
    stat = os.fstat(descriptor)
    mark = b"%b %b" % (etag.encode(), _state(stat))
    try:
        os.setxattr(descriptor, ATTRIBUTE, mark)
    except OSError:
        _remembered[stat.st_dev, stat.st_ino] = mark


def settled_etag(path: Path, *, settle_s: float) -> tuple[str, os.stat_result] | None:
    """Read a file others wrote, and keep its tag: the tag, and the state it is for. None while it may still be written.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        if abs(time.time() - before.st_ctime) < settle_s or _has_writer(file.fileno()):
            return None
        digest = hashlib.sha256()
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
        after = os.fstat(file.fileno())
        if _state(before) != _state(after):
            return None
        keep_etag(file.fileno(), digest.hexdigest())
    return digest.hexdigest(), after


def _state(stat: os.stat_result) -> bytes:
    return b"%d %d %d" % (stat.st_size, stat.st_mtime_ns, stat.st_ino)


def _has_writer(descriptor: int) -> bool:
    """Whether some process has the file open for writing; False where the kernel does not say."""
    lease, kind = getattr(fcntl, "F_SETLEASE", None), getattr(fcntl, "F_SETSIG", None)
    if lease is None or kind is None:
        return False
    try:
        # Were the lease broken before it is given back, the kernel would send SIGIO, which kills; SIGURG does nothing.
        fcntl.fcntl(descriptor, kind, signal.SIGURG)
        fcntl.fcntl(descriptor, lease, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, lease, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    return False
