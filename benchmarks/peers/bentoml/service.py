"""The service: adaptive batching on, as https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html advises."""

import os
from pathlib import Path

import bentoml
import numpy as np


@bentoml.service(workers=int(os.environ["BENCH_WORKERS"]))
class Scorer:
    """XGBoost's own `inplace_predict` on the rows of a batch."""

    def __init__(self) -> None:
        import xgboost

        self.booster = xgboost.Booster({"nthread": 1})
        self.booster.load_model(Path(os.environ["BENCH_MODEL"]) / "model.ubj")

    @bentoml.api(batchable=True)
    def predict(self, rows: np.ndarray) -> np.ndarray:
        return self.booster.inplace_predict(rows.astype(np.float32), validate_features=False)
