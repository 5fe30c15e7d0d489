"""What every tracking back end and registry must do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlplatform.core.packages.manifest import read_package
from mlplatform.errors import GateError, NotFoundError, StateError
from mlplatform.ports.tracking import Tracking
from mlplatform_tests.conformance.trackings import (
    MODEL,
    TAGS,
    home_tracking,
    managed_server,
    mlflow_home,
    mlflow_servers,
    packages,
    passed,
    run_of,
    stage,
    tracking,
)
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_account, sagemaker_server

__all__ = [
    "home_tracking",
    "managed_server",
    "mlflow_home",
    "mlflow_servers",
    "packages",
    "sagemaker_account",
    "sagemaker_server",
    "tracking",
]


def test_a_staged_candidate_keeps_its_run_and_package(tracking: Tracking, packages: dict[str, Path]) -> None:
    digest, package = next(iter(packages.items()))
    candidate = tracking.stage(run_of(package), model=MODEL, digest=digest)
    assert (candidate.model, candidate.digest, candidate.tags) == (MODEL, digest, TAGS)
    assert candidate.run_url.startswith("http://127.0.0.1:5000/#/experiments/")
    assert candidate.run_url.endswith(candidate.run_id)
    copy = tracking.package(MODEL, digest)
    assert read_package(copy, digest=digest).files == read_package(package).files
    assert tracking.versions(MODEL) == []


def test_the_same_digest_is_staged_once(tracking: Tracking, packages: dict[str, Path]) -> None:
    digest, package = next(iter(packages.items()))
    first = tracking.stage(run_of(package), model=MODEL, digest=digest)
    assert tracking.stage(replace(run_of(package), name="again"), model=MODEL, digest=digest) == first


def test_a_package_of_another_digest_is_not_staged(tracking: Tracking, packages: dict[str, Path]) -> None:
    (_, package), (other, _) = list(packages.items())[:2]
    with pytest.raises(StateError, match="has digest"):
        tracking.stage(run_of(package), model=MODEL, digest=other)


def test_registered_versions_count_from_one_with_metrics_and_tags(
    tracking: Tracking, packages: dict[str, Path]
) -> None:
    digests = [stage(tracking, packages, i) for i in range(2)]
    made = [tracking.register(MODEL, digest, verdict=passed(digest)) for digest in digests]
    assert [v.version for v in made] == [1, 2]
    found = tracking.versions(MODEL)
    assert [(v.version, v.digest, v.metrics, v.tags, v.aliases) for v in found] == [
        (i + 1, digest, {"r2": 0.9, "mae": 2.0}, TAGS, ()) for i, digest in enumerate(digests)
    ]
    assert found[0].created_at <= found[1].created_at


def test_the_same_digest_is_registered_once(tracking: Tracking, packages: dict[str, Path]) -> None:
    digest = stage(tracking, packages)
    assert tracking.register(MODEL, digest, verdict=passed(digest)) == tracking.register(
        MODEL, digest, verdict=passed(digest)
    )
    assert len(tracking.versions(MODEL)) == 1


@pytest.mark.parametrize("verdict", [{}, {"passed": False}, {"passed": "yes"}, {"passed": None}])
def test_without_a_pass_nothing_is_registered(
    tracking: Tracking, packages: dict[str, Path], verdict: dict[str, object]
) -> None:
    digest = stage(tracking, packages)
    with pytest.raises(GateError, match="is not registered: its verdict is no pass"):
        tracking.register(MODEL, digest, verdict={"digest": digest, **verdict})
    assert tracking.versions(MODEL) == []


def test_an_archived_model_is_kept_under_its_mark_and_one_of_its_name_starts_with_none(
    tracking: Tracking, packages: dict[str, Path]
) -> None:
    digests = [stage(tracking, packages, i) for i in range(2)]
    before = [tracking.register(MODEL, digest, verdict=passed(digest)) for digest in digests]
    tracking.set_alias(MODEL, "champion", 1)
    for _ in range(2):
        tracking.archive(MODEL, mark="destroyed-1-")
    assert tracking.versions(MODEL) == []
    with pytest.raises(NotFoundError, match="has no candidate"):
        tracking.package(MODEL, list(packages)[2])
    with pytest.raises(NotFoundError, match="has no candidate"):
        tracking.register(MODEL, digests[0], verdict=passed(digests[0]))
    kept = tracking.versions(f"destroyed-1-{MODEL}")
    assert [(v.version, v.digest, v.run_id, v.aliases) for v in kept] == [
        (v.version, v.digest, v.run_id, ()) for v in before
    ]
    digest = stage(tracking, packages, 1)
    made = tracking.register(MODEL, digest, verdict=passed(digest))
    assert (made.version, made.digest, made.aliases) == (1, digests[1], ())
    assert made.run_id != before[1].run_id
    tracking.archive(MODEL, mark="destroyed-2-")
    assert len(tracking.versions(f"destroyed-1-{MODEL}")) == 2
    assert len(tracking.versions(f"destroyed-2-{MODEL}")) == 1


def test_a_pass_of_another_candidate_does_not_count(tracking: Tracking, packages: dict[str, Path]) -> None:
    digest = stage(tracking, packages)
    with pytest.raises(GateError, match="about another candidate"):
        tracking.register(MODEL, digest, verdict=passed("f" * 64))


def test_aliases_move_and_go(tracking: Tracking, packages: dict[str, Path]) -> None:
    for i in range(2):
        digest = stage(tracking, packages, i)
        tracking.register(MODEL, digest, verdict=passed(digest))
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


def test_annotations_add_to_therun_of(tracking: Tracking, packages: dict[str, Path]) -> None:
    digest = stage(tracking, packages)
    tracking.annotate(MODEL, digest, tags={"verdict": "better"}, metrics={"improvement": 0.25})
    version = tracking.register(MODEL, digest, verdict=passed(digest))
    assert version.tags == {**TAGS, "verdict": "better"}
    assert version.metrics["improvement"] == 0.25


def test_what_is_not_there_is_named(tracking: Tracking, packages: dict[str, Path]) -> None:
    for call in (
        lambda: tracking.package(MODEL, "f" * 64),
        lambda: tracking.register(MODEL, "f" * 64, verdict=passed("f" * 64)),
        lambda: tracking.annotate(MODEL, "f" * 64, tags={}),
    ):
        with pytest.raises(NotFoundError, match=f"Model '{MODEL}' has no candidate ffffffffffff…"):
            call()


def test_a_local_copy_is_read_only_and_a_damaged_one_is_fetched_again(
    tracking: Tracking, packages: dict[str, Path]
) -> None:
    digest = stage(tracking, packages)
    path = tracking.package(MODEL, digest) / "transforms.json"
    assert path.stat().st_mode & 0o222 == 0
    path.chmod(0o644)
    path.write_text("{}")
    assert read_package(tracking.package(MODEL, digest), digest=digest).model == MODEL
