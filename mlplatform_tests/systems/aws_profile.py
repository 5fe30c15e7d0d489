"""The shipped profile `aws` in a project of its own, and servers that stand for its services: found by the environment alone."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

import mlplatform
from mlplatform_tests.conformance.notification_places import Topic
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.redshift_warehouse import redshift_server
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.redshift.aws.control_plane import WORKGROUP
from mlplatform_tests.servers.redshift.server import Redshift
from mlplatform_tests.servers.redshift.ways import RedshiftOnAws, redshift_on_aws
from mlplatform_tests.servers.sagemaker.fixtures import sagemaker_server
from mlplatform_tests.servers.sagemaker.server import SageMaker, SageMakerAccount

__all__ = ["aws", "ministack_server", "redshift_data_api", "redshift_server", "sagemaker_server"]

PACKAGE = Path(mlplatform.__path__[0])
SYSTEM = "stock_prices"
IMAGES = "111122223333.dkr.ecr.us-east-1.amazonaws.com"
DEFINITIONS = """from pathlib import Path

import dagster as dg
from mlplatform.definitions import build


@dg.definitions
def defs() -> dg.Definitions:
    return build(Path(__file__).parent)
"""


@dataclass(frozen=True)
class AwsProject:
    """A project on services that are its own: the environment that chooses it, its folder, its bucket, the topic it tells, its
    account of SageMaker."""

    env: dict[str, str]
    folder: Path
    bucket: str
    topic: Topic
    account: SageMakerAccount


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
    ministack_server: Ministack,
    redshift_data_api: RedshiftOnAws,
    sagemaker_server: SageMaker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[AwsProject]:
    """The shipped system under the shipped profile; endpoints that are left are deleted."""
    account = sagemaker_server.account(tmp_path / "account")
    env = {**redshift_data_api.aws.env, **account.env}
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
        "MLPLATFORM_JOBS_ROLE": "arn:aws:iam::111122223333:role/jobs",
        "MLPLATFORM_IMAGES": IMAGES,
        "MLPLATFORM_SERVING_ROLE": "arn:aws:iam::111122223333:role/serving",
        "MLPLATFORM_SERVING_IMAGE": f"{IMAGES}/serve:1",
    }
    yield AwsProject({**env, **names, **project(tmp_path)}, tmp_path, unique, topic, account)
    topic.close()
    delete_endpoints(account)


def delete_endpoints(account: SageMakerAccount) -> None:
    """Delete the account's endpoints, as far as they can be now."""
    account.mend()
    client = boto3.client("sagemaker", **account.client_options)
    for found in client.list_endpoints(MaxResults=100)["Endpoints"]:
        with suppress(ClientError):
            client.delete_endpoint(EndpointName=found["EndpointName"])
    client.close()


def project(folder: Path) -> dict[str, str]:
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
