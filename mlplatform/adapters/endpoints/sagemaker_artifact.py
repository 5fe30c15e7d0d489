"""A model package in the object store as SageMaker fetches it: ``_models/<digest>/model.tar.gz``, once for all generations."""

from __future__ import annotations

import gzip
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

from mlplatform.errors import ConflictError, ProfileError
from mlplatform.ports.object_store import ObjectStore


def artifact_url(store: ObjectStore, digest: str) -> str:
    """Where the package of `digest` lies, or would. Raises ProfileError where SageMaker could not read it."""
    url = store.url(_key(digest))
    if not url.startswith("s3://"):
        raise ProfileError(
            f"SageMaker reads models from S3, and this profile's object store is elsewhere: '{url}'.",
            next_step="Let the connection 'objects' be one of adapter s3.",
        )
    return url


def put_artifact(store: ObjectStore, digest: str, package: Path) -> None:
    """Put the package's files there, unless they are; the same package is the same bytes."""
    key = _key(digest)
    if store.head(key) is not None:
        return
    with tempfile.TemporaryFile() as file:
        with (
            gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w") as archive,
        ):
            for path in sorted(package.iterdir()):
                archive.add(path, arcname=path.name, filter=_plain)
        file.seek(0)
        # Another was faster.
        with suppress(ConflictError):
            store.put(key, file, if_absent=True)


def delete_artifact(store: ObjectStore, digest: str) -> None:
    """Take the package away; no error where it is not there."""
    store.delete(_key(digest))


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644 if entry.isfile() else 0o755
    return entry


def _key(digest: str) -> str:
    return f"_models/{digest}/model.tar.gz"
