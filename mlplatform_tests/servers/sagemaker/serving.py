"""For tests of endpoints: a small image that serves, models in S3, and an endpoint that is waited for."""

from __future__ import annotations

import io
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3

from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.sagemaker.server import SageMakerAccount

ROLE = "arn:aws:iam::111122223333:role/serving"
PROGRAM = """
import json, os, pathlib, signal, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

assert sys.argv[1:] == ["serve"], sys.argv
model = pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").read_text()
assert model != "broken", "the model is broken"

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.say(200, b"", {})
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if body.startswith(b"sleep "):
            time.sleep(float(body[6:]))
        if body.startswith(b"status "):
            return self.say(int(body[7:]), b"as it was asked to", {})
        found = {k.lower(): v for k, v in self.headers.items() if k.lower().startswith("x-amzn")}
        text = json.dumps({"model": model, "level": os.environ.get("LEVEL"), "body": body.decode(), "headers": found})
        kept = {k: v for k, v in self.headers.items() if k.lower() == "x-amzn-sagemaker-custom-attributes"}
        self.say(200, text.encode(), {"Content-Type": self.headers.get("Accept") or "application/json", **kept})
    def say(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args):
        pass

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


@dataclass(frozen=True)
class Serving:
    """An account that has the image ``echo``, and a bucket."""

    account: SageMakerAccount
    ministack: Ministack
    bucket: str

    @cached_property
    def control(self) -> Any:
        return boto3.client("sagemaker", **self.account.client_options)

    @cached_property
    def runtime(self) -> Any:
        return boto3.client("sagemaker-runtime", **self.account.client_options)

    @cached_property
    def s3(self) -> Any:
        return boto3.client("s3", **self.ministack.client_options)

    def prepare(self) -> None:
        """Make bucket and image."""
        self.s3.create_bucket(Bucket=self.bucket)
        folder = self.account.folder / "containers" / "echo"
        folder.mkdir(parents=True)
        (folder / "Dockerfile").write_text('FROM python\nENTRYPOINT ["python", "serve.py"]\n')
        (folder / "serve.py").write_text(PROGRAM)

    def model(self, name: str, text: str, environment: Mapping[str, str] | None = None) -> None:
        """A model whose file says `text`."""
        packed, data = io.BytesIO(), text.encode()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            entry = tarfile.TarInfo("model.txt")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
        self.s3.put_object(Bucket=self.bucket, Key=f"{name}/model.tar.gz", Body=packed.getvalue())
        container = {**self.container(name), "Environment": dict(environment or {})}
        self.control.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)

    def container(self, name: str) -> dict[str, Any]:
        """The image with the file of the model called `name`."""
        image = "111122223333.dkr.ecr.us-east-1.amazonaws.com/echo:1"
        return {"Image": image, "ModelDataUrl": f"s3://{self.bucket}/{name}/model.tar.gz"}

    def config(self, name: str, models: Mapping[str, float], **more: Any) -> None:
        """A configuration with a variant for each model, named after it, with its weight."""
        variants = [
            {
                "VariantName": model,
                "ModelName": model,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
                "InitialVariantWeight": weight,
            }
            for model, weight in models.items()
        ]
        self.control.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants, **more)

    def settled(self, name: str = "echo", *, timeout_s: float = 60.0) -> dict[str, Any]:
        """The endpoint, when nothing changes it any more."""
        deadline = time.monotonic() + timeout_s
        while True:
            found: dict[str, Any] = self.control.describe_endpoint(EndpointName=name)
            if found["EndpointStatus"] in ("InService", "Failed", "OutOfService", "UpdateRollbackFailed"):
                return found
            assert time.monotonic() < deadline, found["EndpointStatus"]
            time.sleep(0.05)

    def served(self, models: Mapping[str, float], name: str = "echo", **more: Any) -> dict[str, Any]:
        """An endpoint of new models that is in service."""
        for model in models:
            self.model(model, model)
        self.config(f"{name}-1", models, **more)
        self.control.create_endpoint(EndpointName=name, EndpointConfigName=f"{name}-1")
        return self.settled(name)

    def objects(self, prefix: str, *, timeout_s: float = 30.0) -> dict[str, bytes]:
        """What lies below `prefix`, as soon as something does."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", ())
            if found:
                keys = [str(entry["Key"]) for entry in found]
                return {key: self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read() for key in keys}
            assert time.monotonic() < deadline, prefix
            time.sleep(0.05)
