"""``python -m benchmarks.peers.bentoml.serve MODEL SCRATCH PORT WORKERS``: `bentoml serve` with so many workers."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main(model: Path, scratch: Path, port: int, workers: int) -> None:
    """Become the server."""
    home = scratch / "bentoml"
    home.mkdir(exist_ok=True)
    config = home / "configuration.yaml"
    config.write_text("services:\n  logging:\n    access:\n      enabled: false\n  metrics:\n    enabled: false\n")
    os.environ.update(
        {
            "BENTOML_HOME": str(home),
            "BENTOML_CONFIG": str(config),
            "BENTOML_DO_NOT_TRACK": "True",
            "OMP_NUM_THREADS": "1",
            "BENCH_MODEL": str(model),
            "BENCH_WORKERS": str(workers),
        }
    )
    command = Path(sys.executable).with_name("bentoml")
    where = ["--host", "127.0.0.1", "--port", str(port)]
    os.execv(command, [str(command), "serve", "benchmarks.peers.bentoml.service:Scorer", *where])  # noqa: S606


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
