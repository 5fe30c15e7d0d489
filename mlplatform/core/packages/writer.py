"""Seals a directory into a model package: hashes every file and writes `model.json` last."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlplatform.core.packages.manifest import MANIFEST, Manifest, Runtime, Signature, file_digest, write_manifest
from mlplatform.errors import StateError

MODEL_FILES: dict[Runtime, str] = {"onnx": "model.onnx", "xgboost": "model.ubj", "process": "scorer.py"}
"""The file each runtime loads."""


def seal_package(
    directory: Path,
    *,
    model: str,
    signature: Signature,
    runtime: Runtime,
    snapshot: dict[str, Any],
    training_job: str,
    code_version: str,
    trained_to: str | None = None,
    parameters: dict[str, str] | None = None,
    metrics: dict[str, float] | None = None,
) -> Manifest:
    """Write the manifest over the files that lie in `directory`; the same content always gives the same digest.

    Raises:
        StateError: the runtime's model file is not there, or there are folders.
    """
    paths = sorted(path for path in directory.iterdir() if path.name != MANIFEST)
    folders = [path.name for path in paths if not path.is_file()]
    if folders:
        raise StateError(f"a model package has files only; '{directory}' also has: {', '.join(folders)}.")
    files = {path.name: file_digest(path) for path in paths}
    if MODEL_FILES[runtime] not in files:
        raise StateError(f"package at '{directory}' lacks '{MODEL_FILES[runtime]}', which runtime '{runtime}' loads.")
    manifest = Manifest(
        model=model,
        signature=signature,
        runtime=runtime,
        files=files,
        snapshot=snapshot,
        training_job=training_job,
        code_version=code_version,
        trained_to=trained_to,
        parameters=dict(parameters or {}),
        metrics=dict(metrics or {}),
    )
    write_manifest(directory, manifest)
    return manifest
