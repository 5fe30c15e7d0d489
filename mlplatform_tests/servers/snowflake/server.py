"""A Snowflake of one test session: fakesnow behind what it leaves out, over HTTP, met by the real driver alone.

What it proves: the adapter's statements as Snowflake's dialect has them (as far as sqlglot knows it), its transactions, its
handling of the driver, bulk loads with their metadata, Arrow results. What it does not: Snowflake's planner, privileges
beyond one role, results in several chunks, stages in a cloud, sizes.
"""

from __future__ import annotations

import contextlib
import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.snowflake_connection import SnowflakeConnection
from mlplatform.adapters.warehouse.snowflake_settings import SnowflakeSettings
from mlplatform_tests.servers.environment import environment
from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.servers.process import listens, running

PASSWORD, TOKEN = "not told to anybody", "an-oauth-token"


@dataclass(frozen=True)
class Snowflake:
    """A running server. `private_key`: of the user's key pair, in PEM."""

    port: int
    private_key: str

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of a connection to it."""
        return {
            "account": "standin",
            "user": "loader",
            "database": "ML",
            "host": "127.0.0.1",
            "port": self.port,
            "protocol": "http",
        }

    @property
    def secrets(self) -> dict[str, str]:
        """An environment with the user's secrets."""
        return {
            "MLPLATFORM_SECRET_SNOWFLAKE_PASSWORD": PASSWORD,
            "MLPLATFORM_SECRET_SNOWFLAKE_KEY": self.private_key,
            "MLPLATFORM_SECRET_SNOWFLAKE_TOKEN": TOKEN,
        }

    def session(self, schema: str, **settings: Any) -> SnowflakeConnection:
        """One of somebody else's."""
        made = SnowflakeSettings.model_validate({**self.settings, **settings})
        return SnowflakeConnection(made, EnvironmentSecrets(self.secrets), system="others", schema=schema)

    def statements(self) -> list[dict[str, Any]]:
        """All that was sent: `sql` and the statement's `parameters`, in order."""
        found: list[dict[str, Any]] = self._ask("seen")["statements"]
        return found

    def logins(self) -> list[dict[str, Any]]:
        """What sessions were opened with, but for what proves the user."""
        found: list[dict[str, Any]] = self._ask("seen")["logins"]
        return found

    def running(self) -> int:
        """How many statements it works on."""
        return int(self._ask("seen")["running"])

    def fail(self, begins: str, *, when: str = "before", do: str = "end", **more: Any) -> None:
        """From the next statement that begins so, see `stand_in.app.StandIn.plan_fault`."""
        self._ask("faults", {"begins": begins, "when": when, "do": do, **more})

    def end_idle(self, seconds: float) -> None:
        """Ends transactions that are in another's way, and whose client sent nothing for so long: Snowflake's 5 minutes."""
        self._ask("faults", {"do": "idle", "seconds": seconds})

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        self._ask("faults", {"do": "none"})

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/stand-in/{path}", data, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found


@contextlib.contextmanager
def snowflake(folder: Path) -> Iterator[Snowflake]:
    """A server of its own, with nothing in it; `folder` takes its key and its log."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    bin_folder = environment("snowflake")
    port = free_port()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = folder / "public.pem"
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    env = {"PATH": f"{bin_folder}:/usr/bin:/bin", "HOME": str(folder), "PYTHONPATH": str(Path(__file__).parent)}
    command = [str(bin_folder / "python"), "-m", "stand_in", str(port), PASSWORD, TOKEN, str(public)]
    with running(command, ready=lambda: listens(port), log=folder / "snowflake.log", env=env):
        yield Snowflake(port, private)
