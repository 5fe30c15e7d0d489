"""A model package in the object store as SageMaker fetches it: ``_models/<digest>/model.tar.gz``, once for all generations."""

from __future__ import annotations

import gzip
import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path

from mlplatform.errors import ConflictError, ProfileError, StateError
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


def lay_artifact(store: ObjectStore, digest: str, package: Path) -> str:
    """Put the package there, unless it is; where it lies. Raises ProfileError as `artifact_url` does."""
    url = artifact_url(store, digest)
    put_artifact(store, digest, package)
    return url


def get_artifact(store: ObjectStore, digest: str, folder: Path) -> Path:
    """The package's files in `folder`, fetched unless they are there; several processes may ask at once.

    Raises:
        NotFoundError: no package of that digest lies in the store.
        StateError: what lies there is no package.
    """
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as new:
        try:
            with store.open(_key(digest)) as stream, tarfile.open(fileobj=stream, mode="r|gz") as archive:
                archive.extractall(Path(new) / "package", filter="data")
        except (tarfile.TarError, EOFError) as error:
            raise StateError(
                f"The model package at '{store.url(_key(digest))}' is damaged: {error}.",
                next_step="Delete that object, and deploy the version again: it is then put there anew.",
            ) from error
        with suppress(OSError):  # Another was faster.
            (Path(new) / "package").rename(folder)
    return folder


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
