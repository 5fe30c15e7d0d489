"""A job's results as SageMaker stores them: ``<prefix><job>/output/model.tar.gz`` and ``output.tar.gz``, or a processing job's
outputs."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mlplatform.adapters.compute.host_tree import HostTree
from mlplatform.adapters.compute.processing_files import store_outputs
from mlplatform.ports.compute import JobSpec
from mlplatform.ports.object_store import ObjectStore


def store_results(store: ObjectStore, job: JobSpec, trees: Sequence[HostTree], scratch: Path) -> str:
    """Put what the job left on its hosts: returns the key of its model, or the prefix of a processing job's outputs."""
    if job.outputs:
        return store_outputs(store, job, {tree.name: tree.processed for tree in trees})
    others = {tree.name: tree.output / "data" for tree in trees[1:]}
    return store_artifacts(store, job.output_prefix, job.name, trees[0], others, scratch)


def store_artifacts(
    store: ObjectStore, prefix: str, job: str, first: HostTree, others: Mapping[str, Path], scratch: Path
) -> str:
    """Pack and put both; returns the model artifact's key. The same content gives the same bytes.

    The model is that of the `first` host; what `others` left as output data lies under ``data/<host>/`` of the output.
    """
    base = f"{prefix.rstrip('/')}/{job}/output"
    for folder, name, inner in ((first.model, "model.tar.gz", {}), (first.output, "output.tar.gz", others)):
        path = scratch / name
        _pack(folder, {f"data/{host}": data for host, data in inner.items()}, path)
        store.put(f"{base}/{name}", path)
        path.unlink()
    return f"{base}/model.tar.gz"


def _pack(folder: Path, inner: Mapping[str, Path], target: Path) -> None:
    with (
        target.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0, compresslevel=1) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for root, below in (("", folder), *sorted(inner.items())):
            for path in sorted(below.rglob("*")):
                name = path.relative_to(below).as_posix()
                archive.add(path, f"{root}/{name}" if root else name, recursive=False, filter=_plain)


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.mtime = 0
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    return info
