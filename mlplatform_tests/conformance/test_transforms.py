"""What every back end of transforms must do: each row answered once, in its place, by the code that serves."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplatform.adapters.runtimes import PackageRuntimes
from mlplatform.errors import DataError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.transform import ANSWER, Transforms
from mlplatform_tests.conformance.computes import backend, sagemaker_server, store
from mlplatform_tests.conformance.transforms import answers, lay_rows, rows_of, spec_of, transforms_of

__all__ = ["backend", "sagemaker_server", "store"]


@pytest.fixture
def transforms(backend: str, tmp_path: Path, store: ObjectStore) -> Transforms:
    return transforms_of(backend, tmp_path, store)


def test_each_row_of_each_object_has_its_answer_beside_it(
    transforms: Transforms, store: ObjectStore, tmp_path: Path
) -> None:
    objects = {"a.jsonl": rows_of(1200), "deep/b.jsonl": rows_of(3, first=1200)}
    lay_rows(store, objects)
    spec = spec_of(tmp_path)
    done = transforms.run(spec)
    model = PackageRuntimes().load(spec.package, digest=spec.digest)
    for name, rows in objects.items():
        found = answers(store, f"out/{name}.out")
        assert [{k: v for k, v in row.items() if k != ANSWER} for row in found] == rows
        expected = [answer.value for answer in model.predict_rows(rows)]
        assert [row[ANSWER]["prediction"] for row in found] == pytest.approx(expected)
    assert sorted(info.key for info in store.list("out/")) == ["out/a.jsonl.out", "out/deep/b.jsonl.out"]
    assert done.name == "score-1"
    assert done.log_path is not None
    assert done.log_path.is_file()


def test_a_transform_that_is_done_is_not_done_again(transforms: Transforms, store: ObjectStore, tmp_path: Path) -> None:
    lay_rows(store, {"a.jsonl": rows_of(2)})
    transforms.run(spec_of(tmp_path))
    store.delete("out/a.jsonl.out")
    transforms.run(spec_of(tmp_path))
    assert list(store.list("out/")) == []
    assert not transforms.failed("score-1")


def test_a_row_that_does_not_fit_fails_all_and_says_so(
    transforms: Transforms, store: ObjectStore, tmp_path: Path
) -> None:
    rows = rows_of(3)
    rows[1]["sector"] = "Gardening"
    lay_rows(store, {"a.jsonl": rows})
    with pytest.raises(DataError, match=r"Transform 'score-1'.*Row 2, field 'sector'.*Gardening"):
        transforms.run(spec_of(tmp_path))
    assert list(store.list("out/")) == []


def test_nothing_to_transform_is_refused(transforms: Transforms, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Transform 'score-1'.*(nothing under 'in/'|No S3 objects found)"):
        transforms.run(spec_of(tmp_path))


def test_an_unknown_transform_has_not_failed(transforms: Transforms) -> None:
    assert not transforms.failed("nothing")
