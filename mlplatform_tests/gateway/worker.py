"""A gateway worker as a process of a test: the embedded adapters over folders that the test made.

python -m mlplatform_tests.gateway.worker <root> <fd>
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from pathlib import Path

from mlplatform.adapters.endpoints import LocalEndpoints
from mlplatform.adapters.item_store.sqlite import SqliteItemStore
from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.gateway.app import GatewayPorts
from mlplatform.gateway.main import serve


def ports(root: Path) -> GatewayPorts:
    """Everything under `root`; packages lie in folders named by their digest."""
    endpoints = LocalEndpoints(root / "endpoints")
    return GatewayPorts(
        endpoints=endpoints,
        desk=endpoints.desk(),
        runtimes=PackageRuntimes(),
        packages=lambda _, digest: root / "packages" / digest,
        items=SqliteItemStore(root / "items.sqlite"),
        capture=root / "capture",
        secret=EnvironmentSecrets(os.environ).get,
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    serve(ports(Path(sys.argv[1])), socket.socket(fileno=int(sys.argv[2])))
