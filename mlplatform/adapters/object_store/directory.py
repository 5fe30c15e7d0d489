"""A folder as object store: keys are paths below it, objects plain files that any engine reads.

A put is written aside (``.incoming/``), fsynced, then renamed or linked into place and the folder fsynced: visible whole,
at once, durable. Files that people copy into the folder are objects too, once they are settled (see `file_etag`). What
starts with "." is never an object, nor is a symbolic link; so ``cp x .x && mv .x x`` makes a file visible at once, whole.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat as modes
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict, Field

from mlplatform.adapters.object_store.file_etag import CHUNK_BYTES, keep_etag, known_etag, settled_etag
from mlplatform.adapters.object_store.folder_names import FolderNames, keys_between
from mlplatform.adapters.object_store.keys import check_key, check_prefix
from mlplatform.adapters.object_store.source import opened
from mlplatform.errors import ConflictError, DataError, NotFoundError, PermissionDeniedError, UnavailableError
from mlplatform.ports.object_store import ObjectInfo, ObjectStoreCapabilities

_INCOMING = ".incoming"
_ABANDONED_S = 86_400.0


class DirectorySettings(BaseModel):
    """A connection's settings, as a profile writes them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: Path | None = Field(default=None, description="The folder; none: `objects` under MLPLATFORM_HOME.")


class DirectoryObjectStore:
    """Objects below `root`, which is made where it is missing.

    `settle_s`: seconds without change after which a file that somebody copied into the folder counts as complete.
    """

    capabilities = ObjectStoreCapabilities(conditional_put=True, presigned_urls=False, keys_below_keys=False)

    def __init__(self, root: Path, *, settle_s: float = 1.0) -> None:
        self.root = root.absolute()
        self._text = str(self.root)
        self._real = self.root.resolve()
        self._settle_s = settle_s
        self._incoming = self.root / _INCOMING
        self._names = FolderNames()
        with _mapped("", self.root):
            _make_folder(self._incoming)
            for left in self._incoming.iterdir():
                with contextlib.suppress(FileNotFoundError):  # another process has just put it in its place
                    if time.time() - left.stat().st_mtime > _ABANDONED_S:
                        left.unlink()

    def put(self, key: str, data: bytes | Path | BinaryIO, *, if_absent: bool = False) -> ObjectInfo:
        target = self._path(key)
        with opened(data) as source, self._aside(key) as temporary:
            with temporary.open("wb") as file:
                etag = self._copy(key, source, file)
                with _mapped(key, self.root):
                    keep_etag(file.fileno(), etag)
                    os.fsync(file.fileno())
                    stat = os.fstat(file.fileno())
            with _mapped(key, self.root):
                _make_folder(target.parent)
                if if_absent:
                    self._link(key, temporary, target)
                else:
                    temporary.replace(target)
                _sync_folder(target.parent)
        return _info(key, stat, etag)

    def open(self, key: str) -> BinaryIO:
        path = self._path(key)
        if self.head(key) is not None:
            with _mapped(key, self.root), contextlib.suppress(FileNotFoundError):  # deleted since
                return path.open("rb")
        raise NotFoundError(
            f"There is no object '{key}' in '{self.root}'.", next_step="See those there are: mlplatform objects PREFIX"
        )

    def head(self, key: str) -> ObjectInfo | None:
        with _mapped(key, self.root):
            return self._find(key, str(self._path(key)))

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        folder = prefix[: prefix.rfind("/") + 1]
        return self._walk(folder, prefix, after)

    def delete(self, key: str) -> None:
        path = self._path(key)
        with _mapped(key, self.root):
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
                return
            _sync_folder(path.parent)

    def url(self, key: str) -> str:
        return str(self._path(key))

    @contextlib.contextmanager
    def _aside(self, key: str) -> Iterator[Path]:
        """A new file outside of all keys, for the length of the block."""
        with _mapped(key, self.root):
            descriptor, name = tempfile.mkstemp(dir=self._incoming)
            os.close(descriptor)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def _copy(self, key: str, source: BinaryIO, target: BinaryIO) -> str:
        """Copy all bytes; their hash. The source's errors stay its own."""
        digest = hashlib.sha256()
        while chunk := source.read(CHUNK_BYTES):
            digest.update(chunk)
            with _mapped(key, self.root):
                target.write(chunk)
        with _mapped(key, self.root):
            target.flush()
        return digest.hexdigest()

    def _link(self, key: str, temporary: Path, target: Path) -> None:
        try:
            target.hardlink_to(temporary)
        except FileExistsError:
            raise ConflictError(f"Object '{key}' exists already in '{self.root}'; expected none.") from None

    def _path(self, key: str) -> Path:
        """The file of `key`. Raises ConflictError where a symbolic link below the root leads elsewhere."""
        check_key(key)
        path = self.root / key
        if os.path.realpath(path.parent) != str(self._real / path.parent.relative_to(self.root)):
            raise ConflictError(
                f"Object '{key}' in '{self.root}': a folder on its way is a symbolic link.",
                next_step="Replace the link by a folder, or choose another key.",
            )
        return path

    def _walk(self, folder: str, prefix: str, after: str) -> Iterator[ObjectInfo]:
        """Objects below `folder` ("" or ending in "/"); whole folders before `after` are not looked into."""
        with _mapped(folder, self.root):
            names = self._names.of(f"{self._text}/{folder}")
            for key in keys_between(names, folder, prefix, after):
                if key.endswith("/"):
                    yield from self._walk(key, prefix, after)
                elif info := self._find(key, f"{self._text}/{key}"):
                    yield info

    def _find(self, key: str, path: str) -> ObjectInfo | None:
        try:
            stat = os.lstat(path)
            if not modes.S_ISREG(stat.st_mode):
                return None
            etag = known_etag(path, stat)
            if etag is not None:
                return _info(key, stat, etag)
            settled = settled_etag(Path(path), settle_s=self._settle_s)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return None if settled is None else _info(key, settled[1], settled[0])


def _info(key: str, stat: os.stat_result, etag: str) -> ObjectInfo:
    return ObjectInfo(key, stat.st_size, etag, datetime.fromtimestamp(stat.st_mtime, UTC))


def _make_folder(path: Path) -> None:
    """Make `path` and its parents, durably."""
    if path.is_dir():
        return
    _make_folder(path.parent)
    path.mkdir(exist_ok=True)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _mapped(key: str, root: Path) -> Iterator[None]:
    """Operating system errors as the platform's."""
    try:
        yield
    except OSError as error:
        what = f"Object '{key}' in '{root}': {error.strerror or error}"
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise PermissionDeniedError(f"{what}.", next_step="Give this user the right to it.") from error
        if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.EEXIST):
            raise ConflictError(
                f"{what}: a key cannot be a folder of other keys here.", next_step="Choose another key."
            ) from error
        if error.errno == errno.ENAMETOOLONG:
            raise DataError(f"{what}.", next_step="Choose a shorter key.") from error
        raise UnavailableError(f"{what}.", next_step="Check the disk (space, mount).") from error
