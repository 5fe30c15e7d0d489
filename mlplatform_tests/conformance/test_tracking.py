"""What every tracking back end and registry must do."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from mlplatform.adapters.tracking.mlflow import MlflowTracking
from mlplatform.core.packages.manifest import read_package
from mlplatform.errors import GateError, NotFoundError, StateError
from mlplatform.ports.tracking import TrackedRun, Tracking
from mlplatform_tests.packages import make_package

MODEL = "stock_prices.stock_model"
TAGS = {"dagster_run_id": "r-1", "code_version": "c" * 40, "snapshot": "s" * 64, "training_job": "job-1"}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three packages by digest."""
    root = tmp_path_factory.mktemp("packages")
    return {make_package(root / str(seed), seed=seed, runtime="xgboost"): root / str(seed) for seed in range(3)}


@pytest.fixture
def root(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a database, copied: making one takes two seconds."""
    template = tmp_path_factory.getbasetemp() / "mlflow-template"
    if not template.exists():
        MlflowTracking(template, template / "cache").versions("none")
    shutil.copytree(template, tmp_path / "tracking")
    return tmp_path / "tracking"


@pytest.fixture
def tracking(root: Path, tmp_path: Path) -> MlflowTracking:
    return MlflowTracking(root, tmp_path / "cache", ui_url="http://127.0.0.1:5000/")


def _run(package: Path) -> TrackedRun:
    return TrackedRun("stock_prices", "job-1", {"eta": "0.1"}, {"r2": 0.9, "mae": 2.0}, TAGS, package)


def _stage(tracking: Tracking, packages: dict[str, Path], index: int = 0) -> str:
    digest, package = list(packages.items())[index]
    assert tracking.stage(_run(package), model=MODEL, digest=digest).digest == digest
    return digest


def _passed(digest: str) -> dict[str, object]:
    return {"passed": True, "digest": digest}


def test_a_staged_candidate_keeps_its_run_and_package(tracking: Tracking, packages: dict[str, Path]) -> None:
    digest, package = next(iter(packages.items()))
    candidate = tracking.stage(_run(package), model=MODEL, digest=digest)
    assert (candidate.model, candidate.digest, candidate.tags) == (MODEL, digest, TAGS)
    assert candidate.run_url.startswith("http://127.0.0.1:5000/#/experiments/")
    assert candidate.run_url.endswith(candidate.run_id)
    copy = tracking.package(MODEL, digest)
    assert read_package(copy, digest=digest).files == read_package(package).files
    assert tracking.versions(MODEL) == []


def test_the_same_digest_is_staged_once(tracking: Tracking, packages: dict[str, Path]) -> None:
    digest, package = next(iter(packages.items()))
    first = tracking.stage(_run(package), model=MODEL, digest=digest)
    assert tracking.stage(replace(_run(package), name="again"), model=MODEL, digest=digest) == first


def test_a_package_of_another_digest_is_not_staged(tracking: Tracking, packages: dict[str, Path]) -> None:
    (_, package), (other, _) = list(packages.items())[:2]
    with pytest.raises(StateError, match="has digest"):
        tracking.stage(_run(package), model=MODEL, digest=other)


def test_registered_versions_count_from_one_with_metrics_and_tags(
    tracking: Tracking, packages: dict[str, Path]
) -> None:
    digests = [_stage(tracking, packages, i) for i in range(2)]
    made = [tracking.register(MODEL, digest, verdict=_passed(digest)) for digest in digests]
    assert [v.version for v in made] == [1, 2]
    found = tracking.versions(MODEL)
    assert [(v.version, v.digest, v.metrics, v.tags, v.aliases) for v in found] == [
        (i + 1, digest, {"r2": 0.9, "mae": 2.0}, TAGS, ()) for i, digest in enumerate(digests)
    ]
    assert found[0].created_at <= found[1].created_at


def test_the_same_digest_is_registered_once(tracking: Tracking, packages: dict[str, Path]) -> None:
    digest = _stage(tracking, packages)
    assert tracking.register(MODEL, digest, verdict=_passed(digest)) == tracking.register(
        MODEL, digest, verdict=_passed(digest)
    )
    assert len(tracking.versions(MODEL)) == 1


@pytest.mark.parametrize("verdict", [{}, {"passed": False}, {"passed": "yes"}, {"passed": None}])
def test_without_a_pass_nothing_is_registered(
    tracking: Tracking, packages: dict[str, Path], verdict: dict[str, object]
) -> None:
    digest = _stage(tracking, packages)
    with pytest.raises(GateError, match="is not registered: its verdict is no pass"):
        tracking.register(MODEL, digest, verdict={"digest": digest, **verdict})
    assert tracking.versions(MODEL) == []


def test_an_archived_model_is_kept_under_its_mark_and_one_of_its_name_starts_with_none(
    tracking: Tracking, packages: dict[str, Path]
) -> None:
    digests = [_stage(tracking, packages, i) for i in range(2)]
    before = [tracking.register(MODEL, digest, verdict=_passed(digest)) for digest in digests]
    tracking.set_alias(MODEL, "champion", 1)
    for _ in range(2):
        tracking.archive(MODEL, mark="destroyed-1-")
    assert tracking.versions(MODEL) == []
    with pytest.raises(NotFoundError, match="has no candidate"):
        tracking.package(MODEL, list(packages)[2])
    with pytest.raises(NotFoundError, match="has no candidate"):
        tracking.register(MODEL, digests[0], verdict=_passed(digests[0]))
    kept = tracking.versions(f"destroyed-1-{MODEL}")
    assert [(v.version, v.digest, v.run_id, v.aliases) for v in kept] == [
        (v.version, v.digest, v.run_id, ()) for v in before
    ]
    digest = _stage(tracking, packages, 1)
    made = tracking.register(MODEL, digest, verdict=_passed(digest))
    assert (made.version, made.digest, made.aliases) == (1, digests[1], ())
    assert made.run_id != before[1].run_id
    tracking.archive(MODEL, mark="destroyed-2-")
    assert len(tracking.versions(f"destroyed-1-{MODEL}")) == 2
    assert len(tracking.versions(f"destroyed-2-{MODEL}")) == 1


def test_a_pass_of_another_candidate_does_not_count(tracking: Tracking, packages: dict[str, Path]) -> None:
    digest = _stage(tracking, packages)
    with pytest.raises(GateError, match="about another candidate"):
        tracking.register(MODEL, digest, verdict=_passed("f" * 64))


def test_aliases_move_and_go(tracking: Tracking, packages: dict[str, Path]) -> None:
    for i in range(2):
        digest = _stage(tracking, packages, i)
        tracking.register(MODEL, digest, verdict=_passed(digest))
    tracking.set_alias(MODEL, "champion", 1)
    tracking.set_alias(MODEL, "challenger", 2)
    assert [v.aliases for v in tracking.versions(MODEL)] == [("champion",), ("challenger",)]
    tracking.set_alias(MODEL, "champion", 2)
    assert [v.aliases for v in tracking.versions(MODEL)] == [(), ("challenger", "champion")]
    tracking.set_alias(MODEL, "challenger", None)
    tracking.set_alias(MODEL, "challenger", None)
    assert [v.aliases for v in tracking.versions(MODEL)] == [(), ("champion",)]
    with pytest.raises(NotFoundError, match="has no version 3"):
        tracking.set_alias(MODEL, "champion", 3)


def test_annotations_add_to_the_run(tracking: Tracking, packages: dict[str, Path]) -> None:
    digest = _stage(tracking, packages)
    tracking.annotate(MODEL, digest, tags={"verdict": "better"}, metrics={"improvement": 0.25})
    version = tracking.register(MODEL, digest, verdict=_passed(digest))
    assert version.tags == {**TAGS, "verdict": "better"}
    assert version.metrics["improvement"] == 0.25


def test_what_is_not_there_is_named(tracking: Tracking, packages: dict[str, Path]) -> None:
    for call in (
        lambda: tracking.package(MODEL, "f" * 64),
        lambda: tracking.register(MODEL, "f" * 64, verdict=_passed("f" * 64)),
        lambda: tracking.annotate(MODEL, "f" * 64, tags={}),
    ):
        with pytest.raises(NotFoundError, match=f"Model '{MODEL}' has no candidate ffffffffffff…"):
            call()


def test_a_local_copy_is_read_only_and_a_damaged_one_is_fetched_again(
    tracking: MlflowTracking, packages: dict[str, Path]
) -> None:
    digest = _stage(tracking, packages)
    path = tracking.package(MODEL, digest) / "transforms.json"
    assert path.stat().st_mode & 0o222 == 0
    path.chmod(0o644)
    path.write_text("{}")
    assert read_package(tracking.package(MODEL, digest), digest=digest).model == MODEL


def test_a_damaged_artifact_is_a_state_error_naming_the_file(
    tracking: MlflowTracking, root: Path, packages: dict[str, Path]
) -> None:
    digest = _stage(tracking, packages)
    (stored,) = root.rglob("artifacts/model.ubj")
    stored.write_bytes(b"x")
    with pytest.raises(StateError, match=r"'model\.ubj' of the model package .* is damaged"):
        tracking.package(MODEL, digest)
    stored.unlink()
    with pytest.raises(StateError, match=r"lacks 'model\.ubj'"):
        tracking.package(MODEL, digest)


def test_a_moved_home_trains_on_and_keeps_its_packages(
    tracking: MlflowTracking, root: Path, tmp_path: Path, packages: dict[str, Path]
) -> None:
    before = _stage(tracking, packages)
    tracking.register(MODEL, before, verdict=_passed(before))
    shutil.move(root, tmp_path / "elsewhere")
    moved = MlflowTracking(tmp_path / "elsewhere", tmp_path / "cache2")
    after = _stage(moved, packages, 1)
    assert moved.register(MODEL, after, verdict=_passed(after)).version == 2
    for digest in (before, after):
        assert read_package(moved.package(MODEL, digest), digest=digest).model == MODEL
    assert not root.exists()


def test_a_home_restored_beside_the_first_leaves_that_one_alone(
    tracking: MlflowTracking, root: Path, tmp_path: Path, packages: dict[str, Path]
) -> None:
    before = _stage(tracking, packages)
    shutil.copytree(root, tmp_path / "restored")
    first = _files(root)
    restored = MlflowTracking(tmp_path / "restored", tmp_path / "cache2")
    after = _stage(restored, packages, 1)
    for digest in (before, after):
        restored.register(MODEL, digest, verdict=_passed(digest))
        assert read_package(restored.package(MODEL, digest), digest=digest).model == MODEL
    assert _files(root) == first
    with pytest.raises(NotFoundError, match="has no candidate"):
        tracking.package(MODEL, after)


def test_the_database_does_not_name_the_root(tracking: MlflowTracking, root: Path, packages: dict[str, Path]) -> None:
    digest = _stage(tracking, packages)
    tracking.register(MODEL, digest, verdict=_passed(digest))
    with closing(sqlite3.connect(root / "mlflow.db")) as database:
        dump = "\n".join(database.iterdump())
    assert digest in dump
    assert str(root) not in dump


def test_an_experiment_with_a_location_of_its_own_has_its_packages_under_the_root_too(
    tracking: MlflowTracking, tmp_path: Path, packages: dict[str, Path]
) -> None:
    tracking._client.create_experiment("stock_prices", artifact_location=str(tmp_path / "other"))
    digest = _stage(tracking, packages)
    tracking.register(MODEL, digest, verdict=_passed(digest))
    assert read_package(tracking.package(MODEL, digest), digest=digest).model == MODEL
    assert not (tmp_path / "other").exists()


def _files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_resume_after_kill_in_the_middle_of_staging_leaves_one_candidate(
    tracking: MlflowTracking, packages: dict[str, Path]
) -> None:
    client = tracking._client
    left = client.create_run(tracking._experiment("stock_prices")).info.run_id
    client.create_logged_model("1", name="half", source_run_id=left)
    digest = _stage(tracking, packages)
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
