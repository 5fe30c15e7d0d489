"""Where a HiveServer2 is and how to log on to it: settings of a profile, or a JDBC URL that a secret holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field

from mlplatform.errors import ProfileError

if TYPE_CHECKING:
    from mlplatform.ports.secrets import Secrets

_PREFIX = "jdbc:hive2://"
_FOREIGN = {
    "sslTrustStore": "Java's own kind of file: write its certificates to a PEM file and set ca_file",
    "trustStorePassword": "Java's own kind of file: write its certificates to a PEM file and set ca_file",
    "serviceDiscoveryMode": "it asks ZooKeeper: give the address of one server or of a load balancer",
    "zooKeeperNamespace": "it asks ZooKeeper: give the address of one server or of a load balancer",
    "principal": "Kerberos is not supported: use LDAP",
    "httpPath": "only the binary transport is supported",
}


class HiveStore(BaseModel):
    """The object store that rows and commits lie in: the server and this machine both reach it. As an object store's
    connection in a profile."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    adapter: str = Field(default="directory", examples=["s3"], description="Of an object store.")
    settings: dict[str, Any] = Field(default_factory=dict, description="The adapter's own settings.")


class HiveSettings(BaseModel):
    """A connection's settings, as a profile writes them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(default="", description="Of the server; or `url_secret`.")
    port: int = Field(default=10000, ge=1, le=65535, description="Of the host.")
    authentication: Literal["none", "nosasl", "ldap"] = Field(
        default="none", description="As the server's hive.server2.authentication: none asks for a name only."
    )
    user: str = Field(default="mlplatform", description="Who logs in.")
    password_secret: str = Field(default="hive_password", description="Name of the secret, for LDAP.")
    ssl: bool = Field(default=False, description="Whether what is sent is encrypted.")
    ca_file: str | None = Field(
        default=None, description="PEM file of who signed the server's certificate; none: the system's."
    )
    url_secret: str | None = Field(
        default=None,
        description="Name of a secret with a JDBC URL (jdbc:hive2://host:port/db;ssl=true); what it says goes first.",
    )
    database: str = Field(
        default="",
        description="Database of views on the tables, and of tables that others load; none: the system's name.",
    )
    views: bool = Field(default=True, description="Whether tables are shown to others as views in the database.")
    store: HiveStore = Field(default_factory=HiveStore)
    prefix: str = Field(default="hive/", description="Below it, in the store, lie rows and commits.")
    s3_scheme: str = Field(default="s3a", description="What the server calls S3's addresses.")
    answer_timeout_s: int = Field(
        default=120, ge=1, description="Longest wait for one answer; statements are polled, and may take longer."
    )
    query_timeout_s: float | None = Field(default=None, gt=0, description="Longest time of any statement.")
    min_batch_interval_s: float = Field(
        default=60.0,
        ge=0,
        description="How often a table is appended to: deliveries of a stream wait so long, unless an object is full before.",
    )


class Access(BaseModel):
    """All that logging on takes. `password`: none where nothing asks for one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str
    port: int
    authentication: str
    user: str
    password: str | None = Field(default=None, repr=False)
    ssl: bool
    ca_file: str | None
    database: str

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


def access(settings: HiveSettings, secrets: Secrets) -> Access:
    """Settings, secrets and URL as one. Raises ProfileError, NotFoundError."""
    said: dict[str, str] = {}
    if settings.url_secret is not None:
        said = jdbc_options(secrets.get(settings.url_secret).get_secret_value(), f"Secret '{settings.url_secret}'")
    host = said.get("host", settings.host)
    if not host:
        raise ProfileError("A Hive connection needs a host, found none.", next_step="Set host, or url_secret.")
    authentication = settings.authentication
    if said.get("auth") == "noSasl":
        authentication = "nosasl"
    password = said.get("password")
    if authentication == "ldap" and password is None:
        password = secrets.get(settings.password_secret).get_secret_value()
    ssl = settings.ssl or said.get("ssl") == "true"
    if authentication == "ldap" and not ssl:
        raise ProfileError(
            f"A Hive connection to {host} would send a password in the clear: LDAP is used without TLS.",
            next_step="Set ssl: true.",
        )
    return Access(
        host=host,
        port=int(said.get("port", settings.port)),
        authentication=authentication,
        user=said.get("user", settings.user),
        password=password,
        ssl=ssl,
        ca_file=settings.ca_file,
        database=settings.database or said.get("database", ""),
    )


def jdbc_options(url: str, subject: str) -> dict[str, str]:
    """host, port, database and session variables of ``jdbc:hive2://host:port/database;name=value;…``.

    Known variables: user, password, ssl, auth=noSasl, transportMode=binary. No message tells a value.

    Raises:
        ProfileError: another kind of URL, several hosts, or a variable that is not known, by name.
    """
    if not url.startswith(_PREFIX):
        raise ProfileError(f"{subject}: expected a URL that begins with {_PREFIX}, found none.")
    if "?" in url or "#" in url:
        raise ProfileError(
            f"{subject}: the URL sets Hive variables (behind ? or #), which are not passed on.",
            next_step="Set them on the server, and take them out.",
        )
    address, *variables = url.removeprefix(_PREFIX).rstrip(";").split(";")
    place, _, database = address.partition("/")
    if "," in place:
        raise ProfileError(f"{subject}: the URL names several hosts, expected one.")
    host, _, port = place.rpartition(":") if ":" in place else (place, "", "10000")
    if not host or not port.isdigit():
        raise ProfileError(f"{subject}: expected host:port behind {_PREFIX}, found other.")
    found = {"host": host.strip("[]"), "port": port}
    if database:
        found["database"] = database
    for variable in variables:
        name, _, value = variable.partition("=")
        _check(name, value, subject)
        found[name] = unquote(value)
    return found


def _check(name: str, value: str, subject: str) -> None:
    allowed = {"ssl": ("true", "false"), "auth": ("noSasl",), "transportMode": ("binary",)}
    if name in _FOREIGN:
        raise ProfileError(f"{subject}: the URL's option '{name}' cannot be used: {_FOREIGN[name]}.")
    if name in allowed and value not in allowed[name]:
        raise ProfileError(f"{subject}: the URL's option '{name}' may be {' or '.join(allowed[name])}, found another.")
    if name not in (*allowed, "user", "password"):
        known = ", ".join(sorted((*allowed, "user", "password")))
        raise ProfileError(f"{subject}: the URL has an unknown option '{name}'; known are: {known}.")
