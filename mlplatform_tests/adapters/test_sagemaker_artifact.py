"""The package that SageMaker was given, fetched back by who has no registry beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplatform.adapters.endpoints.sagemaker_artifact import get_artifact, put_artifact
from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.core.packages.manifest import read_package
from mlplatform.errors import NotFoundError, StateError
from mlplatform_tests.packages import make_package


def test_it_is_the_package_that_was_put_and_is_fetched_once(tmp_path: Path) -> None:
    store = DirectoryObjectStore(tmp_path / "objects")
    digest = make_package(tmp_path / "made")
    put_artifact(store, digest, tmp_path / "made")
    folder = get_artifact(store, digest, tmp_path / "fetched" / digest)
    assert read_package(folder, digest=digest).digest == digest
    store.delete(f"_models/{digest}/model.tar.gz")
    assert get_artifact(store, digest, folder) == folder
    assert [path.name for path in folder.parent.iterdir()] == [digest]


def test_one_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        get_artifact(DirectoryObjectStore(tmp_path / "objects"), "0" * 64, tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


@pytest.mark.parametrize("content", [b"no archive", b""])
def test_what_is_no_package_is_told_with_its_place(tmp_path: Path, content: bytes) -> None:
    store = DirectoryObjectStore(tmp_path / "objects")
    store.put("_models/digest/model.tar.gz", content)
    with pytest.raises(StateError, match=r"_models/digest/model.tar.gz' is damaged.*deploy the version again"):
        get_artifact(store, "digest", tmp_path / "fetched")
    assert not (tmp_path / "fetched").exists()


def test_one_that_was_cut_off_is_damaged(tmp_path: Path) -> None:
    store = DirectoryObjectStore(tmp_path / "objects")
    digest = make_package(tmp_path / "made")
    put_artifact(store, digest, tmp_path / "made")
    with store.open(f"_models/{digest}/model.tar.gz") as file:
        whole = file.read()
    store.put(f"_models/{digest}/model.tar.gz", whole[: len(whole) // 2])
    with pytest.raises(StateError, match="is damaged"):
        get_artifact(store, digest, tmp_path / "fetched")
