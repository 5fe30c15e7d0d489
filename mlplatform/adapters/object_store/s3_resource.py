"""Between an S3 connection and dagster-aws's resource: the one made from the other, both ways, for a user's own assets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlplatform.adapters.driver_imports import DRIVER_IMPORTS
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.errors import ProfileError

if TYPE_CHECKING:
    from dagster_aws.s3 import S3Resource

_OPTIONS = (
    "endpoint_url",
    "region_name",
    "use_ssl",
    "verify",
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
)


def s3_resource(*, endpoint_url: str | None = None, region: str | None = None) -> S3Resource:
    """`get_client()` is boto3's client at that place; credentials come from where boto3 finds them.

    Raises:
        ProfileError: the package dagster-aws is not there.
    """
    try:
        with DRIVER_IMPORTS:
            from dagster_aws.s3 import S3Resource
    except ImportError as error:
        raise ProfileError(
            "An S3 resource needs the package dagster-aws, found none.", next_step="pip install 'mlplatform[s3]'"
        ) from error
    return S3Resource(endpoint_url=endpoint_url, region_name=region)


def store_of(resource: S3Resource, bucket: str, *, prefix: str = "") -> S3ObjectStore:
    """The objects of a bucket below `prefix`, by a resource that a user configured.

    Raises:
        ProfileError: it names a profile of AWS's, or signs nothing.
    """
    odd = [name for name in ("profile_name", "use_unsigned_session") if getattr(resource, name)]
    if odd:
        raise ProfileError(
            f"A store cannot be made of an S3 resource with {', '.join(odd)}.",
            next_step="Give it keys, or set AWS_PROFILE and leave it to boto3.",
        )
    return S3ObjectStore(bucket, prefix, client_options={name: getattr(resource, name) for name in _OPTIONS})
