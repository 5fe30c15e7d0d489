"""Where an engine is, as data: our process and the engine's own loader open it, each in its own way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mlplatform.spec.profile import Connection

SYSTEM = "bench"


@dataclass(frozen=True)
class Place:
    """One engine with the object store it loads from.

    Attributes:
        adapter, settings: of the warehouse's connection.
        store, store_settings: of the object store's.
        home: the platform's folder.
        env: what a process needs in its environment beside this one's: secrets, credentials.
        loader, unloader, reader: names of what stands beside ours.
        note: what the stand-in cannot show.
    """

    adapter: str
    settings: dict[str, Any]
    store: str
    store_settings: dict[str, Any]
    home: str
    loader: str
    unloader: str
    reader: str
    note: str
    env: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "env": {}}

    def source(self) -> dict[str, Any]:
        """The warehouse as a job opens it, see `platform.job_source`."""
        connection = Connection(port="warehouse", adapter=self.adapter, settings=self.settings)
        secrets = Connection(port="secrets", adapter="environment")
        return {
            "connection": connection.model_dump(),
            "secrets": secrets.model_dump(),
            "home": self.home,
            "system": SYSTEM,
            "masked": False,
        }

    def store_connection(self) -> Connection:
        """Of the object store."""
        return Connection(port="object_store", adapter=self.store, settings=self.store_settings)

    def file(self, key: str) -> Path:
        """An object's file, where the store is a folder."""
        return Path(self.store_settings["path"]) / key

    def url(self, key: str) -> str:
        """An object as its engine names it: its file, or its address in S3."""
        if self.store == "directory":
            return str(self.file(key))
        return f"s3://{self.store_settings['bucket']}/{self.store_settings['prefix']}/{key}"
