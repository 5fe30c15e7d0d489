"""Amazon SageMaker as compute: training jobs (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html).

Whoever asks first makes the job, everybody else finds it by its name: SageMaker refuses a second one. A process that dies
or loses AWS leaves the job running; the next one of that name follows it, with its log from the beginning. Only an
interrupt stops it. Billed is what `BillableTimeInSeconds` says, on every host.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from mlplatform.adapters.aws.client import AwsSettings
from mlplatform.adapters.compute.container import container_folders, content_digest, find_container
from mlplatform.adapters.compute.description import ENDED, note_metric, running_of
from mlplatform.adapters.compute.hosts import check_hosts
from mlplatform.adapters.compute.sagemaker_errors import STOPPED, failure_of, sagemaker_mapped
from mlplatform.adapters.compute.sagemaker_local import LocalCopies
from mlplatform.adapters.compute.sagemaker_logs import END_VARIABLE, GROUP, LAST_LINES_S, JobLog, LastLines, end_line
from mlplatform.adapters.compute.sagemaker_request import image_of, training_request
from mlplatform.adapters.compute.sagemaker_search import jobs_of
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.adapters.compute.sagemaker_wait import Growing, Patience, Pause, Queue, until_seen
from mlplatform.errors import ConflictError, DataError, JobError, NotFoundError, ProfileError, TimedOutError, UserError
from mlplatform.ports.compute import Channel, ComputeCapabilities, JobResult, JobSpec, Prepared, RunningJob
from mlplatform.ports.object_store import ObjectStore

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_DIGEST = re.compile(r"@sha256:([0-9a-f]{64})$")
_STOP_S = 300.0
"""SageMaker gives a job two minutes after SIGTERM, and then uploads what is there."""
_MADE_S = 3.0
"""After so long, a job that was asked for and is not there was not made."""
OnLog = Callable[[str], None]


class SageMakerCompute:
    """Jobs of `settings`, whose objects are in `store` (of S3); copies of what they leave are under `root`.

    `containers`: folders with the sources of the images. `local_secrets`: whether the profile's secrets are on this machine,
    where no job of SageMaker finds them. `client_options`: further arguments of ``boto3.client``.
    """

    def __init__(
        self,
        settings: SageMakerComputeSettings,
        root: Path,
        store: ObjectStore,
        *,
        containers: Sequence[Path] | None = None,
        local_secrets: bool = False,
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._local_secrets = local_secrets
        self._containers = container_folders() if containers is None else tuple(containers)
        self._copies = LocalCopies(root, store)
        self._options = dict(client_options or {})

    @cached_property
    def _client(self) -> Any:
        from botocore.config import Config

        patient = {"config": Config(retries={"mode": "adaptive", "total_max_attempts": 10})}
        return self._settings.client("sagemaker", {**patient, **self._options})

    @cached_property
    def _logs(self) -> Any:
        return AwsSettings(region=self._settings.region).client("logs")

    @cached_property
    def _sqs(self) -> Any:
        return AwsSettings(region=self._settings.region).client("sqs")

    @property
    def capabilities(self) -> ComputeCapabilities:
        return ComputeCapabilities(
            max_hosts=self._settings.max_instances,
            memory_limit=False,
            outlives_runner=True,
            secrets="role",
            shared=True,
        )

    def run(self, job: JobSpec, *, on_log: OnLog | None = None) -> JobResult:
        """Run to the end, or join the job of that name. See the port for what is raised."""
        self._check(job)
        asked = {END_VARIABLE: end_line(job.name)}
        request = training_request(self._laid(job), self._settings, url=self._store.url, environment=asked)
        answered = False
        try:
            with contextlib.suppress(ConflictError), self._asked(job.name):
                self._client.create_training_job(**request)
            answered = True
            described, noted = self._followed(job, on_log or (lambda _: None))
        except BaseException as error:
            # AWS is away, say, or the disk is full: the job runs on, and is joined by who comes next.
            if not isinstance(error, Exception):
                self._interrupted(job.name, answered=answered)
            raise
        return self._result(job, described, noted)

    def container_digest(self, container: str) -> str:
        """The image's own where its URI has one; else of the folder's files and the URI. Raises NotFoundError."""
        image = self._image(container)
        own = _DIGEST.search(image)
        if own is not None:
            return own[1]
        folder = find_container(container, self._containers).folder
        return hashlib.sha256(f"{content_digest(folder)} {image}".encode()).hexdigest()

    def prepare(self, container: str, *, on_log: OnLog | None = None) -> Prepared:  # noqa: ARG002 - the port's
        """Nothing: an image brings its environment. Raises NotFoundError."""
        self._image(container)
        return Prepared(container, made=False, folder=None)

    def describe(self, name: str) -> dict[str, Any]:
        """DescribeTrainingJob's answer with the job's tags; times are ISO 8601. Raises NotFoundError."""
        described = self._described(name)
        with self._asked(name):
            tags = self._client.list_tags(ResourceArn=described["TrainingJobArn"], MaxResults=100)["Tags"]
        return {**described, "Tags": tags}

    def stop(self, name: str) -> None:
        """Stop the job, and wait until it has; no error where it has ended."""
        deadline, pause = time.monotonic() + _STOP_S, Growing(self._settings.poll_s)
        while (status := self._described(name)["TrainingJobStatus"]) not in ENDED:
            if time.monotonic() > deadline:
                raise TimedOutError(
                    f"Job '{name}' did not stop within {_STOP_S:.0f} s.", next_step="Look at it on AWS."
                )
            if status == "InProgress":
                # It may end between the two calls: the next look tells.
                with contextlib.suppress(UserError), self._asked(name):
                    self._client.stop_training_job(TrainingJobName=name)
            pause.wait()

    def _interrupted(self, name: str, *, answered: bool) -> None:
        """Stop the job; one whose making was not `answered` may be there in a moment, or never."""
        deadline, pause = time.monotonic() + (0.0 if answered else _MADE_S), Growing(1.0)
        while True:
            try:
                return self.stop(name)
            except NotFoundError:
                if time.monotonic() >= deadline:
                    return None
            pause.wait()

    def remove(self, name: str) -> None:
        """Stop the job if it runs, and delete it; no error where there is none."""
        with contextlib.suppress(NotFoundError):
            self.stop(name)
            with self._asked(name):
                self._client.delete_training_job(TrainingJobName=name)
        self._copies.remove(name)

    def list(self) -> list[str]:
        """Names of the jobs that have this object store's tag, newest first. A new job may be missing for a moment."""
        return [job["TrainingJobName"] for job in jobs_of(self._client, self._store.url(""))]

    def running(self) -> Sequence[RunningJob]:
        """Those that have not ended, newest first."""
        return running_of(_plain(job) for job in jobs_of(self._client, self._store.url(""), running=True))

    def _check(self, job: JobSpec) -> None:
        if not _NAME.fullmatch(job.name):
            raise DataError(f"'{job.name}' is no job name: expected at most 63 letters, digits and dashes.")
        if not self._store.url("x").startswith("s3://"):
            raise ProfileError(
                f"SageMaker reads channels from S3; the object store is at '{self._store.url('x')[:-1]}'.",
                next_step="Use an object store of adapter s3.",
            )
        if job.secrets and self._local_secrets:
            raise ProfileError(
                f"Job '{job.name}' needs the secrets {', '.join(job.secrets)}, which this profile keeps on this machine: "
                "a job on SageMaker reads them itself, by its role.",
                next_step="Use a connection of port secrets with adapter ssm or secrets_manager.",
            )
        self._image(job.container)
        # An image without a folder here is somebody else's: what it can do is not known.
        with contextlib.suppress(NotFoundError):
            check_hosts(
                job,
                find_container(job.container, self._containers),
                most=self._settings.max_instances,
                where="SageMaker",
            )

    def _image(self, container: str) -> str:
        """The image's URI; of a container that is only a pattern's, there must be a folder."""
        image = image_of(container, self._settings)
        if container not in self._settings.images:
            find_container(container, self._containers)
        return image

    def _laid(self, job: JobSpec) -> JobSpec:
        """The job with its local channels laid into the object store."""
        return replace(job, channels=tuple(self._channel(job, channel) for channel in job.channels))

    def _channel(self, job: JobSpec, channel: Channel) -> Channel:
        if not channel.prefix.startswith("/"):
            return channel
        prefix, root = f"{job.output_prefix.rstrip('/')}/{job.name}/input/{channel.name}/", Path(channel.prefix)
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            self._store.put(f"{prefix}{path.relative_to(root).as_posix()}", path)
        return replace(channel, prefix=prefix)

    def _followed(self, job: JobSpec, say: OnLog) -> tuple[dict[str, Any], dict[str, Any]]:
        """The job's last description, and one that has the metrics its log told: all of it, also what came behind the end."""
        noted: dict[str, Any] = {"FinalMetricDataList": []}
        made = datetime.fromisoformat(self._seen(job.name)["CreationTime"])
        log, keep = JobLog(self._logs, job.name, job.hosts, made), self._copies.log(job.name)
        pause, away = self._pause(job.name), Patience(self._settings.patience_s)
        last = LastLines(log, min(LAST_LINES_S, self._settings.poll_s))
        described: dict[str, Any] = {}
        ended = False
        while True:
            with away.bearing():
                if not ended:
                    try:
                        described = self._described(job.name)
                    except NotFoundError as error:
                        raise JobError(f"Job '{job.name}' was deleted while it was awaited.") from error
                    # Looked at before the log: what is said until then is in there.
                    ended = described["TrainingJobStatus"] in ENDED
                for told, line in log.lines(all_streams=ended):
                    note_metric(noted, line)
                    keep(told)
                    say(told)
                if ended:
                    if last.have_come(described):
                        return described, noted
                    pause = Growing(last.silence_s)
            pause.wait()

    def _result(self, job: JobSpec, described: dict[str, Any], noted: dict[str, Any]) -> JobResult:
        name, log = job.name, self._copies.tree(job.name).log
        if described["TrainingJobStatus"] != "Completed":
            channels = {
                self._store.url(c.prefix): f"'{c.name}' is empty: there is nothing under '{c.prefix}'"
                for c in job.channels
            }
            raise failure_of(described, channels, f"Its log is '{log}' (CloudWatch: {GROUP}, {name}/).")
        base = f"{job.output_prefix.rstrip('/')}/{name}/output"
        metrics = [*described.get("FinalMetricDataList", ()), *noted["FinalMetricDataList"]]
        return JobResult(
            name=name,
            status=described["TrainingJobStatus"],
            secondary_status=described["SecondaryStatus"],
            failure_reason="",
            exit_code=0,
            metrics={m["MetricName"]: m["Value"] for m in metrics},
            model_dir=self._copies.model(name, f"{base}/model.tar.gz"),
            output_dir=self._copies.output(name, f"{base}/output.tar.gz"),
            log_path=log,
            started_at=described.get("TrainingStartTime", described["CreationTime"]),
            ended_at=described.get("TrainingEndTime", ""),
            billable_s=described.get("BillableTimeInSeconds"),
        )

    def _described(self, name: str) -> dict[str, Any]:
        try:
            with self._asked(name):
                found = self._client.describe_training_job(TrainingJobName=name)
        except NotFoundError as error:
            raise NotFoundError(f"There is no job '{name}' on SageMaker.") from error
        told = {key: _plain(value) for key, value in found.items() if key != "ResponseMetadata"}
        reason = told.get("FailureReason") or (STOPPED if told["SecondaryStatus"] == "Stopped" else "")
        return {**told, "FailureReason": reason}

    def _seen(self, name: str) -> dict[str, Any]:
        """The description of a job that was just made."""
        return until_seen(lambda: self._described(name), within_s=_MADE_S, patience_s=self._settings.patience_s)

    def _pause(self, name: str) -> Pause:
        if not self._settings.events_queue:
            return Growing(self._settings.poll_s)
        return Queue(self._sqs, self._settings.events_queue, name, self._settings.poll_s)

    def _asked(self, name: str) -> AbstractContextManager[None]:
        return sagemaker_mapped(f"Job '{name}'", role=self._settings.role_arn)


def _plain(value: Any) -> Any:
    """Times as text, in what boto3 answers."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds")
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
