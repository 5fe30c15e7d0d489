"""What the page on servers and approval shows is taken by the adapters, and its permissions are those that were recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlplatform.adapters.tracking.mlflow_settings import MlflowSettings
from mlplatform.spec.profile import Profile
from mlplatform_tests.aws_calls.actions import actions_of
from mlplatform_tests.aws_calls.recorder import listed
from mlplatform_tests.docs.walkthrough import blocks

PAGE = {b.title: b.text for b in blocks(Path(__file__).parents[3] / "docs" / "how-to" / "sagemaker-registry.md")}


def _settings(title: str) -> MlflowSettings:
    profile = Profile.model_validate({"name": "shown", **yaml.safe_load(PAGE[title])})
    return MlflowSettings.model_validate(profile.connections["tracking"].settings)


def _actions(title: str) -> set[str]:
    statements: list[dict[str, Any]] = json.loads(PAGE[title])["Statement"]
    return {a for s in statements for a in ([s["Action"]] if isinstance(s["Action"], str) else s["Action"])}


def test_the_connections_that_are_shown_are_taken() -> None:
    assert not _settings("own").is_managed
    assert _settings("managed").is_managed
    packages = _settings("packages").model_packages
    assert packages.approval
    assert packages.image.endswith("/serve:1")


@pytest.mark.parametrize(
    ("title", "component", "more"),
    [
        ("packages-runner", "tracking: model packages", set()),
        ("managed-runner", "tracking: mlflow", {"sagemaker-mlflow:*"}),
    ],
)
def test_the_permissions_that_are_shown_are_those_recorded(title: str, component: str, more: set[str]) -> None:
    assert _actions(title) == {*actions_of(listed()[component]), *more}
