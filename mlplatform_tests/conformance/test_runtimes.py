"""What every runtime of a model package must do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.core.packages.manifest import Runtime, Task
from mlplatform.errors import DataError, StateError
from mlplatform_tests.packages import CLASSES, make_package, make_table

RUNTIMES: tuple[Runtime, ...] = ("onnx", "xgboost", "process")
LOADED = {"onnx": "model.onnx", "xgboost": "model.ubj", "process": "weights.json"}
TASKS: tuple[Task, ...] = ("regression", "binary", "multiclass")
ROW: dict[str, Any] = {"ticker_symbol": "AAPL", "sector": "Energy", "change": 1.0}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("task", TASKS)
def test_rows_and_tables_get_the_same_answers(tmp_path: Path, task: Task, runtime: Runtime) -> None:
    model = PackageRuntimes().load(tmp_path, digest=make_package(tmp_path, task=task, runtime=runtime))
    table = make_table(40, seed=9)
    answers = model.predict_rows(table.to_pylist())
    values = model.predict_table(table)
    assert values.dtype == np.float64
    if task == "regression":
        np.testing.assert_allclose([a.value for a in answers], values, rtol=1e-6)
        truth = table.column("price").to_numpy()
        assert 1 - ((values - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum() > 0.8
        return
    classes = ("no", "yes") if task == "binary" else CLASSES
    for answer, value in zip(answers, values, strict=True):
        assert answer.probabilities is not None
        assert sum(answer.probabilities.values()) == pytest.approx(1, abs=1e-5)
        assert answer.value == max(answer.probabilities, key=answer.probabilities.__getitem__)
        if task == "binary":
            assert answer.probabilities["yes"] == pytest.approx(value, rel=1e-5)
        else:
            assert answer.value == classes[int(value)]


@pytest.mark.parametrize("task", TASKS)
def test_both_runtimes_agree(tmp_path: Path, task: Task) -> None:
    values = []
    for runtime in ("onnx", "xgboost"):
        digest = make_package(tmp_path / runtime, task=task, runtime=runtime)
        values.append(PackageRuntimes().load(tmp_path / runtime, digest=digest).score_table(make_table(200, seed=4)))
    np.testing.assert_allclose(values[0], values[1], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_unseen_category_is_flagged_or_refused_as_the_signature_says(tmp_path: Path, runtime: Runtime) -> None:
    make_package(tmp_path, runtime=runtime)
    model = PackageRuntimes().load(tmp_path)
    answers = model.predict_rows([ROW, {**ROW, "ticker_symbol": "NEW"}])
    assert [answer.flags for answer in answers] == [(), ("unseen:ticker_symbol",)]
    with pytest.raises(DataError, match="Row 1, field 'sector': expected one of the 3 known values"):
        model.predict_rows([{**ROW, "sector": "NEW"}])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_no_rows_get_no_answers(tmp_path: Path, runtime: Runtime) -> None:
    make_package(tmp_path, runtime=runtime, task="multiclass")
    model = PackageRuntimes().load(tmp_path)
    assert model.predict_rows([]) == []
    assert model.predict_table(make_table(1).slice(0, 0)).shape == (0,)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_damaged_package_is_refused_by_file(tmp_path: Path, runtime: Runtime) -> None:
    make_package(tmp_path, runtime=runtime)
    path = tmp_path / LOADED[runtime]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(StateError, match=rf"'{path.name}' of the model package .* is damaged"):
        PackageRuntimes().load(tmp_path)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_model_file_that_the_runtime_cannot_load_is_a_state_error(tmp_path: Path, runtime: Runtime) -> None:
    from mlplatform.core.packages.writer import seal_package

    make_package(tmp_path, runtime=runtime)
    manifest = PackageRuntimes().load(tmp_path).manifest
    (tmp_path / LOADED[runtime]).write_bytes(b"no model")
    seal_package(
        tmp_path,
        model="m",
        signature=manifest.signature,
        runtime=runtime,
        snapshot={},
        training_job="",
        code_version="",
    )
    with pytest.raises(StateError, match="is no model that"):
        PackageRuntimes().load(tmp_path)


def test_another_digest_is_refused(tmp_path: Path) -> None:
    make_package(tmp_path)
    with pytest.raises(StateError, match=r"has digest [0-9a-f]{12}…, expected ffffffffffff…"):
        PackageRuntimes().load(tmp_path, digest="f" * 64)


def test_a_missing_file_and_a_damaged_manifest_are_refused(tmp_path: Path) -> None:
    make_package(tmp_path)
    (tmp_path / "transforms.json").unlink()
    with pytest.raises(StateError, match=r"lacks 'transforms\.json'"):
        PackageRuntimes().load(tmp_path)
    (tmp_path / "model.json").write_text(json.dumps({"format_version": 99}))
    with pytest.raises(StateError, match="of format 99; this release reads 1"):
        PackageRuntimes().load(tmp_path)


def test_the_same_seed_gives_the_same_digest(tmp_path: Path) -> None:
    first, again, other = (make_package(tmp_path / n, seed=s) for n, s in (("a", 1), ("b", 1), ("c", 2)))
    assert first == again
    assert first != other
