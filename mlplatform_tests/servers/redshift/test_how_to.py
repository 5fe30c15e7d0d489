"""The profiles that the page on Redshift shows let a system in, each by its way."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.platform import connections
from mlplatform.spec.home import Home
from mlplatform.spec.profile import Profile
from mlplatform_tests.docs.walkthrough import blocks
from mlplatform_tests.servers.redshift.sockets import sockets
from mlplatform_tests.servers.redshift.ways import RedshiftOnAws

__all__ = ["sockets"]

pytestmark = pytest.mark.filterwarnings(r"ignore:ssl\.:DeprecationWarning")
"""The driver's own."""

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "redshift.md"
SHOWN = {block.title: block.text for block in blocks(PAGE) if block.language == "yaml"}


@pytest.fixture(autouse=True)
def found_by_the_environment(on_aws: RedshiftOnAws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in on_aws.env.items():
        monkeypatch.setenv(name, value)
    # A workgroup has no user of its own to make; a cluster's is there.
    on_aws.data_api.user("loader")


def test_the_page_shows_every_way() -> None:
    assert list(SHOWN) == ["password", "iam", "serverless", "data-api"]


@pytest.mark.parametrize("way", SHOWN)
def test_a_profile_of_the_page_lets_a_system_in(on_aws: RedshiftOnAws, tmp_path: Path, way: str) -> None:
    profile = Profile.model_validate({"name": "shown", **yaml.safe_load(SHOWN[way])})
    found = profile.connections["warehouse"]
    assert found.settings.get("access", "password") == way
    # Where it is, the page cannot know; who comes, and by which way, is as it says.
    place = on_aws.redshift.settings if way == "password" else {"database": "postgres", "region": "us-east-1"}
    there = found.model_copy(update={"settings": {**found.settings, **place}})
    secrets = EnvironmentSecrets(on_aws.redshift.secrets)
    warehouse = connections.warehouse(there, Home(tmp_path), "shown", lambda: secrets)
    assert warehouse.query("SELECT 1 AS one").to_pylist() == [{"one": 1}]
    warehouse.close()  # type: ignore[attr-defined]
