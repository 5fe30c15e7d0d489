"""An operator who may be killed at any time: deploys one registered version after another, until SIGTERM: ``python -m …``."""

from __future__ import annotations

import os
import signal
import sys
import threading

from mlplatform.errors import ConflictError
from mlplatform.platform import open_platform
from mlplatform_tests.components.site import SYSTEM

PACE_S = 0.7


def main() -> int:
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    stations = open_platform(os.environ).system(SYSTEM)
    rollout = stations.rollout(SYSTEM)
    while not stop.wait(PACE_S):
        versions = [v.version for v in stations.registry("stock_model").versions()]
        current = stations.platform.endpoints.desired(rollout.name)
        assert current is not None
        following = versions[(versions.index(current.version) + 1) % len(versions)]
        try:
            rollout.promote(following)
        except ConflictError as error:  # a run deployed at the same time
            print(f"operator: {error}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
