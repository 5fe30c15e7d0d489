"""The shipped profile `aws` in a project of its own, and servers that stand for its services: found by the environment alone."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

import mlplatform
from mlplatform_tests.conformance.notification_places import Topic
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.redshift.aws.control_plane import WORKGROUP
from mlplatform_tests.servers.redshift.server import Redshift
from mlplatform_tests.servers.redshift.ways import RedshiftOnAws, redshift_on_aws

__all__ = ["aws", "ministack_server", "redshift_data_api", "redshift_server"]

PACKAGE = Path(mlplatform.__path__[0])
SYSTEM = "stock_prices"
DEFINITIONS = """from pathlib import Path

import dagster as dg
from mlplatform.definitions import build


@dg.definitions
def defs() -> dg.Definitions:
    return build(Path(__file__).parent)
"""


@dataclass(frozen=True)
class AwsProject:
    """A project on services that are its own: the environment that chooses it, its folder, its bucket, the topic it tells."""

    env: dict[str, str]
    folder: Path
    bucket: str
    topic: Topic


@pytest.fixture(scope="session")
def redshift_data_api(
    redshift_server: Redshift, ministack_server: Ministack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedshiftOnAws]:
    client = boto3.client("s3", **ministack_server.client_options)
    with redshift_on_aws(redshift_server, client, tmp_path_factory.mktemp("redshift-on-aws")) as found:
        yield found
    client.close()


@pytest.fixture
def aws(
    ministack_server: Ministack, redshift_data_api: RedshiftOnAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AwsProject]:
    """The shipped system under the shipped profile."""
    env = {**redshift_data_api.aws.env, "AWS_ENDPOINT_URL": ministack_server.endpoint_url, "AWS_REGION": "us-east-1"}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    # boto3 keeps a session, which read the environment when it was made.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    unique = uuid.uuid4().hex
    boto3.client("s3").create_bucket(Bucket=unique)
    topic = Topic(ministack_server)
    names = {
        "MLPLATFORM_BUCKET": unique,
        "MLPLATFORM_STREAMS": f"{unique}-",
        "MLPLATFORM_TABLE": unique,
        "MLPLATFORM_QUEUE": unique,
        "MLPLATFORM_NAMESPACE": unique,
        "MLPLATFORM_PARAMETERS": f"/{unique}/",
        "MLPLATFORM_TOPIC": topic.arn,
        "MLPLATFORM_REDSHIFT_WORKGROUP": WORKGROUP,
        "MLPLATFORM_REDSHIFT_DATABASE": "postgres",
        "MLPLATFORM_REDSHIFT_SCHEMAS": f"s{unique[:8]}_",
        "MLPLATFORM_REDSHIFT_BATCH_S": "2",
    }
    yield AwsProject({**env, **names, **_project(tmp_path)}, tmp_path, unique, topic)
    topic.close()


def _project(folder: Path) -> dict[str, str]:
    """A project of the shipped system alone; the environment that chooses it."""
    package = folder / "shop"
    shutil.copytree(PACKAGE / "defs" / SYSTEM, package / "defs" / SYSTEM)
    (package / "__init__.py").touch()
    (package / "definitions.py").write_text(DEFINITIONS)
    (folder / "pyproject.toml").write_text('[tool.dg.project]\nroot_module = "shop"\n')
    return {
        "MLPLATFORM_HOME": str(folder / "home"),
        "MLPLATFORM_DEFS": str(package / "defs"),
        "MLPLATFORM_PROFILE": "aws",
    }
