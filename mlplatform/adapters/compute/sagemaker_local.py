"""What lies on this machine of a job that ran on SageMaker: its log, and its artifacts, unpacked.

<job>/job.log                  lines as they came
<job>/opt/ml/model/            of model.tar.gz
<job>/opt/ml/output/           of output.tar.gz
<job>/opt/ml/processing/output/  a processing job's outputs
"""

from __future__ import annotations

import contextlib
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from mlplatform.adapters.compute.tree import JobTree
from mlplatform.errors import NotFoundError, StateError
from mlplatform.ports.object_store import ObjectStore


class LocalCopies:
    """Folders of jobs under `root`. An artifact is unpacked aside and renamed: who sees a folder, sees all of it."""

    def __init__(self, root: Path, store: ObjectStore) -> None:
        self._root = root
        self._store = store

    def tree(self, job: str) -> JobTree:
        return JobTree(self._root / job)

    def log(self, job: str) -> Callable[[str], None]:
        """Writes lines of the job's log; an earlier copy stays until the first one comes: CloudWatch may have forgotten it."""
        path, mode = self.tree(job).log, "w"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

        def write(line: str) -> None:
            nonlocal mode
            with path.open(mode, encoding="utf-8") as file:
                file.write(f"{line}\n")
            mode = "a"

        return write

    def model(self, job: str, key: str) -> Path | None:
        """The model's folder, fetched once from `key`; None where the job left none."""
        return self._unpacked(key, self.tree(job).first.model)

    def output(self, job: str, key: str) -> Path | None:
        """The output's folder."""
        return self._unpacked(key, self.tree(job).first.output)

    def outputs(self, job: str, prefix: str) -> Path:
        """The folder of a processing job's outputs, fetched once from the objects below `prefix`."""
        folder = self.tree(job).first.processed
        if folder.is_dir():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".output.", dir=folder.parent))
        try:
            for info in self._store.list(prefix):
                target = aside / info.key.removeprefix(prefix)
                target.parent.mkdir(parents=True, exist_ok=True)
                with self._store.open(info.key) as source, target.open("wb") as file:
                    shutil.copyfileobj(source, file, 1 << 20)
            with contextlib.suppress(OSError):  # another process was first
                aside.rename(folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return folder

    def remove(self, job: str) -> None:
        shutil.rmtree(self._root / job, ignore_errors=True)

    def _unpacked(self, key: str, folder: Path) -> Path | None:
        if folder.is_dir():
            return folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            with self._store.open(key) as stream, tarfile.open(fileobj=stream, mode="r|gz") as archive:
                archive.extractall(aside, filter="data")
            with contextlib.suppress(OSError):  # another process was first
                aside.rename(folder)
        except NotFoundError:
            return None
        except tarfile.TarError as error:
            raise StateError(
                f"'{self._store.url(key)}' is no archive that can be unpacked: {error}.",
                next_step="Look at it; the job has to run again under another name.",
            ) from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return folder
