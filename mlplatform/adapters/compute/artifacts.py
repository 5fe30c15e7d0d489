"""A job's results as SageMaker stores them: ``<prefix><job>/output/model.tar.gz`` and ``output.tar.gz``."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

from mlplatform.ports.object_store import ObjectStore


def store_artifacts(store: ObjectStore, prefix: str, job: str, model: Path, output: Path, scratch: Path) -> str:
    """Pack and put both; returns the model artifact's key. The same content gives the same bytes."""
    base = f"{prefix.rstrip('/')}/{job}/output"
    for folder, name in ((model, "model.tar.gz"), (output, "output.tar.gz")):
        path = scratch / name
        _pack(folder, path)
        store.put(f"{base}/{name}", path)
        path.unlink()
    return f"{base}/model.tar.gz"


def _pack(folder: Path, target: Path) -> None:
    with (
        target.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=1) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path in sorted(folder.rglob("*")):
            archive.add(path, path.relative_to(folder).as_posix(), recursive=False, filter=_plain)


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.mtime = 0
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info
