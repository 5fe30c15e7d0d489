"""Nothing here runs by accident: who wants it says so, and boto3 must find somebody to be."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

import boto3
import pytest

ASKED = "MLPLATFORM_TEST_AWS"
BUCKET = "MLPLATFORM_BUCKET"


def why_not(env: Mapping[str, str], *, credentials: bool) -> str:
    """Why nothing runs, "" where it does."""
    if env.get(ASKED) != "yes":
        return f"on AWS itself, where it makes things that cost: {ASKED}=yes, and credentials"
    if not credentials:
        return "boto3 finds no credentials: set AWS_PROFILE, or be a role"
    return "" if env.get(BUCKET) else f"objects need a bucket that is there: set {BUCKET}"


@pytest.fixture(autouse=True)
def _on_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = os.environ.get(ASKED) == "yes"
    if reason := why_not(os.environ, credentials=asked and boto3.Session().get_credentials() is not None):
        pytest.skip(reason)
    # boto3 keeps a session, which read the environment when it was made.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)


@pytest.fixture
def unique(_on_aws: None) -> str:
    """Part of the names of all that a test makes."""
    return f"mlplatform-test-{uuid.uuid4().hex[:8]}"


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Out of `make test`: its report has no use for all that is skipped."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.slow)
