"""Settings of a connection to Redshift, as a profile writes them: one shape a way in, chosen by `access`.

A database user's password (`password`, where nothing is said), a temporary one that AWS gives who may ask for it (`iam` on
a cluster, `serverless` on a workgroup), or no driver at all: statements as requests to AWS (`data-api`).
https://docs.aws.amazon.com/redshift/latest/mgmt/generating-user-credentials.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, TypeAdapter, model_validator

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlplatform.ports.secrets import Secrets


class _Settings(BaseModel):
    """What every way in has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    database: str = Field(default="dev", description="Where the schemas are; it must be there.")
    iam_role: str = Field(
        default="default", description="ARN of the role that COPY and UNLOAD take; default: the cluster's own."
    )
    schema_prefix: str = Field(default="", description="In front of the system's name; both name the schema.")
    staging_prefix: str = Field(
        default="_staging/", description="Below it, in the object store of a load, its rows wait for COPY."
    )
    min_batch_interval_s: float = Field(
        default=60.0,
        ge=0,
        description="How often a table is appended to: deliveries of a stream wait so long, unless an object is full before.",
    )


class _Aws(_Settings):
    """What every way in has that asks AWS; its credentials come from where boto3 finds them."""

    region: str | None = Field(default=None, description="Where it is; none: boto3's.")


class RedshiftSettings(_Settings):
    """By a database user's password."""

    access: Literal["password"] = Field(default="password", description="This way in.")
    host: str = Field(description="The cluster's or the workgroup's endpoint.")
    port: int = Field(default=5439, ge=1, le=65535, description="Of the host.")
    user: str = Field(description="Who logs in.")
    password_secret: str = Field(default="redshift_password", description="Name of the secret.")
    ssl: bool = Field(default=True, description="Whether what is sent is encrypted.")
    connect_timeout_s: int = Field(default=30, ge=1, description="How long a connection is tried.")

    @property
    def place(self) -> str:
        """Where it connects to, for messages."""
        return f"{self.host}:{self.port}"

    @property
    def who(self) -> str:
        """Who logs in, with which secret, for messages."""
        return f"user '{self.user}', secret '{self.password_secret}'"

    def arguments(self, secrets: Secrets) -> dict[str, Any]:
        """What the driver connects with, but for what is alike for every way in.

        Raises:
            NotFoundError: the secret is not there, by name.
        """
        password = secrets.get(self.password_secret).get_secret_value()
        return {"host": self.host, "port": self.port, "user": self.user, "password": password, "ssl": self.ssl}


class _Temporary(_Aws):
    """By a password that AWS makes for a while; always encrypted. A session that is opened later asks for another."""

    aws_profile: str | None = Field(default=None, description="Of AWS's own configuration; none: boto3's.")
    host: str | None = Field(default=None, description="Where AWS is not to be asked for the endpoint.")
    port: int = Field(default=5439, ge=1, le=65535, description="Of the host; AWS's answer wins.")
    connect_timeout_s: int = Field(default=30, ge=1, description="How long a connection is tried.")

    def _asking(self) -> dict[str, Any]:
        return {
            "iam": True,
            # Kept by the driver for the whole process, and until the second in which it ends.
            "iam_disable_cache": True,
            "ssl": True,
            "host": self.host,
            "port": self.port,
            "region": self.region,
            "profile": self.aws_profile,
        }


class ClusterSettings(_Temporary):
    """By a temporary password for a user of a cluster (`redshift:GetClusterCredentials`, `redshift:DescribeClusters`)."""

    access: Literal["iam"] = Field(description="This way in.")
    cluster: str = Field(description="The cluster's identifier.")
    db_user: str = Field(description="Who logs in; a user of the database.")
    db_groups: tuple[str, ...] = Field(default=(), description="Groups of the database that the user joins meanwhile.")
    create_user: bool = Field(default=False, description="Whether the user is made where he is missing.")

    @property
    def place(self) -> str:
        """Where it connects to, for messages."""
        return f"cluster '{self.cluster}'"

    @property
    def who(self) -> str:
        """Who logs in, for messages."""
        return f"user '{self.db_user}' by IAM"

    def arguments(self, secrets: Secrets) -> dict[str, Any]:  # noqa: ARG002
        """What the driver connects with, but for what is alike for every way in."""
        return {
            **self._asking(),
            "cluster_identifier": self.cluster,
            "db_user": self.db_user,
            "db_groups": list(self.db_groups),
            "auto_create": self.create_user,
        }


class WorkgroupSettings(_Temporary):
    """By a temporary password for the caller of Serverless (`redshift-serverless:GetCredentials`, `…:GetWorkgroup`)."""

    access: Literal["serverless"] = Field(description="This way in.")
    workgroup: str = Field(description="The workgroup's name.")

    @property
    def place(self) -> str:
        """Where it connects to, for messages."""
        return f"workgroup '{self.workgroup}'"

    @property
    def who(self) -> str:
        """Who logs in, for messages."""
        return "the caller by IAM"

    def arguments(self, secrets: Secrets) -> dict[str, Any]:  # noqa: ARG002
        """What the driver connects with, but for what is alike for every way in."""
        return {**self._asking(), "is_serverless": True, "serverless_work_group": self.workgroup}


class DataApiSettings(_Aws):
    """Without a driver: each statement is a request to AWS (`redshift-data:*`, and what gives the temporary password)."""

    access: Literal["data-api"] = Field(description="This way in.")
    cluster: str | None = Field(default=None, description="The cluster's identifier; or a workgroup.")
    workgroup: str | None = Field(default=None, description="The workgroup's name; or a cluster.")
    db_user: str | None = Field(default=None, description="User of the cluster's database; none: the caller's own.")
    secret_arn: str | None = Field(
        default=None, description="In Secrets Manager: user and password, which AWS reads; none: a temporary one."
    )
    session_idle_s: int = Field(
        default=60,
        ge=10,
        le=86_400,
        description="How long a session is kept that nothing is asked of, and so the locks of a process that was killed.",
    )

    @model_validator(mode="after")
    def _one_place(self) -> DataApiSettings:
        if (self.cluster is None) == (self.workgroup is None):
            found = "neither" if self.cluster is None else "both"
            raise ValueError(f"expected one of cluster and workgroup, found {found}")
        if self.db_user is not None and (self.cluster is None or self.secret_arn is not None):
            other = "workgroup" if self.cluster is None else "secret_arn"
            raise ValueError(f"db_user: expected a cluster and no secret_arn beside it, found {other}")
        return self

    @property
    def place(self) -> str:
        """Where it connects to, for messages."""
        return f"cluster '{self.cluster}'" if self.cluster is not None else f"workgroup '{self.workgroup}'"

    @property
    def who(self) -> str:
        """Who asks, for messages."""
        if self.secret_arn is not None:
            return f"secret '{self.secret_arn}'"
        return f"user '{self.db_user}' by IAM" if self.db_user is not None else "the caller by IAM"

    def target(self) -> dict[str, str]:
        """Where a session is opened, and as whom, as the API wants it."""
        found = {
            "ClusterIdentifier": self.cluster,
            "WorkgroupName": self.workgroup,
            "DbUser": self.db_user,
            "SecretArn": self.secret_arn,
            "Database": self.database,
        }
        return {name: value for name, value in found.items() if value is not None}


DriverSettings = RedshiftSettings | ClusterSettings | WorkgroupSettings
"""Those that the driver connects with."""


def _access(given: Any) -> str:
    """The way in that settings choose: a password's where they say nothing, as they did before there were others."""
    found = given.get("access", "password") if isinstance(given, dict) else given.access
    return found if isinstance(found, str) else repr(found)


AnyRedshiftSettings = Annotated[
    Annotated[RedshiftSettings, Tag("password")]
    | Annotated[ClusterSettings, Tag("iam")]
    | Annotated[WorkgroupSettings, Tag("serverless")]
    | Annotated[DataApiSettings, Tag("data-api")],
    Discriminator(_access),
]
"""Settings of any way in."""


def redshift_settings(given: Mapping[str, Any]) -> DriverSettings | DataApiSettings:
    """Settings as a profile gives them. Raises pydantic's ValidationError."""
    found: DriverSettings | DataApiSettings = TypeAdapter(AnyRedshiftSettings).validate_python(dict(given))
    return found
