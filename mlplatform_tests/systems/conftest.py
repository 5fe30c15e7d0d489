"""The shipped profile for AWS, and the servers that stand for its services, for every system's tests."""

from __future__ import annotations

from mlplatform_tests.systems.aws_profile import (
    aws,
    ministack_server,
    redshift_data_api,
    redshift_server,
    sagemaker_server,
)

__all__ = ["aws", "ministack_server", "redshift_data_api", "redshift_server", "sagemaker_server"]
