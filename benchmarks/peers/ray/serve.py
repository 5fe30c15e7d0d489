"""``python -m benchmarks.peers.ray.serve MODEL SCRATCH PORT WORKERS``: Ray Serve behind HAProxy, with its throughput settings.

As https://docs.ray.io/en/latest/serve/advanced-guides/performance.html advises: `RAY_SERVE_THROUGHPUT_OPTIMIZED`,
HAProxy in front instead of the Python proxy, many ongoing requests a replica, no access log. Requests
are not batched (`serve.batch`): each is scored as it comes.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

SETTINGS = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_HAPROXY_NBTHREAD": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_DEDUP_LOGS": "0",
    "OMP_NUM_THREADS": "1",
}


def main(model: Path, port: int, workers: int) -> None:
    """Serve until told to end."""
    os.environ.update(SETTINGS)
    import numpy as np
    import ray
    from ray import serve
    from ray.serve.config import HTTPOptions
    from ray.serve.schema import LoggingConfig
    from starlette.requests import Request

    ray.init(num_cpus=max(2, workers + 1), include_dashboard=False, log_to_driver=False)
    quiet = LoggingConfig(enable_access_log=False, log_level="ERROR")
    serve.start(http_options=HTTPOptions(host="127.0.0.1", port=port), logging_config=quiet)

    @serve.deployment(
        num_replicas=workers, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 1}, logging_config=quiet
    )
    class Scorer:
        def __init__(self, path: str) -> None:
            import xgboost

            self.booster = xgboost.Booster({"nthread": 1})
            self.booster.load_model(path)

        async def __call__(self, request: Request) -> dict[str, Any]:
            rows = np.array((await request.json())["rows"], dtype=np.float32)
            return {"predictions": self.booster.inplace_predict(rows, validate_features=False).tolist()}

    serve.run(Scorer.bind(str(model / "model.ubj")), name="bench", route_prefix="/")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.pause()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4]))
