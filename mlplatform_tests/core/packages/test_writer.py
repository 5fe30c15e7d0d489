"""Sealing a package: every file hashed, the manifest last, the digest a content id."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from mlplatform.core.packages.manifest import InputField, Manifest, Signature, read_package
from mlplatform.core.packages.writer import seal_package
from mlplatform.errors import StateError

SIGNATURE = Signature((InputField("a", "double", missing="keep"),), "binary", "y", ("no", "yes"))


def _seal(directory: Path, **changes: object) -> Manifest:
    arguments: dict[str, object] = {
        "model": "s.m", "signature": SIGNATURE, "runtime": "onnx", "snapshot": {"id": "x"}, "training_job": "j",
        "code_version": "c", "trained_to": "2020-01-01", "parameters": {"eta": "0.1"}, "metrics": {"r2": 0.5},
    }  # fmt: skip
    return seal_package(directory, **{**arguments, **changes})  # type: ignore[arg-type]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(b"onnx")
    (tmp_path / "transforms.json").write_bytes(b"{}")
    return tmp_path


def test_a_sealed_package_is_read_back_as_it_was_written(directory: Path) -> None:
    manifest = _seal(directory)
    assert read_package(directory, digest=manifest.digest) == manifest
    assert manifest.files == {
        "model.onnx": hashlib.sha256(b"onnx").hexdigest(),
        "transforms.json": hashlib.sha256(b"{}").hexdigest(),
    }


def test_the_digest_follows_the_content(directory: Path) -> None:
    first = _seal(directory).digest
    assert _seal(directory).digest == first
    assert _seal(directory, code_version="d").digest != first
    (directory / "transforms.json").write_bytes(b"{ }")
    assert _seal(directory).digest != first


def test_the_runtime_s_file_must_be_there(directory: Path) -> None:
    with pytest.raises(StateError, match=r"lacks 'model\.ubj', which runtime 'xgboost' loads"):
        _seal(directory, runtime="xgboost")


def test_what_lies_in_a_package_and_is_not_listed_is_refused_by_name(directory: Path) -> None:
    _seal(directory)
    (directory / "numpy.py").write_text("raise SystemExit")
    (directory / "__pycache__").mkdir()
    with pytest.raises(StateError, match=r"holds what its model\.json does not list: '__pycache__', 'numpy\.py'\."):
        read_package(directory)


def test_a_package_has_no_folders(directory: Path) -> None:
    (directory / "deep").mkdir()
    with pytest.raises(StateError, match=r"has files only; .* also has: deep"):
        _seal(directory)
