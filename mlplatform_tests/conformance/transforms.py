"""Every back end of transforms, and a set of rows to score, for the suites of the port."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlplatform.adapters.compute.local_transform import LocalTransforms
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.adapters.compute.sagemaker_transform import SageMakerTransforms
from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.transform import Transforms, TransformSpec
from mlplatform_tests.conformance.computes import SETTINGS
from mlplatform_tests.packages import INPUTS, make_package, make_table


def transforms_of(backend: str, tmp_path: Path, store: ObjectStore, **settings: Any) -> Transforms:
    """The back end by the name that `computes.backend` gives it."""
    if backend == "subprocess":
        return LocalTransforms(tmp_path / "transforms", store, PackageRuntimes())
    made = SageMakerComputeSettings.model_validate({**SETTINGS, "metrics": {}, **settings})
    # boto3 keeps the credentials that it found first.
    options = {"aws_access_key_id": os.environ["AWS_ACCESS_KEY_ID"], "aws_secret_access_key": "test"}
    return SageMakerTransforms(made, tmp_path / "local", store, client_options=options)


def lay_rows(store: ObjectStore, objects: Mapping[str, Sequence[Mapping[str, Any]]], prefix: str = "in/") -> None:
    for name, rows in objects.items():
        store.put(f"{prefix}{name}", "".join(f"{json.dumps(row)}\n" for row in rows).encode())


def rows_of(count: int, *, first: int = 0) -> list[dict[str, Any]]:
    """Rows with a key, as a transform takes them; a missing number is null."""
    names = [field.name for field in INPUTS]
    found = make_table(first + count, seed=9).select(names).to_pylist()[first:]
    return [{"day": f"2026-01-{number:04d}", **row} for number, row in enumerate(found, first)]


def spec_of(tmp_path: Path, name: str = "score-1", **changes: Any) -> TransformSpec:
    """A transform of ``in/`` by a small package, to ``out/``."""
    package = tmp_path / "package"
    digest = json.loads((tmp_path / "digest").read_text()) if package.exists() else make_package(package)
    (tmp_path / "digest").write_text(json.dumps(digest))
    given: dict[str, Any] = {
        "model": "stock_prices.stock_model",
        "version": 3,
        "digest": digest,
        "package": package,
        "keys": ("day",),
        "input_prefix": "in/",
        "output_prefix": "out/",
        **changes,
    }
    return TransformSpec(name, **given)


def answers(store: ObjectStore, key: str) -> list[dict[str, Any]]:
    """The lines of an output."""
    with store.open(key) as stream:
        return [json.loads(line) for line in stream.read().splitlines()]
