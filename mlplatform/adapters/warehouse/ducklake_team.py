"""A DuckLake as a team runs it: the catalogue in PostgreSQL, a schema a system, and data files in S3.

Several machines load and read it at once. PostgreSQL's password comes from the secrets port; S3's credentials, region and
endpoint from where boto3 finds them (environment, profile, role), unless settings say otherwise. Neither stands in a
statement that could be logged: DuckDB keeps them as secrets, whose values it does not show.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from mlplatform.core.sql import literal
from mlplatform.errors import ProfileError

if TYPE_CHECKING:
    import boto3

    from mlplatform.adapters.object_store.s3 import S3ObjectStore
    from mlplatform.ports.secrets import Secrets

_CATALOGUE, _DATA = "lake_catalogue", "lake_data"


class TeamSettings(BaseModel):
    """A connection's settings, as a profile writes them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(description="PostgreSQL's.")
    port: int = Field(default=5432, ge=1, le=65535, description="Of the host.")
    database: str = Field(description="Where the catalogues' schemas are; it must be there.")
    user: str = Field(description="Who logs in.")
    password_secret: str = Field(default="ducklake_password", description="Name of the secret.")
    schema_prefix: str = Field(
        default="", description="In front of the system's name; both name the catalogue's schema."
    )
    bucket: str = Field(description="Of the data files.")
    prefix: str = Field(default="", description="Below it, and the system's name, lie the data files.")
    region: str | None = Field(default=None, description="Of the bucket; None = boto3's.")
    endpoint_url: str | None = Field(default=None, description="Of what speaks S3's protocol; None = AWS.")


class TeamPlace:
    """The lake of `system`."""

    extensions: tuple[str, ...] = ("postgres_scanner", "httpfs")
    attach_later = False

    def __init__(self, settings: TeamSettings, secrets: Secrets, *, system: str) -> None:
        self._settings = settings
        self._secrets = secrets
        self.schema = f"{settings.schema_prefix}{system}"
        below = settings.prefix.strip("/")
        self._prefix = f"{below}/{system}/" if below else f"{system}/"
        self.reach = f"s3://{settings.bucket}/{self._prefix}"
        self.name = f"schema '{self.schema}' of database '{settings.database}' at {settings.host}:{settings.port}"
        self.who = f"user '{settings.user}', secret '{settings.password_secret}'"
        self._store: S3ObjectStore | None = None
        self._session: boto3.Session | None = None
        self._endpoint = self._region = ""

    def secrets(self) -> tuple[str, ...]:
        settings = self._settings
        catalogue = {
            "TYPE": "postgres",
            "HOST": literal(settings.host),
            "PORT": str(settings.port),
            "DATABASE": literal(settings.database),
            "USER": literal(settings.user),
            "PASSWORD": literal(self._secrets.get(settings.password_secret).get_secret_value()),
        }
        return _secret(_CATALOGUE, catalogue), _secret(_DATA, self._data_secret())

    def prepare(self) -> None:
        """Nothing: database and bucket are there, the catalogue's schema is made when it is attached."""

    def is_there(self) -> bool:
        return False

    def source(self) -> str:
        return "ducklake:postgres:"

    def options(self) -> tuple[str, ...]:
        return (
            f"DATA_PATH {literal(self.reach)}",
            f"METADATA_SCHEMA {literal(self.schema)}",
            f"META_SECRET {literal(_CATALOGUE)}",
        )

    def draft_folder(self, folder: str, scratch: Path) -> Path:
        return scratch / folder

    def publish(self, file: Path, folder: str) -> str:
        self._objects().put(f"{folder}{file.name}", file)
        return f"{self.reach}{folder}{file.name}"

    def turn(self) -> AbstractContextManager[object]:
        """Nobody's: loaders are on several machines, and the catalogue's server keeps them apart."""
        return nullcontext()

    def committed(self, file: Path) -> None:
        file.unlink(missing_ok=True)

    def withdraw(self, file: Path, folder: str) -> None:
        file.unlink(missing_ok=True)
        self._objects().delete(f"{folder}{file.name}")

    def delete(self, path: str, *, relative: bool) -> None:
        self._objects().delete(path if relative else path.removeprefix(self.reach))

    def vacuum(self) -> bool:
        """PostgreSQL gives deleted rows' space back by itself (autovacuum)."""
        return True

    def _objects(self) -> S3ObjectStore:
        if self._store is None:
            from mlplatform.adapters.object_store.s3 import S3ObjectStore

            found = self._settings
            self._store = S3ObjectStore(
                found.bucket, self._prefix, endpoint_url=found.endpoint_url, region=found.region
            )
        return self._store

    def _data_secret(self) -> dict[str, str]:
        if self._session is None:
            import boto3

            self._session = boto3.Session(region_name=self._settings.region)
            client = self._session.client("s3", endpoint_url=self._settings.endpoint_url)
            self._endpoint, self._region = client.meta.endpoint_url or "", client.meta.region_name or "us-east-1"
            client.close()
        credentials = self._session.get_credentials()
        if credentials is None:
            raise ProfileError(
                f"There are no credentials for s3://{self._settings.bucket}.",
                next_step="Give this process a role, or a profile, as for boto3.",
            )
        now = credentials.get_frozen_credentials()
        found = {
            "TYPE": "s3",
            "KEY_ID": literal(now.access_key or ""),
            "SECRET": literal(now.secret_key or ""),
            "REGION": literal(self._region),
            "SCOPE": literal(self.reach),
        }
        if now.token:
            found["SESSION_TOKEN"] = literal(now.token)
        address = urlsplit(self._endpoint)
        if not (address.hostname or "").endswith(".amazonaws.com"):
            encrypted = str(address.scheme == "https").lower()
            found |= {"ENDPOINT": literal(address.netloc), "URL_STYLE": "'path'", "USE_SSL": encrypted}
        return found


def _secret(name: str, fields: dict[str, str]) -> str:
    return f"CREATE OR REPLACE SECRET {name} ({', '.join(f'{key} {value}' for key, value in fields.items())})"
