"""Loads model packages: checked against their hashes, the encoder beside the scorer, warmed up.

Where the scorer is another process's (`adapters.runtimes.process`), the rows are encoded here all the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlplatform.core.features.encoder import Encoder
from mlplatform.core.features.fitted import read_transforms
from mlplatform.core.packages.manifest import Manifest, read_package
from mlplatform.core.packages.writer import MODEL_FILES
from mlplatform.errors import StateError
from mlplatform.ports.runtimes import Prediction
from mlplatform.spec.home import cache_path

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

Scorer = Callable[["npt.NDArray[np.float32]"], "npt.NDArray[Any]"]


class PackageModel:
    """One package in memory. It only reads its own fields, so any number of threads may call it."""

    def __init__(self, manifest: Manifest, encoder: Encoder, score: Scorer) -> None:
        self._manifest = manifest
        self._encoder = encoder
        self._score = score
        self._classes = manifest.signature.classes

    @property
    def manifest(self) -> Manifest:
        return self._manifest

    def predict_rows(self, rows: Sequence[Mapping[str, Any]]) -> list[Prediction]:
        """Answers for rows as a request carries them. Raises DataError naming the row and field that do not fit."""
        if not rows:
            return []
        matrix, flags = self._encoder.rows(rows)
        scores = self._score(matrix).tolist()
        if not self._classes:
            return [Prediction(value, None, flag) for value, flag in zip(scores, flags, strict=True)]
        return [
            Prediction(self._classes[_best(of_row)], dict(zip(self._classes, of_row, strict=True)), flag)
            for of_row, flag in zip(scores, flags, strict=True)
        ]

    def predict_table(self, table: pa.Table) -> npt.NDArray[np.float64]:
        """One value a row: the number, P(second class) for two, or the class's index for more."""
        scores = self.score_table(table)
        task = self._manifest.signature.task
        if task == "regression":
            return scores
        return scores[:, 1] if task == "binary" else np.argmax(scores, axis=1).astype(np.float64)

    def score_table(self, table: pa.Table) -> npt.NDArray[np.float64]:
        """All a row's scores: the number (n), or the probability of each class (n × classes)."""
        if not table.num_rows:
            return np.empty((0, len(self._classes)) if self._classes else 0)
        return np.asarray(self._score(self._encoder.table(table).matrix), dtype=np.float64)


class PackageRuntimes:
    """Every runtime a package can name, imported when a package first names it.

    `cache`: where environments of containers are kept. `answer_s`: how long a model's own process may take to answer.
    """

    def __init__(self, *, cache: Path | None = None, answer_s: float | None = None) -> None:
        self._cache = cache
        self._answer_s = answer_s

    def load(self, package: Path, *, digest: str | None = None, masked: bool = False) -> PackageModel:
        """The model of the package at `package`; with `masked` its errors tell no value of a row.

        Raises:
            StateError: the package is damaged or of another digest.
        """
        manifest = read_package(package, digest=digest)
        signature = manifest.signature
        if len(signature.classes) < 2 and signature.task != "regression":
            raise StateError(f"package at '{package}' is for task {signature.task} and names no classes.")
        encoder = Encoder(signature.inputs, read_transforms(package), masked=masked)
        score = self._scorer(package, manifest)
        for _ in range(3):  # the first calls allocate; they are not a caller's
            score(np.zeros((1, encoder.width), dtype=np.float32))
        return PackageModel(manifest, encoder, score)

    def _scorer(self, package: Path, manifest: Manifest) -> Scorer:
        path, task = package / MODEL_FILES[manifest.runtime], manifest.signature.task
        if manifest.runtime == "onnx":
            from mlplatform.adapters.runtimes.onnx import load_scorer as load_onnx

            return load_onnx(path, task)
        if manifest.runtime == "xgboost":
            from mlplatform.adapters.runtimes.xgboost import load_scorer as load_xgboost

            return load_xgboost(path, task)
        from mlplatform.adapters.containers.environments import Environments
        from mlplatform.adapters.runtimes.process import ANSWER_S, ProcessScorer

        environments = Environments(self._cache or cache_path(os.environ))
        answer_s = self._answer_s or ANSWER_S
        return ProcessScorer(package.absolute(), manifest.digest, environments, scorer=path.name, answer_s=answer_s)


def _best(scores: Sequence[float]) -> int:
    return max(range(len(scores)), key=scores.__getitem__)
