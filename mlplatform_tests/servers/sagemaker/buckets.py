"""All of S3 as one object store: keys are ``bucket/key``, what follows ``s3://`` in a URI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.ports.object_store import ObjectInfo, ObjectStoreCapabilities
from mlplatform_tests.servers.sagemaker.account import REGION, Account

SCHEME = "s3://"


def key_of(uri: str) -> str:
    """The key of ``s3://bucket/key`` here."""
    return uri.removeprefix(SCHEME)


def buckets_of(account: Account) -> Buckets:
    """The account's S3."""
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return Buckets({"endpoint_url": account.environment["AWS_ENDPOINT_URL"], "region_name": REGION, **keys})


class Buckets:
    """Each bucket is a store of its own, opened when first asked for. `options`: of boto3's client."""

    capabilities = ObjectStoreCapabilities(conditional_put=True, presigned_urls=False, keys_below_keys=True)

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = dict(options)
        self._stores: dict[str, S3ObjectStore] = {}

    def put(self, key: str, data: bytes | Path | BinaryIO, *, if_absent: bool = False) -> ObjectInfo:
        store, rest, bucket = self._at(key)
        return replace(store.put(rest, data, if_absent=if_absent), key=f"{bucket}/{rest}")

    def open(self, key: str) -> BinaryIO:
        store, rest, _ = self._at(key)
        return store.open(rest)

    def head(self, key: str) -> ObjectInfo | None:
        store, rest, _ = self._at(key)
        found = store.head(rest)
        return found and replace(found, key=key)

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        store, rest, bucket = self._at(prefix)
        for info in store.list(rest, after=after.removeprefix(f"{bucket}/")):
            yield replace(info, key=f"{bucket}/{info.key}")

    def delete(self, key: str) -> None:
        store, rest, _ = self._at(key)
        store.delete(rest)

    def url(self, key: str) -> str:
        return f"{SCHEME}{key}"

    def _at(self, key: str) -> tuple[S3ObjectStore, str, str]:
        bucket, _, rest = key.partition("/")
        if bucket not in self._stores:
            self._stores[bucket] = S3ObjectStore(bucket, client_options=self._options)
        return self._stores[bucket], rest, bucket
