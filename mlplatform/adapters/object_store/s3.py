"""Amazon S3, or what speaks its protocol, as object store (https://docs.aws.amazon.com/AmazonS3/latest/API/).

S3 has no folders and no rename: a put replaces an object at once, and is seen by every read and listing that starts
afterwards. Objects above `PART_BYTES` go up in parts, which are one object only once the upload is completed; a process
that dies before leaves an incomplete upload (let a lifecycle rule of the bucket remove those). The ETag is S3's own.

Where the answer to a conditional put is lost, boto3 asks again, and S3 refuses: the object is there. It bears the put's own
mark then, and the put is done.
"""

from __future__ import annotations

import contextlib
import io
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from pydantic import Field

from mlplatform.adapters.aws.client import AwsSettings, aws_client
from mlplatform.adapters.aws.errors import was_retried
from mlplatform.adapters.object_store.keys import check_key, check_prefix
from mlplatform.adapters.object_store.s3_errors import is_bare, mapped
from mlplatform.adapters.object_store.source import opened
from mlplatform.errors import ConflictError, NotFoundError, PlatformError
from mlplatform.ports.object_store import ObjectInfo, ObjectStoreCapabilities

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

FIRST_KEYS, KEYS = 100, 1000
"""Of a listing's first page and of each further one: who lists behind a key often wants the first few only."""
_MARK = "mlplatform-put"
"""Metadata by which a put that is tried again knows its own object."""
PART_BYTES = 8 * 1024 * 1024
"""Memory of a put; S3 takes 10,000 parts, so that an object may have 78 GiB."""


class S3Settings(AwsSettings):
    """A connection's settings, as a profile writes them."""

    bucket: str = Field(min_length=3, max_length=63, description="The bucket; it must be there.")
    prefix: str = Field(default="", description="Below it lie the objects of this installation.")
    kms_key: str = Field(
        default="",
        description="Id or ARN of the KMS key that objects are encrypted with; none: as the bucket does it by itself.",
    )


class S3ObjectStore:
    """Objects of `bucket` below `prefix`, at AWS or at `endpoint_url`; those put are encrypted with `kms_key`, where it is given.

    `client_options` are further arguments of ``boto3.client``; credentials that are not among them, and a `region` that is
    not given, come from where boto3 finds them: environment, profile, role.
    """

    capabilities = ObjectStoreCapabilities(conditional_put=True, presigned_urls=True, keys_below_keys=True)

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        kms_key: str = "",
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        if prefix:
            check_prefix(prefix)
        self._bucket = bucket
        self._prefix = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
        self._sealed = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key} if kms_key else {}
        self._bucket_seen = False
        self._client = _client({"endpoint_url": endpoint_url, "region_name": region, **(client_options or {})})

    def put(self, key: str, data: bytes | Path | BinaryIO, *, if_absent: bool = False) -> ObjectInfo:
        check_key(key)
        target: dict[str, Any] = {"Bucket": self._bucket, "Key": self._prefix + key}
        condition: dict[str, Any] = {"IfNoneMatch": "*"} if if_absent else {}
        mark = uuid.uuid4().hex
        sealed = {**target, **self._sealed}
        marked = {**sealed, "Metadata": {_MARK: mark}}
        with opened(data) as source:
            first = _part(source)
            try:
                with mapped(self.url(key)):
                    if len(first) < PART_BYTES:
                        answer: Any = self._client.put_object(
                            **(marked if if_absent else sealed), Body=first, **condition
                        )
                        size_bytes = len(first)
                    else:
                        answer, size_bytes = self._put_parts(target, marked, first, source, condition)
            except (ConflictError, NotFoundError) as error:
                done = self._done(key, mark) if was_retried(error) else None
                if done is None:
                    raise
                return done
        stamp = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
        modified = parsedate_to_datetime(stamp) if stamp else datetime.now(UTC)
        return ObjectInfo(key, size_bytes, _etag(answer), modified)

    def open(self, key: str) -> BinaryIO:
        check_key(key)
        with mapped(self.url(key)):
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + key)
        return cast("BinaryIO", io.BufferedReader(_Body(answer["Body"], self.url(key)), 1024 * 1024))

    def head(self, key: str) -> ObjectInfo | None:
        check_key(key)
        found = self._head(key)
        return None if found is None else _info(key, found)

    def list(self, prefix: str, *, after: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        return self._list(prefix, after)

    def delete(self, key: str) -> None:
        check_key(key)
        with mapped(self.url(key)):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + key)

    def url(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def close(self) -> None:
        """Close the client's connections."""
        self._client.close()

    def _head(self, key: str) -> Any:
        try:
            with mapped(self.url(key)):
                found = self._client.head_object(Bucket=self._bucket, Key=self._prefix + key)
        except PlatformError as error:
            is_missing = isinstance(error, NotFoundError)
            if is_bare(error) and not (is_missing and self._bucket_seen):
                self._say_why(key)
            if not is_missing:
                raise
            return None
        self._bucket_seen = True
        return found

    def _say_why(self, key: str) -> None:
        """Raises what S3 has against this caller or the bucket, which it does not say where it was asked by HEAD."""
        with mapped(self.url(key)):
            self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix + key, MaxKeys=1)
        self._bucket_seen = True

    def _done(self, key: str, mark: str) -> ObjectInfo | None:
        """The object, if it is the one that was put with `mark`: an answer was lost, and who asked again was refused."""
        found = self._head(key)
        return _info(key, found) if found is not None and found.get("Metadata", {}).get(_MARK) == mark else None

    def _list(self, prefix: str, after: str) -> Iterator[ObjectInfo]:
        request: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix + prefix, "MaxKeys": FIRST_KEYS}
        if after:
            request["StartAfter"] = self._prefix + after
        while True:
            with mapped(self.url(prefix)):
                page = self._client.list_objects_v2(**request)
            for found in page.get("Contents", ()):
                key = found["Key"].removeprefix(self._prefix)
                if not key.endswith("/"):
                    yield ObjectInfo(
                        key, found["Size"], found["ETag"].strip('"'), found["LastModified"].astimezone(UTC)
                    )
            if not page.get("IsTruncated"):
                return
            request |= {"ContinuationToken": page["NextContinuationToken"], "MaxKeys": KEYS}

    def _put_parts(
        self,
        target: dict[str, Any],
        marked: dict[str, Any],
        first: bytes,
        source: BinaryIO,
        condition: dict[str, Any],
    ) -> tuple[Any, int]:
        upload = {**target, "UploadId": self._client.create_multipart_upload(**marked)["UploadId"]}
        parts: list[dict[str, Any]] = []
        size_bytes = 0
        try:
            while first:
                number = len(parts) + 1
                answer = self._client.upload_part(**upload, PartNumber=number, Body=first)
                parts.append({"PartNumber": number, "ETag": answer["ETag"]})
                size_bytes += len(first)
                first = _part(source)
            done: Any = {"Parts": parts}
            return self._client.complete_multipart_upload(**upload, MultipartUpload=done, **condition), size_bytes
        except BaseException:
            with contextlib.suppress(Exception):
                self._client.abort_multipart_upload(**upload)
            raise


class _Body(io.RawIOBase):
    """An object's bytes as they come; errors on the way are the platform's."""

    def __init__(self, body: Any, url: str) -> None:
        self._body = body
        self._url = url

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        with mapped(self._url):
            data: bytes = self._body.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._body.close()
        super().close()


def _info(key: str, head: Any) -> ObjectInfo:
    return ObjectInfo(key, head["ContentLength"], _etag(head), head["LastModified"].astimezone(UTC))


def _client(options: Mapping[str, Any]) -> S3Client:
    client: S3Client = aws_client("s3", options)
    return client


def _etag(answer: Any) -> str:
    return str(answer["ETag"]).strip('"')


def _part(source: BinaryIO) -> bytes:
    """The next `PART_BYTES`, fewer only at the end, also of a source that gives less at a time."""
    pieces, left = [], PART_BYTES
    while left and (piece := source.read(left)):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
