"""Functions of ministack's Lambda, and API Gateway in front of them; each runs as a process of this machine."""

from __future__ import annotations

import io
import json
import sys
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import boto3

from mlplatform_tests.servers.ministack.server import Ministack

ROOT = Path(__file__).parents[3]
ROLE = "arn:aws:iam::000000000000:role/function"
ACCOUNT = "000000000000"
"""Whose credentials a function has; the stand-in of SageMaker takes it for the account."""

INSTALLED = ":".join([str(ROOT), *(path for path in sys.path if path.endswith("site-packages"))])
"""PYTHONPATH of a function that finds its packages where these tests do, and not in its own archive."""


@dataclass(frozen=True)
class Function:
    """A function that is there."""

    server: Ministack
    name: str
    arn: str

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """What it answers. Raises AssertionError where it failed, with its own words."""
        with closing(boto3.client("lambda", **self.server.client_options)) as client:
            answer = client.invoke(FunctionName=self.name, Payload=json.dumps(event).encode())
            found = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, found
        return found

    def http_api(self, stage: str = "$default") -> str:
        """The address of an HTTP API that sends all to it (payload format 2.0)."""
        with closing(boto3.client("apigatewayv2", **self.server.client_options)) as client:
            api = client.create_api(Name=self.name, ProtocolType="HTTP")["ApiId"]
            made = client.create_integration(
                ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=self.arn, PayloadFormatVersion="2.0"
            )
            client.create_route(ApiId=api, RouteKey="$default", Target=f"integrations/{made['IntegrationId']}")
            client.create_stage(ApiId=api, StageName=stage, AutoDeploy=True)
        return f"{self.server.endpoint_url}/_aws/execute-api/{api}/{stage}"

    def rest_api(self, stage: str = "prod") -> str:
        """The address of a REST API that sends all to it (the proxy integration)."""
        region = self.server.client_options["region_name"]
        uri = f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{self.arn}/invocations"
        with closing(boto3.client("apigateway", **self.server.client_options)) as client:
            api = client.create_rest_api(name=self.name)["id"]
            root = client.get_resources(restApiId=api)["items"][0]["id"]
            proxy = client.create_resource(restApiId=api, parentId=root, pathPart="{proxy+}")["id"]
            where = {"restApiId": api, "resourceId": proxy, "httpMethod": "ANY"}
            client.put_method(**where, authorizationType="NONE")
            client.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
            client.create_deployment(restApiId=api, stageName=stage)
        return f"{self.server.endpoint_url}/restapis/{api}/{stage}/_user_request_"


@contextmanager
def function(
    server: Ministack, handler: str, archive: bytes, variables: Mapping[str, str], *, timeout_s: int = 29
) -> Iterator[Function]:
    """A function of `archive`, a zip; it is deleted at the end, and its processes with it."""
    name, bucket = f"test-{uuid.uuid4().hex[:12]}", f"test-{uuid.uuid4().hex}"
    options = server.client_options
    with closing(boto3.client("s3", **options)) as s3, closing(boto3.client("lambda", **options)) as client:
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key="function.zip", Body=archive)
        made = client.create_function(
            FunctionName=name,
            Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}",
            Role=ROLE,
            Handler=handler,
            Code={"S3Bucket": bucket, "S3Key": "function.zip"},
            Timeout=timeout_s,
            MemorySize=512,
            Environment={"Variables": dict(variables)},
        )
        client.get_waiter("function_active_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1})
        try:
            yield Function(server, name, made["FunctionArn"])
        finally:
            client.delete_function(FunctionName=name)


def archived(files: Mapping[str, str], *packages: str) -> bytes:
    """A zip of small files, and of packages as they are installed here."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        for package in packages:
            folder = Path(str(resources.files(package)))
            for path in sorted(folder.rglob("*")):
                if path.suffix in (".py", ".so"):
                    archive.write(path, path.relative_to(folder.parent))
    return packed.getvalue()
