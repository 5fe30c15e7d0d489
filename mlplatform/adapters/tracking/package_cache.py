"""Local copies of model packages: verified, read-only, a folder a digest; any number of processes may use one cache."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from mlplatform.core.packages.manifest import read_package
from mlplatform.errors import StateError


class PackageCache:
    """Under `folder`, which is made at the first copy."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()

    def get(self, digest: str) -> Path | None:
        """The copy, None where there is none; a damaged one is taken away."""
        target = self._folder / digest
        if not target.is_dir():
            return None
        try:
            read_package(target, digest=digest)
        except StateError:
            _remove(target)
            return None
        return target

    def keep(self, digest: str, fill: Callable[[Path], None], *, what: str) -> Path:
        """The copy of what `fill` puts into the folder that it is given. Raises StateError where that is not `digest`'s."""
        target = self._folder / digest
        self._folder.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{digest[:12]}.", dir=self._folder))
        try:
            fill(aside)
            read_package(aside, digest=digest)
            for path in aside.iterdir():
                path.chmod(0o444)
            aside.chmod(0o555)
            aside.rename(target)
        except OSError as error:
            _remove(aside)
            if not target.is_dir():  # else another process was first, with the same content
                raise StateError(f"The package of {what} cannot be read: {error}.") from error
        except BaseException:
            _remove(aside)
            raise
        return target


def _remove(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.chmod(0o755)
    shutil.rmtree(folder, ignore_errors=True)
