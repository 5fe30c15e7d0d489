"""``python -m benchmarks.peers.mlserver.serve MODEL SCRATCH PORT WORKERS``.

One worker: inference in the server's own process (`parallel_workers: 0`), since the hop to a pool costs more than such
a model takes (https://docs.seldon.ai/mlserver/user-guide/parallel-inference). More: a pool of so many. Adaptive batching
is on (https://docs.seldon.ai/mlserver/user-guide/adaptive-batching), one OpenMP thread a process, no log of requests.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main(model: Path, scratch: Path, port: int, workers: int) -> None:
    """Write the settings and become the server."""
    folder = scratch / "mlserver"
    folder.mkdir(exist_ok=True)
    settings = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "metrics_port": port + 2,
        "parallel_workers": 0 if workers == 1 else workers,
        "debug": False,
        "logging_settings": str(folder / "logging.ini"),
    }
    (folder / "logging.ini").write_text(LOGGING)
    (folder / "settings.json").write_text(json.dumps(settings))
    about = {
        "name": "bench",
        "implementation": "mlserver_xgboost.XGBoostModel",
        "parameters": {"uri": str(model / "model.ubj")},
        **BATCHING,
    }
    (folder / "model-settings.json").write_text(json.dumps(about))
    os.environ["OMP_NUM_THREADS"] = "1"
    command = Path(sys.executable).with_name("mlserver")
    os.execv(command, [str(command), "start", str(folder)])  # noqa: S606


BATCHING = {"max_batch_size": 16, "max_batch_time": 0.0005}
"""Measured here: four times as many requests at 16 clients as without; half a millisecond is little at one."""
LOGGING = """[loggers]
keys=root
[handlers]
keys=errors
[formatters]
keys=plain
[logger_root]
level=ERROR
handlers=errors
[handler_errors]
class=StreamHandler
formatter=plain
args=(sys.stderr,)
[formatter_plain]
format=%(asctime)s %(levelname)s %(name)s: %(message)s
"""

if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
