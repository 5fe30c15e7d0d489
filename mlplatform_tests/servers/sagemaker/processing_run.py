"""A processing job at work: inputs down, a process a host, outputs up."""

from __future__ import annotations

import gzip
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.compute.checkpoints import Checkpoints
from mlplatform.adapters.compute.host_tree import INHERITED, host_names
from mlplatform.adapters.compute.process import LogTail, start, stop
from mlplatform.errors import DataError
from mlplatform_tests.servers.sagemaker import images
from mlplatform_tests.servers.sagemaker.account import REGION, Account
from mlplatform_tests.servers.sagemaker.buckets import Buckets, buckets_of, key_of
from mlplatform_tests.servers.sagemaker.job_kind import EndedError
from mlplatform_tests.servers.sagemaker.logs import PROCESSING as GROUP
from mlplatform_tests.servers.sagemaker.logs import JobLogs

if TYPE_CHECKING:
    from mlplatform_tests.servers.sagemaker.job_kind import JobKind

ROOT = "/opt/ml/"
_LOOK_S = 0.05
_UPLOAD_S = 1.0
_MESSAGE_BYTES = 1024


@dataclass(frozen=True)
class _Host:
    name: str
    ml: Path
    log: Path

    def path(self, local: str) -> Path:
        """Where what the container calls ``/opt/ml/…`` is."""
        return self.ml / local.removeprefix(ROOT)

    def told(self, text: str) -> str:
        """A text with paths below ``/opt/ml`` as they are here."""
        return text.replace(ROOT, f"{self.ml}/")


def run(account: Account, record: dict[str, Any], kind: JobKind) -> dict[str, Any]:
    """Run the job; what is added to its description."""
    name, store = kind.name_of(record), buckets_of(account)
    root = account.folder / "processing" / name
    count = record["ProcessingResources"]["ClusterConfig"]["InstanceCount"]
    hosts = [_Host(host, root / host / "opt" / "ml", root / host / "host.log") for host in host_names(count)]
    for place, host in enumerate(hosts):
        for folder in (host.ml / "config", host.ml / "output"):
            folder.mkdir(parents=True, exist_ok=True)
        for given in record.get("ProcessingInputs", ()):
            _lay(store, given["S3Input"], host, place, count)
        for given in _outputs(record):
            host.path(given["LocalPath"]).mkdir(parents=True, exist_ok=True)
        _configure(record, host, [h.name for h in hosts])
    kind.change(account, name, {"ProcessingStartTime": time.time()})
    log = JobLogs(account, GROUP, name, [host.name for host in hosts])
    tails = [LogTail(host.log) for host in hosts]
    last: list[str] = []

    def pass_on(*, end: bool) -> None:
        for host, tail in zip(hosts, tails, strict=True):
            for line in tail.lines(end=end):
                last[:] = [line] if line.strip() else last
                log.say(line if count == 1 else f"{host.name} | {line}")

    processes = [_started(account, record, host) for host in hosts]
    uploads = [(Checkpoints(store, key_of(given["S3Uri"])), given) for given in _outputs(record)]
    try:
        why = _watch(account, record, kind, processes, lambda: pass_on(end=False), lambda: _upload(hosts, uploads, ""))
    finally:
        stop(*(process.pid for process in processes), grace_s=account.grace_s)
        codes = [process.wait() for process in processes]
        pass_on(end=True)
        log.close()
    message = _message(hosts)
    if why is not None:
        raise EndedError("Stopped", **({"ExitMessage": message} if message else {}), **why)
    if any(codes):
        code = next(code for code in codes if code)
        raise EndedError(
            "Failed",
            FailureReason=f"AlgorithmError: {last[0][:900] if last else 'it said nothing'}, exit code: {code}",
            **({"ExitMessage": message} if message else {}),
        )
    _upload(hosts, uploads, "EndOfJob")
    return {"ExitMessage": message} if message else {}


def _lay(store: Buckets, given: dict[str, Any], host: _Host, place: int, count: int) -> None:
    sharded = given.get("S3DataDistributionType") == "ShardedByS3Key"
    prefix, target = key_of(given["S3Uri"]), host.path(given["LocalPath"])
    target.mkdir(parents=True, exist_ok=True)
    found = list(store.list(prefix))
    if not found:
        raise DataError(f'No S3 objects found under S3 URL "{given["S3Uri"]}" given in input data source.')
    for number, info in enumerate(found):
        if sharded and number % count != place:
            continue
        rest = info.key.removeprefix(prefix).lstrip("/") or info.key.rpartition("/")[2]
        path = target / rest
        path.parent.mkdir(parents=True, exist_ok=True)
        with store.open(info.key) as source, path.open("wb") as file:
            packed = given.get("S3CompressionType") == "Gzip"
            shutil.copyfileobj(gzip.GzipFile(fileobj=source) if packed else source, file, 1 << 20)


def _configure(record: dict[str, Any], host: _Host, hosts: list[str]) -> None:
    options = ("Environment", "NetworkConfig", "StoppingCondition", "ExperimentConfig", "ProcessingInputs")
    shown = {**dict.fromkeys(options), **{k: v for k, v in record.items() if k not in ("Tags", "CreationTime")}}
    documents = {
        "processingjobconfig": json.loads(host.told(json.dumps(shown, default=str))),
        "resourceconfig": {"current_host": host.name, "hosts": hosts},
    }
    for name, content in documents.items():
        (host.ml / "config" / f"{name}.json").write_text(json.dumps(content, sort_keys=True))


def _started(account: Account, record: dict[str, Any], host: _Host) -> subprocess.Popen[bytes]:
    app = record["AppSpecification"]
    folder, command = images.command_of(account, app["ImageUri"], app.get("ContainerEntrypoint", ()))
    given = {key: host.told(value) for key, value in record.get("Environment", {}).items()}
    environment = {
        **{key: account.environment[key] for key in INHERITED if key in account.environment},
        "PYTHONUNBUFFERED": "1",
        "SAGEMAKER_BASE_DIR": str(host.ml),
        "PROCESSING_JOB_NAME": record["ProcessingJobName"],
        "PROCESSING_JOB_ARN": record["ProcessingJobArn"],
        "AWS_REGION": REGION,
        **account.role_variables,
        **given,
    }
    told = [host.told(part) for part in (*command, *app.get("ContainerArguments", ()))]
    return start(told, folder=folder, environment=environment, log=host.log)


def _watch(
    account: Account,
    record: dict[str, Any],
    kind: JobKind,
    processes: list[subprocess.Popen[bytes]],
    pass_on: Callable[[], None],
    upload: Callable[[], None],
) -> dict[str, Any] | None:
    """Wait for the end: None, or what is said of a job that has to be stopped."""
    limit = record.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", 86_400)
    began = uploaded = time.monotonic()
    for _ in itertools.count():
        pass_on()
        codes = [process.poll() for process in processes]
        if None not in codes or any(codes):
            return None
        if kind.stopping(account, kind.name_of(record)):
            return {}
        now = time.monotonic()
        if now - began > limit:
            return {"FailureReason": f"Job runtime exceeded MaxRuntimeInSeconds ({limit})."}
        if now - uploaded > _UPLOAD_S:
            upload()
            uploaded = now
        time.sleep(_LOOK_S)
    raise AssertionError  # count() has no end


def _outputs(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        given["S3Output"]
        for given in record.get("ProcessingOutputConfig", {}).get("Outputs", ())
        if "S3Output" in given
    ]


def _upload(hosts: list[_Host], uploads: list[tuple[Checkpoints, dict[str, Any]]], mode: str) -> None:
    """Put what lies in the outputs' folders: of those that are kept up, or at the end of all."""
    for kept, given in uploads:
        if mode or given["S3UploadMode"] == "Continuous":
            for host in hosts:
                kept.keep(host.path(given["LocalPath"]))


def _message(hosts: list[_Host]) -> str:
    """The exit message. One that is too long or no UTF-8 fails the job."""
    for host in hosts:
        path = host.ml / "output" / "message"
        if path.is_file():
            data = path.read_bytes()
            try:
                text = data.decode()
            except UnicodeDecodeError as error:
                raise EndedError("Failed", FailureReason="ClientError: The exit message is not UTF-8.") from error
            if len(data) > _MESSAGE_BYTES:
                raise EndedError(
                    "Failed", FailureReason=f"ClientError: The exit message is longer than {_MESSAGE_BYTES} bytes."
                )
            return text
    return ""
