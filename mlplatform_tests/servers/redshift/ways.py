"""Redshift as AWS lets its callers in: by temporary passwords over TLS, and by the Data API; one server a session."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.redshift import RedshiftWarehouse
from mlplatform.adapters.warehouse.redshift_settings import redshift_settings
from mlplatform_tests.servers.redshift.aws.certificate import certificate
from mlplatform_tests.servers.redshift.aws.control_plane import CLUSTER, WORKGROUP, ControlPlane
from mlplatform_tests.servers.redshift.aws.data_api import DataApi
from mlplatform_tests.servers.redshift.aws.server import Aws, aws
from mlplatform_tests.servers.redshift.bulk import BulkStatements
from mlplatform_tests.servers.redshift.proxy import RedshiftProxy
from mlplatform_tests.servers.redshift.server import Redshift

WAYS: Mapping[str, Mapping[str, Any]] = {
    "iam": {"access": "iam", "cluster": CLUSTER, "db_user": "loader", "create_user": True},
    "serverless": {"access": "serverless", "workgroup": WORKGROUP},
    "data-api": {"access": "data-api", "workgroup": WORKGROUP},
    "data-api of a cluster": {"access": "data-api", "cluster": CLUSTER, "db_user": "loader"},
    "data-api with a secret": {
        "access": "data-api",
        "cluster": CLUSTER,
        "secret_arn": "arn:aws:secretsmanager:::right",
    },
}


@dataclass(frozen=True)
class RedshiftOnAws:
    """A server behind what AWS puts before it."""

    redshift: Redshift
    aws: Aws
    data_api: DataApi
    env: Mapping[str, str]

    def settings(self, way: str, **more: Any) -> dict[str, Any]:
        """Settings of a connection, as a profile has them."""
        return {"database": "postgres", **WAYS[way], **more}

    def warehouse(self, way: str, system: str | None = None, **more: Any) -> RedshiftWarehouse:
        """The warehouse of `system`, or of one that is new. It finds AWS by the environment."""
        settings = redshift_settings(self.settings(way, **more))
        return RedshiftWarehouse(settings, EnvironmentSecrets({}), system=system or f"s{uuid.uuid4().hex[:12]}")


@contextlib.contextmanager
def redshift_on_aws(server: Redshift, s3: Any, folder: Path) -> Iterator[RedshiftOnAws]:
    """`s3`: boto3's client of the store that COPY and UNLOAD use."""
    context, trusted = certificate(folder)
    encrypted = RedshiftProxy(server.server.port, BulkStatements(server.server, s3).statement, context)
    data_api = DataApi(ControlPlane(server.server, server.proxy.port))
    control = ControlPlane(server.server, encrypted.port)
    try:
        with aws(data_api.answer, control.answer) as found:
            yield RedshiftOnAws(server, found, data_api, {**found.env, "SSL_CERT_FILE": str(trusted)})
    finally:
        data_api.close()
        encrypted.close()
