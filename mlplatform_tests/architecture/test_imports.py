"""Importing stays light, and what runs without Dagster does."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("dagster", "duckdb", "great_expectations", "mlflow", "onnxruntime", "optuna", "pandas", "pyarrow", "xgboost")


def loaded_by(statement: str) -> set[str]:
    """Heavy packages that a fresh interpreter has loaded after `statement`."""
    code = f"{statement}\nimport sys\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    [
        "mlplatform",
        "mlplatform.errors",
        "mlplatform.spec.loader",
        "mlplatform.platform",
        "mlplatform.cli.main",
        "mlplatform.worker.main",
        "mlplatform.core.packages.manifest",
        "mlplatform.ports.warehouse",
    ],
)
def test_importing_loads_nothing_heavy(module: str) -> None:
    assert loaded_by(f"import {module}") == set()


def test_the_gateway_runs_without_dagster() -> None:
    assert "dagster" not in loaded_by("import mlplatform.gateway.main")


def test_component_types_are_listed_before_they_are_loaded() -> None:
    assert loaded_by("import mlplatform; assert 'Table' in dir(mlplatform)") == set()


def test_an_unknown_name_is_an_attribute_error() -> None:
    import mlplatform

    with pytest.raises(AttributeError, match="module 'mlplatform' has no attribute 'Tabel'"):
        mlplatform.Tabel  # noqa: B018
