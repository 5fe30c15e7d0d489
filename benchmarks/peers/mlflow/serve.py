"""``python -m benchmarks.peers.mlflow.serve MODEL SCRATCH PORT WORKERS``: `mlflow models serve` in this environment."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def main(model: Path, scratch: Path, port: int, workers: int) -> None:
    """Save the model in MLflow's form and become its server."""
    import mlflow.xgboost
    import xgboost

    folder = scratch / "mlflow"
    shutil.rmtree(folder, ignore_errors=True)
    booster = xgboost.Booster({"nthread": 1})
    booster.load_model(model / "model.ubj")
    mlflow.xgboost.save_model(booster, str(folder))
    os.environ.update({"MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1"})
    command = Path(sys.executable).with_name("mlflow")
    where = ["-m", str(folder), "-h", "127.0.0.1", "-p", str(port), "-w", str(workers)]
    # The server's processes find `python` and `uvicorn` on the path.
    os.environ["PATH"] = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
    os.execv(command, [str(command), "models", "serve", *where, "--env-manager", "local"])  # noqa: S606


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
