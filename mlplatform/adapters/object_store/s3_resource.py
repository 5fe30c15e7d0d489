"""An S3 connection as dagster-aws's resource, for a user's own assets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlplatform.adapters.driver_imports import DRIVER_IMPORTS
from mlplatform.errors import ProfileError

if TYPE_CHECKING:
    from dagster_aws.s3 import S3Resource


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
