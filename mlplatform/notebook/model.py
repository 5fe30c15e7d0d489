"""One registered version of a model as a notebook reads it: what it is, what it learned from, and its answers."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.core.codecs import RequestFields
from mlplatform.core.loads.snapshot import SnapshotRef
from mlplatform.core.packages.manifest import Manifest, Signature, read_package
from mlplatform.errors import DataError
from mlplatform.ports.tracking import ModelVersion
from mlplatform.stations.feature_snapshot import read_tables

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from mlplatform.platform import Platform
    from mlplatform.ports.runtimes import LoadedModel, Prediction


class ModelView:
    """A version; read-only. Its package is checked against its digest when it is first looked into."""

    def __init__(self, platform: Platform, version: ModelVersion) -> None:
        self._platform = platform
        self._version = version

    def __repr__(self) -> str:
        alias = f" ({', '.join(self.aliases)})" if self.aliases else ""
        figures = ", ".join(f"{name} {value:.4g}" for name, value in sorted(self.metrics.items()))
        return f"{self.name} version {self.version}{alias}: {figures or 'no metrics'}"

    @property
    def name(self) -> str:
        """``<system>.<model>``."""
        return self._version.model

    @property
    def version(self) -> int:
        return self._version.version

    @property
    def aliases(self) -> tuple[str, ...]:
        """``champion`` serves; ``challenger`` is registered and does not yet."""
        return self._version.aliases

    @property
    def digest(self) -> str:
        """SHA-256 of the package: the model's identity."""
        return self._version.digest

    @property
    def registered_at(self) -> str:
        return self._version.created_at

    @property
    def metrics(self) -> dict[str, float]:
        """On held-out rows, which nothing was chosen by."""
        return dict(self.manifest.metrics)

    @property
    def parameters(self) -> dict[str, str]:
        """Hyperparameters as used."""
        return dict(self.manifest.parameters)

    @property
    def signature(self) -> Signature:
        """What it takes and answers."""
        return self.manifest.signature

    @property
    def snapshot(self) -> SnapshotRef:
        """The rows it was trained, validated and held out on; `table(…, at=…)` takes it."""
        return SnapshotRef.from_json(self.manifest.snapshot)

    @cached_property
    def package(self) -> Path:
        """The folder of its files, checked against their hashes: model, transforms, baseline, evaluation."""
        return self._platform.tracking.package(self.name, self.digest)

    @cached_property
    def manifest(self) -> Manifest:
        """Everything the package says of itself."""
        return read_package(self.package, digest=self.digest)

    @cached_property
    def evaluation(self) -> dict[str, Any]:
        """The training's own report: metrics on validation and held-out rows, and every trial of the search."""
        return dict(json.loads((self.package / "evaluation.json").read_text("utf-8")))

    def rows(self, channel: str = "train") -> pa.Table:
        """The very rows it was trained on (``train``), searched on (``validation``) or measured on (``test``).

        Raises:
            NotFoundError: their objects, or rows of the warehouse, are gone.
        """
        import pyarrow as pa

        system, _, name = self.name.partition(".")
        stations = self._platform.system(system)
        tables = read_tables(
            self._platform.store,
            self.manifest.snapshot,
            [channel],
            warehouse=lambda: stations.warehouse_of(name),
        )
        if not tables:
            raise DataError(
                f"There is no channel '{channel}'; there are: train, validation, test.",
                next_step="Choose one of these.",
            )
        return pa.concat_tables(tables)

    def predict(self, rows: pd.DataFrame | pa.Table | Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> pd.DataFrame:
        """Its answers, by the code and the stored transforms that serve it; nothing is captured.

        A frame or table must have a column for each input, and may have others. One object or a list of them is
        checked as a request is: an unknown field is an error, a missing one a missing value.

        Returns:
            One row each: ``prediction`` (the number, or the class), ``probability_<class>`` where there are classes, and
            ``flags`` such as ``unseen:sector``. A frame's index is kept.

        Raises:
            DataError: a value does not fit; names row (from 1), field, expectation and finding.
        """
        import pandas as pd

        index = rows.index if isinstance(rows, pd.DataFrame) else None
        answers = self._loaded.predict_rows(self._requests(rows))
        return pd.DataFrame([_row(a) for a in answers], index=index, columns=self._columns())

    @cached_property
    def _loaded(self) -> LoadedModel:
        return self._platform.runtimes.load(self.package, digest=self.digest)

    def _columns(self) -> list[str]:
        return ["prediction", *(f"probability_{name}" for name in self.signature.classes), "flags"]

    def _requests(self, rows: Any) -> list[Mapping[str, Any]]:
        import pandas as pd
        import pyarrow as pa

        names = [i.name for i in self.signature.inputs]
        if isinstance(rows, pd.DataFrame | pa.Table):
            there = [str(name) for name in (rows.columns if isinstance(rows, pd.DataFrame) else rows.column_names)]
            _require(names, there)
            table = rows if isinstance(rows, pa.Table) else pa.Table.from_pandas(rows[names], preserve_index=False)
            return [{name: _plain(v) for name, v in row.items()} for row in table.select(names).to_pylist()]
        objects = [rows] if isinstance(rows, Mapping) else list(rows)
        fields = RequestFields(self.signature.inputs)
        for number, row in enumerate(objects, 1):
            fields.refuse_unknown(row, f"Row {number}")
        return objects


def _require(names: Sequence[str], there: Sequence[str]) -> None:
    for name in names:
        if name not in there:
            close = difflib.get_close_matches(name, there, n=1)
            raise DataError(
                f"The rows have no column '{name}'; they have: {', '.join(there)}.",
                next_step=f"Is it '{close[0]}'?" if close else "Add it, with missing values where there are none.",
            )


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def _row(answer: Prediction) -> dict[str, Any]:
    shares = {f"probability_{name}": share for name, share in (answer.probabilities or {}).items()}
    return {"prediction": answer.value, **shares, "flags": answer.flags}
