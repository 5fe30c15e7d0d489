"""MLflow under a home: what is on its disk, homes that move, processes that are killed or start at once."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from mlplatform.adapters.tracking.mlflow import MlflowTracking
from mlplatform.core.packages.manifest import read_package
from mlplatform.errors import NotFoundError, StateError
from mlplatform_tests.conformance.trackings import MODEL, home_tracking, mlflow_home, packages, passed, stage

__all__ = ["home_tracking", "mlflow_home", "packages"]


def test_a_damaged_artifact_is_a_state_error_naming_the_file(
    home_tracking: MlflowTracking, mlflow_home: Path, packages: dict[str, Path]
) -> None:
    digest = stage(home_tracking, packages)
    (stored,) = mlflow_home.rglob("artifacts/model.ubj")
    stored.write_bytes(b"x")
    with pytest.raises(StateError, match=r"'model\.ubj' of the model package .* is damaged"):
        home_tracking.package(MODEL, digest)
    stored.unlink()
    with pytest.raises(StateError, match=r"lacks 'model\.ubj'"):
        home_tracking.package(MODEL, digest)


def test_a_moved_home_trains_on_and_keeps_its_packages(
    home_tracking: MlflowTracking, mlflow_home: Path, tmp_path: Path, packages: dict[str, Path]
) -> None:
    before = stage(home_tracking, packages)
    home_tracking.register(MODEL, before, verdict=passed(before))
    shutil.move(mlflow_home, tmp_path / "elsewhere")
    moved = MlflowTracking(tmp_path / "elsewhere", tmp_path / "cache2")
    after = stage(moved, packages, 1)
    assert moved.register(MODEL, after, verdict=passed(after)).version == 2
    for digest in (before, after):
        assert read_package(moved.package(MODEL, digest), digest=digest).model == MODEL
    assert not mlflow_home.exists()


def test_a_home_restored_beside_the_first_leaves_that_one_alone(
    home_tracking: MlflowTracking, mlflow_home: Path, tmp_path: Path, packages: dict[str, Path]
) -> None:
    before = stage(home_tracking, packages)
    shutil.copytree(mlflow_home, tmp_path / "restored")
    first = _files(mlflow_home)
    restored = MlflowTracking(tmp_path / "restored", tmp_path / "cache2")
    after = stage(restored, packages, 1)
    for digest in (before, after):
        restored.register(MODEL, digest, verdict=passed(digest))
        assert read_package(restored.package(MODEL, digest), digest=digest).model == MODEL
    assert _files(mlflow_home) == first
    with pytest.raises(NotFoundError, match="has no candidate"):
        home_tracking.package(MODEL, after)


def test_the_database_does_not_name_the_root(
    home_tracking: MlflowTracking, mlflow_home: Path, packages: dict[str, Path]
) -> None:
    digest = stage(home_tracking, packages)
    home_tracking.register(MODEL, digest, verdict=passed(digest))
    with closing(sqlite3.connect(mlflow_home / "mlflow.db")) as database:
        dump = "\n".join(database.iterdump())
    assert digest in dump
    assert str(mlflow_home) not in dump


def test_an_experiment_with_a_location_of_its_own_has_its_packages_under_the_root_too(
    home_tracking: MlflowTracking, tmp_path: Path, packages: dict[str, Path]
) -> None:
    home_tracking._client.create_experiment("stock_prices", artifact_location=str(tmp_path / "other"))
    digest = stage(home_tracking, packages)
    home_tracking.register(MODEL, digest, verdict=passed(digest))
    assert read_package(home_tracking.package(MODEL, digest), digest=digest).model == MODEL
    assert not (tmp_path / "other").exists()


def _files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_resume_after_kill_in_the_middle_of_staging_leaves_one_candidate(
    home_tracking: MlflowTracking, packages: dict[str, Path]
) -> None:
    client = home_tracking._client
    left = client.create_run(home_tracking._experiment("stock_prices")).info.run_id
    client.create_logged_model("1", name="half", source_run_id=left)
    digest = stage(home_tracking, packages)
    assert client.get_run(left).info.status == "KILLED"
    assert len(client.search_runs(["1"], filter_string=f"tags.`mlplatform.digest` = '{digest}'")) == 1


STAGER = """
import sys
from pathlib import Path
from mlplatform.adapters.tracking.mlflow import MlflowTracking
from mlplatform.ports.tracking import TrackedRun
root, digest, package = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
tracking = MlflowTracking(root / "fresh", root / "cache")
tracking.stage(TrackedRun("e", "n", {}, {}, {}, package), model="m", digest=digest)
tracking.package("m", digest)
print(tracking.register("m", digest, verdict={"passed": True, "digest": digest}).version)
"""


def test_processes_that_start_on_an_empty_home_at_once_agree(tmp_path: Path, packages: dict[str, Path]) -> None:
    digest, package = next(iter(packages.items()))
    command = [sys.executable, "-c", STAGER, str(tmp_path), digest, str(package)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) for _ in range(3)]
    assert [p.communicate()[0].strip() for p in processes] == [b"1"] * 3
    tracking = MlflowTracking(tmp_path / "fresh", tmp_path / "cache")
    assert [v.digest for v in tracking.versions("m")] == [digest]
