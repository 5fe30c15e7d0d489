"""Settings of a connection to Snowflake, as a profile writes them: secrets are named, and read when it is opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from mlplatform.errors import ProfileError

if TYPE_CHECKING:
    from mlplatform.ports.secrets import Secrets


class SnowflakeSettings(BaseModel):
    """A password is asked for, unless a key pair or an OAuth token is named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    account: str = Field(description="Account identifier: organization-account.")
    user: str = Field(description="Who logs in.")
    database: str = Field(description="Where the schemas are; it must be there.")
    warehouse: str | None = Field(default=None, description="Which computes; none: the user's default.")
    role: str | None = Field(default=None, description="None: the user's default.")
    password_secret: str = Field(default="snowflake_password", description="Name of the secret.")
    private_key_secret: str | None = Field(default=None, description="Name of the secret: a private key in PEM.")
    private_key_passphrase_secret: str | None = Field(default=None, description="Name of the secret, if it has one.")
    oauth_token_secret: str | None = Field(default=None, description="Name of the secret: an OAuth access token.")
    schema_prefix: str = Field(default="", description="In front of the system's name; both name the schema.")
    host: str | None = Field(default=None, description="Where the account's own host is not to be asked.")
    port: int = Field(default=443, ge=1, le=65535, description="Of the host.")
    protocol: Literal["https", "http"] = Field(default="https", description="Spoken with the host.")
    connect_timeout_s: int = Field(default=30, ge=1, description="How long a log-in is tried.")
    statement_timeout_s: int = Field(
        default=3600,
        ge=1,
        description="How long a statement may take, and a request that the network lost is tried again: the driver knows one limit for both.",
    )
    lock_timeout_s: int = Field(default=600, ge=1, description="How long a load waits for another's transaction.")
    min_batch_interval_s: float = Field(
        default=60.0,
        ge=0,
        description="How often a table is appended to: deliveries of a stream wait so long, unless an object is full before.",
    )

    @model_validator(mode="after")
    def _one_way_in(self) -> SnowflakeSettings:
        if self.private_key_secret and self.oauth_token_secret:
            raise ValueError("expected one of private_key_secret and oauth_token_secret, found both")
        if self.private_key_passphrase_secret and not self.private_key_secret:
            raise ValueError("private_key_passphrase_secret: expected private_key_secret beside it")
        return self

    def arguments(self, *, schema: str) -> dict[str, Any]:
        """What the driver connects with, but for the credentials."""
        optional = {"warehouse": self.warehouse, "role": self.role, "host": self.host}
        return {
            "account": self.account,
            "user": self.user,
            "database": self.database,
            "schema": schema,
            "port": self.port,
            "protocol": self.protocol,
            "login_timeout": self.connect_timeout_s,
            "network_timeout": self.statement_timeout_s,
            **{name: value for name, value in optional.items() if value is not None},
        }

    @property
    def who(self) -> str:
        """Who logs in, with which secret and role, for messages."""
        secret = self.oauth_token_secret or self.private_key_secret or self.password_secret
        role = f", role '{self.role}'" if self.role else ", his default role"
        return f"user '{self.user}', secret '{secret}'{role}"

    def credentials(self, secrets: Secrets) -> dict[str, Any]:
        """What the driver proves the user with.

        Raises:
            NotFoundError: a secret that is not there, by name.
            ProfileError: a private key that cannot be read.
        """
        if self.oauth_token_secret is not None:
            return {"authenticator": "oauth", "token": secrets.get(self.oauth_token_secret).get_secret_value()}
        if self.private_key_secret is not None:
            return {"authenticator": "SNOWFLAKE_JWT", "private_key": self._private_key(secrets)}
        return {"password": secrets.get(self.password_secret).get_secret_value()}

    def _private_key(self, secrets: Secrets) -> bytes:
        from cryptography.hazmat.primitives import serialization

        name = str(self.private_key_secret)
        pem = secrets.get(name).get_secret_value().encode()
        passphrase = self.private_key_passphrase_secret
        phrase = secrets.get(passphrase).get_secret_value().encode() if passphrase else None
        try:
            key = serialization.load_pem_private_key(pem, phrase)
        except (TypeError, ValueError):
            # The library's error may quote the key.
            raise ProfileError(
                f"Secret '{name}' is no private key in PEM, or its passphrase is wrong or missing.",
                next_step="Store the key as `openssl genrsa … | openssl pkcs8 -topk8` writes it.",
            ) from None
        return key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
