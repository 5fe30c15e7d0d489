"""A supervised gateway as a process of a test: ``python -m mlplatform_tests.gateway.supervised <home> <workers>``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from mlplatform.serving.gateway_workers import gateway_programs
from mlplatform.serving.listening import listen
from mlplatform.serving.supervisor import Supervisor

if __name__ == "__main__":
    home = Path(sys.argv[1])
    listening = listen("127.0.0.1", 0)
    print(listening.getsockname()[1], flush=True)
    env = {**os.environ, "MLPLATFORM_HOME": str(home)}
    programs = gateway_programs(listening, int(sys.argv[2]), env=env)
    Supervisor(programs, run=home / "run", logs=home / "logs").run()
