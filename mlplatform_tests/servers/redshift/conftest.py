"""One server for every test of this folder, also as AWS lets its callers in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.redshift.server import Redshift
from mlplatform_tests.servers.redshift.ways import RedshiftOnAws, redshift_on_aws

__all__ = ["ministack_server", "redshift_server"]


@pytest.fixture(scope="session")
def on_aws(
    redshift_server: Redshift, ministack_server: Ministack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedshiftOnAws]:
    import boto3

    client = boto3.client("s3", **ministack_server.client_options)
    with redshift_on_aws(redshift_server, client, tmp_path_factory.mktemp("aws")) as found:
        yield found
    client.close()
