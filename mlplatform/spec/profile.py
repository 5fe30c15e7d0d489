"""Profile: named connections, each an adapter with its settings, and the addresses of what runs on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr, ValidationError

from mlplatform.errors import ProfileError
from mlplatform.spec.references import Resolved, resolve
from mlplatform.spec.station import Strict
from mlplatform.spec.yaml_file import YamlFileError, read_documents

Port = Literal[
    "object_store",
    "arrivals",
    "stream",
    "warehouse",
    "compute",
    "endpoints",
    "tracking",
    "item_store",
    "secrets",
    "notifications",
    "metrics",
    "asset_events",
]

_PORTS = ("gateway_port", "ui_port", "tracker_port")


class Connection(Strict):
    """A named connection: which adapter of which port, with that adapter's settings. Secrets are named, never written here."""

    port: Port = Field(examples=["warehouse"], description="What it is used for.")
    adapter: str = Field(examples=["ducklake"], description="Which system it speaks to.")
    settings: dict[str, Any] = Field(
        default_factory=dict,
        examples=[{"targets": ["team_chat"]}],
        description="The adapter's own settings; secrets are named in them, never written. `${NAME}` is the environment's, "
        "`${NAME:-text}` where it may be missing.",
    )
    _read: Resolved | None = PrivateAttr(default=None)

    def origins(self, settings: Iterable[object]) -> str:
        """Where in the environment some of the settings stand, to be put behind a message; "" where they stand in the profile."""
        read = self._read.origins if self._read is not None else {}
        found = [f"{name} is {' and '.join(read[name])}" for name in dict.fromkeys(map(str, settings)) if name in read]
        return f"; in the environment, {', '.join(found)}" if found else ""

    def unset(self) -> list[str]:
        """What settings need of the environment, and is not there, for people."""
        missing = self._read.unset if self._read is not None else {}
        return [f"settings.{path} needs {' and '.join(names)} in the environment" for path, names in missing.items()]


class Addresses(Strict):
    """Where the processes of `mlplatform serve` listen. Environment variables of the same names, upper-case, with the
    prefix ``MLPLATFORM_`` (``MLPLATFORM_GATEWAY_PORT``), win."""

    host: str = Field(default="127.0.0.1", examples=["192.0.2.10"], description="Address to listen on.")
    gateway_port: int = Field(default=8710, ge=1, le=65535, examples=[80], description="Of the gateway.")
    ui_port: int = Field(default=8711, ge=1, le=65535, examples=[3000], description="Of the Dagster UI.")
    tracker_port: int = Field(default=8712, ge=1, le=65535, examples=[5000], description="Of the experiment tracker.")
    gateway_workers: int = Field(default=2, ge=1, le=256, examples=[4], description="Processes of the gateway.")


class WorkerSpec(Strict):
    """How often the worker looks. Seconds."""

    idle_s: float = Field(default=0.2, gt=0, examples=[1], description="Pause after a round in which nothing was due.")
    report_s: float = Field(
        default=60, ge=0, examples=[300], description="Shortest time between two reports on one asset."
    )


class Profile(Strict):
    """One file under `profiles/`."""

    name: str = Field(examples=["local"], description="As the file is called.")
    stage: Literal["dev", "stage", "prod"] = Field(
        default="dev", examples=["prod"], description="Which stage it is for."
    )
    connections: dict[str, Connection] = Field(description="By name; a `defs.yaml` names one, never a technology.")
    addresses: Addresses = Field(default_factory=Addresses)
    worker: WorkerSpec = Field(default_factory=WorkerSpec)
    prices: str = Field(
        default="",
        examples=["prices/eu-central-1.yaml"],
        description="A file with what machines cost, seen from this one; none: no costs are told.",
    )
    systems: dict[str, dict[str, str]] = Field(
        default_factory=dict,
        examples=[{"churn": {"warehouse": "lake"}}],
        description="By system: connection name used in its YAML → connection of this profile.",
    )

    def called(self, name: str, system: str | None = None) -> str:
        """What the connection `name` of a system's YAML is called in this profile."""
        return self.systems.get(system or "", {}).get(name, name)

    def connection(self, name: str, *, port: Port, system: str | None = None) -> Connection:
        """The connection `name` as `system` sees it.

        Raises:
            ProfileError: no such connection, one of another port, or one whose settings need what the environment lacks.
        """
        actual = self.called(name, system)
        found = self.named(actual)
        if found.port != port:
            raise ProfileError(
                f"Connection '{actual}' of profile '{self.name}' is a {found.port}, expected a {port}.",
                next_step="Name a connection of that port in the YAML, or map the name under 'systems' in the profile.",
            )
        return found

    def named(self, name: str) -> Connection:
        """The connection `name`, of whatever port. Raises ProfileError as `connection` does."""
        found = self.connections.get(name)
        if found is None:
            raise ProfileError(
                f"Profile '{self.name}' has no connection '{name}'; it has: {', '.join(sorted(self.connections))}.",
                next_step="Name one of these in the YAML, or add the connection to the profile.",
            )
        if found.unset():
            raise ProfileError(
                f"Connection '{name}' of profile '{self.name}': {'; '.join(found.unset())}.",
                next_step="Set it (a project's .env will do), or write the value into a profile of your own.",
            )
        return found


def load_profile(env: Mapping[str, str], folders: list[Path]) -> Profile:
    """The profile that ``MLPLATFORM_PROFILE`` names (default ``local``), from the first of `folders` that has it.

    Raises:
        ProfileError: there is none, or it is wrong; names file and key.
    """
    name = env.get("MLPLATFORM_PROFILE") or "local"
    for folder in folders:
        path = folder / f"{name}.yaml"
        if path.is_file():
            return _parse(path, env)
    known = sorted({p.stem for folder in folders for p in folder.glob("*.yaml")})
    raise ProfileError(
        f"There is no profile '{name}'; there are: {', '.join(known)}.", next_step="Set MLPLATFORM_PROFILE."
    )


def _parse(path: Path, env: Mapping[str, str]) -> Profile:
    try:
        documents = [value for _, value in read_documents(path)]
    except YamlFileError as error:
        raise ProfileError(str(error), next_step="Correct it at that line.") from error
    if len(documents) != 1:
        raise ProfileError(
            f"{path}: expected one document, found {len(documents)}.",
            next_step="Put the other documents into files of their own.",
        )
    profile = _validated(path, documents[0], env)
    if profile.name != path.stem:
        raise ProfileError(
            f"{path}: name: expected '{path.stem}', as the file is called, found '{profile.name}'.",
            next_step="Rename the file or the profile.",
        )
    first: dict[int, str] = {}
    for key in _PORTS:
        port = getattr(profile.addresses, key)
        if port in first:
            raise ProfileError(
                f"{path}: addresses.{key}: expected a port of its own, found {port}, which is {first[port]} too.",
                next_step=f"Change one of them, there or by MLPLATFORM_{key.upper()}.",
            )
        first[port] = key
    return profile


def _validated(path: Path, data: Any, env: Mapping[str, str]) -> Profile:
    if isinstance(data, dict) and isinstance(data.get("addresses") or {}, dict):
        own = {f: env[f"MLPLATFORM_{f.upper()}"] for f in Addresses.model_fields if env.get(f"MLPLATFORM_{f.upper()}")}
        data = {**data, "addresses": {**(data.get("addresses") or {}), **own}}
    if isinstance(data, dict) and data.get("prices") and isinstance(data["prices"], str):
        data = {**data, "prices": _prices(path, data["prices"], env)}
    read: dict[str, Resolved] = {}
    if isinstance(data, dict) and isinstance(data.get("connections"), dict):
        read = {name: resolve(c["settings"], env) for name, c in data["connections"].items() if _has_settings(c)}
        for name, found in read.items():
            _refuse_faults(path, found, f"connections.{name}.settings.")
        given = {n: {**c, "settings": read[n].settings} if n in read else c for n, c in data["connections"].items()}
        data = {**data, "connections": given}
    try:
        profile = Profile.model_validate(data)
    except ValidationError as error:
        faults = [(".".join(map(str, e["loc"])), e["msg"], e["input"]) for e in error.errors()]
        lines = [f"{path}: {f'{key}: ' if key else ''}{message}, found {found!r}" for key, message, found in faults]
        raise ProfileError(
            "\n".join(lines), next_step="Correct the profile; docs/reference/connections.md has every setting."
        ) from error
    for name, found in read.items():
        profile.connections[name]._read = found
    return profile


def _prices(path: Path, given: str, env: Mapping[str, str]) -> str:
    """Where the file of prices is, "" where the environment is to say so and does not; a relative path is seen from the profile,
    and one of the environment's from the working folder."""
    read = resolve({"prices": given}, env)
    _refuse_faults(path, read)
    if read.unset:
        raise ProfileError(
            f"{path}: prices needs {' and '.join(read.unset['prices'])} in the environment.",
            next_step="Set it, or write ${NAME:-} where it may be missing.",
        )
    seen_from = Path.cwd() if read.origins else path.parent
    named = read.settings.get("prices", "")
    return str(seen_from / named) if named else ""


def _has_settings(connection: Any) -> bool:
    return isinstance(connection, dict) and isinstance(connection.get("settings"), dict)


def _refuse_faults(path: Path, read: Resolved, within: str = "") -> None:
    if read.faults:
        key, value = next(iter(read.faults.items()))
        raise ProfileError(
            f"{path}: {within}{key}: expected ${{NAME}} or ${{NAME:-text}}, found '{value}'.",
            next_step="Write $${ for a plain ${.",
        )
