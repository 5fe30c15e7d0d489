"""AWS's answers to who asks for a way into the server: where it is, and a password for a while.

A temporary user is made in the server under the name that Redshift gives him, and acts as the user he was asked for.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from mlplatform_tests.servers.aws_protocol.messages import Asked
from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError
from mlplatform_tests.servers.redshift.postgres import Postgres

CLUSTER, WORKGROUP, CALLER = "analytics", "analytics", "IAMR:loader"
FOR = timedelta(minutes=15)


@dataclass(frozen=True)
class ControlPlane:
    """Of one cluster and one workgroup, which are both the server behind `port`."""

    server: Postgres
    port: int

    def answer(self, asked: Asked) -> dict[str, Any]:
        """What AWS says. Raises AwsRefusedError."""
        answers = {
            "GetClusterCredentials": self._cluster_credentials,
            "DescribeClusters": self._clusters,
            "DescribeCustomDomainAssociations": self._no_domains,
            "GetCredentials": self._workgroup_credentials,
            "GetWorkgroup": self._workgroup,
        }
        return answers[asked.operation](asked.parameters)

    def temporary(self, name: str, acts_as: str) -> str:
        """A new password of the temporary user, who is made where he is missing."""
        password = secrets.token_urlsafe(16)
        until = (datetime.now(UTC) + FOR).isoformat()
        if not self.server.psql(f"SELECT 1 FROM pg_roles WHERE rolname = '{name}'"):
            self.server.psql(
                f'CREATE ROLE "{name}" LOGIN IN ROLE "{acts_as}"', f'ALTER ROLE "{name}" SET role = "{acts_as}"'
            )
        self.server.psql(f"ALTER ROLE \"{name}\" PASSWORD '{password}' VALID UNTIL '{until}'")
        return password

    def user(self, name: str) -> None:
        """Makes a user who may do what a loader does: make schemas, and COPY from and UNLOAD to what stands in for S3."""
        if not self.server.psql(f"SELECT 1 FROM pg_roles WHERE rolname = '{name}'"):
            self.server.psql(
                f'CREATE ROLE "{name}" IN ROLE pg_read_server_files, pg_write_server_files',
                f'GRANT CREATE, TEMPORARY ON DATABASE postgres TO "{name}"',
            )

    def _cluster_credentials(self, given: Mapping[str, Any]) -> dict[str, Any]:
        if "ClusterIdentifier" not in given:
            raise AwsRefusedError("CustomDomainAssociationNotFoundFault", "No such domain.", 404)
        self._known(given["ClusterIdentifier"])
        user, made = given["DbUser"], given.get("AutoCreate", False)
        if made:
            self.user(user)
        known = bool(self.server.psql(f"SELECT 1 FROM pg_roles WHERE rolname = '{user}'"))
        name = f"IAM{'A' if made else ''}:{user}"
        password = self.temporary(name, user) if known else secrets.token_urlsafe(16)
        return {"DbUser": name, "DbPassword": password, "Expiration": datetime.now(UTC) + FOR}

    def _clusters(self, given: Mapping[str, Any]) -> dict[str, Any]:
        self._known(given["ClusterIdentifier"])
        place = {"Address": "127.0.0.1", "Port": self.port}
        return {"Clusters": [{"ClusterIdentifier": CLUSTER, "ClusterStatus": "available", "Endpoint": place}]}

    def _no_domains(self, given: Mapping[str, Any]) -> dict[str, Any]:
        raise AwsRefusedError(
            "CustomDomainAssociationNotFoundFault", f"No domain '{given.get('CustomDomainName', '')}'.", 404
        )

    def _workgroup_credentials(self, given: Mapping[str, Any]) -> dict[str, Any]:
        self._known_group(given["workgroupName"])
        self.user("loader")
        until = datetime.now(UTC) + FOR
        password = self.temporary(CALLER, "loader")
        return {"dbUser": CALLER, "dbPassword": password, "expiration": until, "nextRefreshTime": until}

    def _workgroup(self, given: Mapping[str, Any]) -> dict[str, Any]:
        self._known_group(given["workgroupName"])
        return {"workgroup": {"workgroupName": WORKGROUP, "endpoint": {"address": "127.0.0.1", "port": self.port}}}

    def _known(self, cluster: str) -> None:
        if cluster != CLUSTER:
            raise AwsRefusedError("ClusterNotFound", f"Cluster {cluster} not found.", 404)

    def _known_group(self, workgroup: str) -> None:
        if workgroup != WORKGROUP:
            raise AwsRefusedError("ResourceNotFoundException", f"Workgroup {workgroup} not found.")
