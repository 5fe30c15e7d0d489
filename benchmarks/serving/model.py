"""The model that every server serves: 300 trees of depth 6 on 30 numbers, as XGBoost's own file, as ONNX and as a package."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from mlplatform.core.features.encoder import Encoder
from mlplatform.core.features.fitted import fit, write_transforms
from mlplatform.core.packages.conversion import write_onnx
from mlplatform.core.packages.manifest import InputField, Signature
from mlplatform.core.packages.writer import seal_package

FEATURES = 30
TREES = 300
DEPTH = 6
NAMES = [f"feature_{k}" for k in range(FEATURES)]


@dataclass(frozen=True)
class BenchModel:
    """A trained model in `folder` (``model.ubj``, ``model.onnx``, ``model.json`` …), a row, and what XGBoost says of it."""

    folder: Path
    digest: str
    row: tuple[float, ...]
    expected: float


def make_model(folder: Path, *, trees: int = TREES, rows: int = 5000, seed: int = 7) -> BenchModel:
    """Train and write it; the same arguments give the same model."""
    import numpy as np
    import pyarrow as pa
    import xgboost

    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, FEATURES))
    target = values[:, 0] * 3 + np.sin(values[:, 1]) * values[:, 2] + rng.normal(size=rows) * 0.1
    inputs = [InputField(name, "double", missing="keep", minimum=-1000.0, maximum=1000.0) for name in NAMES]
    table = pa.table({name: values[:, k].tolist() for k, name in enumerate(NAMES)})
    fitted = fit(inputs, table)
    matrix = Encoder(inputs, fitted).table(table).matrix
    booster = xgboost.train(
        {"max_depth": DEPTH, "eta": 0.1, "nthread": 2, "seed": seed}, xgboost.DMatrix(matrix, label=target), trees
    )
    folder.mkdir(parents=True)
    booster.save_model(folder / "model.ubj")
    write_onnx(booster, folder / "model.onnx", inputs=FEATURES)
    write_transforms(folder, fitted)
    manifest = seal_package(
        folder,
        model="bench.bench_model",
        signature=Signature(tuple(inputs), "regression", "target"),
        runtime="onnx",
        snapshot={"id": "0" * 64, "manifest": "", "ledger_position": 1, "engine_version": None, "rows": rows},
        training_job="bench",
        code_version="0" * 40,
    )
    # Two decimals, as a client would write them; what float32 makes of them is the same for every server.
    row = tuple(round(float(v), 2) for v in values[0])
    expected = float(booster.inplace_predict(np.array([row], dtype=np.float32), validate_features=False)[0])
    return BenchModel(folder, manifest.digest, row, expected)


def instances(row: tuple[float, ...]) -> bytes:
    """The row as our gateway takes it: named fields."""
    return json.dumps({"instances": [dict(zip(NAMES, row, strict=True))]}).encode()
