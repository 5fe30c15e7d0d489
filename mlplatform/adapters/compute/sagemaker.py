"""Amazon SageMaker as compute: training jobs (https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateTrainingJob.html).

A job is made once and found by its name (`sagemaker_jobs`). Billed is what `BillableTimeInSeconds` says, on every host.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlplatform.adapters.compute.container import container_folders, content_digest, find_container
from mlplatform.adapters.compute.description import note_metric, running_of
from mlplatform.adapters.compute.hosts import check_hosts
from mlplatform.adapters.compute.sagemaker_clients import SageMakerClients
from mlplatform.adapters.compute.sagemaker_errors import failure_of
from mlplatform.adapters.compute.sagemaker_follow import follow
from mlplatform.adapters.compute.sagemaker_jobs import PROCESSING, TRAINING, TRANSFORM, TUNING, RemoteJobs, plain
from mlplatform.adapters.compute.sagemaker_local import LocalCopies
from mlplatform.adapters.compute.sagemaker_logs import END_VARIABLE, GROUP, end_line
from mlplatform.adapters.compute.sagemaker_processing import (
    processing_as_training,
    processing_request,
    processing_result,
)
from mlplatform.adapters.compute.sagemaker_request import image_of, training_request
from mlplatform.adapters.compute.sagemaker_search import jobs_of, running_unsearched
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.adapters.compute.sagemaker_transform_request import transform_as_training
from mlplatform.adapters.compute.sagemaker_tuning import Tuning, as_training, best_of, trial_of
from mlplatform.adapters.compute.sagemaker_tuning_request import tuning_request
from mlplatform.errors import DataError, NotFoundError, PermissionDeniedError, ProfileError
from mlplatform.ports.compute import (
    MAX_SEARCH_NAME,
    Channel,
    ComputeCapabilities,
    JobResult,
    JobSearch,
    JobSpec,
    Prepared,
    RunningJob,
)
from mlplatform.ports.object_store import ObjectStore

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_DIGEST = re.compile(r"@sha256:([0-9a-f]{64})$")
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
        self._clients = SageMakerClients(settings, client_options)
        self._jobs = RemoteJobs(TRAINING, settings, lambda: self._clients.sagemaker)
        self._processing = RemoteJobs(PROCESSING, settings, lambda: self._clients.sagemaker)
        self._transforms = RemoteJobs(TRANSFORM, settings, lambda: self._clients.sagemaker)
        self._tuning = Tuning(settings, lambda: self._clients.sagemaker)

    @property
    def capabilities(self) -> ComputeCapabilities:
        return ComputeCapabilities(
            max_hosts=self._settings.max_instances,
            memory_limit=False,
            outlives_runner=True,
            secrets="role",
            shared=True,
            searches=self._tunes,
        )

    def run(self, job: JobSpec, *, on_log: OnLog | None = None) -> JobResult:
        """Run to the end, or join the job of that name. See the port for what is raised."""
        self._check(job)
        noted: dict[str, Any] = {"FinalMetricDataList": []}
        say, keep = on_log or (lambda _: None), self._copies.log(job.name)

        def told(line: str) -> None:
            keep(line)
            say(line)

        if job.search is not None:
            return self._searched(job, job.search, told)
        asked = {END_VARIABLE: end_line(job.name)}
        jobs, make = (self._processing, processing_request) if job.outputs else (self._jobs, training_request)
        request = make(self._laid(job), self._settings, url=self._store.url, environment=asked)
        described = jobs.run(
            request,
            lambda: follow(
                jobs,
                job.name,
                self._settings,
                self._clients.logs,
                hosts=job.hosts,
                say=told,
                note=lambda line: note_metric(noted, line),
            ),
        )
        if job.outputs:
            metrics = {m["MetricName"]: m["Value"] for m in noted["FinalMetricDataList"]}
            return processing_result(job, described, metrics, self._copies, url=self._store.url)
        return self._result(job, described, noted)

    def _searched(self, job: JobSpec, search: JobSearch, say: OnLog) -> JobResult:
        """The best trial's result, with all trials and what is paid for them."""
        request = tuning_request(self._laid(job), search, self._settings, url=self._store.url)
        described = self._tuning.run(request, say=say)
        best = best_of(described, f"What is known of its trials is in '{self._copies.tree(job.name).log}'.")
        listed = self._tuning.trials(job.name)
        billed = [
            self._jobs.described(trial["TrainingJobName"]).get("BillableTimeInSeconds", 0)
            for trial in listed
            if "TrainingStartTime" in trial
        ]
        found = self._result(
            replace(job, name=best), self._jobs.described(best), {"FinalMetricDataList": []}, log=job.name
        )
        trials = tuple(trial_of(trial, search, job) for trial in listed)
        return replace(found, trials=trials, billable_s=sum(billed))

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
        jobs, described = self._found(name)
        tagged = jobs.tagged(described)
        if jobs is self._jobs:
            return tagged
        return processing_as_training(tagged) if jobs is self._processing else as_training(tagged)

    def stop(self, name: str) -> None:
        """Stop the job, and wait until it has; no error where it has ended."""
        try:
            jobs, _ = self._found(name)
        except NotFoundError:
            jobs = self._transforms
        jobs.stop(name)

    def remove(self, name: str) -> None:
        """Stop the job if it runs, and delete it; no error where there is none. A search's trials are jobs that stay."""
        with contextlib.suppress(NotFoundError):
            jobs, _ = self._found(name)
            jobs.stop(name)
            jobs.delete(name)
        self._copies.remove(name)

    def list(self) -> list[str]:
        """Names of the jobs that have this object store's tag, newest first. A new job may be missing for a moment."""
        return [str(job["TrainingJobName"]) for job in self._ours()]

    def running(self, *, on_unseen: Callable[[str], None] | None = None) -> Sequence[RunningJob]:
        """Those that have not ended, newest first, transforms too; of a search its trials, and not itself, which occupies nothing."""
        owner, unseen = self._store.url(""), on_unseen or (lambda _: None)
        found = [plain(job) for job in jobs_of(self._clients.sagemaker, owner, running=True)]
        for jobs, told in ((self._processing, processing_as_training), (self._transforms, transform_as_training)):
            found += [told(job) for job in running_unsearched(jobs, self._clients.sagemaker, owner, on_unseen=unseen)]
        return running_of(sorted(found, key=lambda job: str(job["CreationTime"]), reverse=True))

    def _ours(self) -> Sequence[dict[str, Any]]:
        """Jobs and searches that have this object store's tag, newest first."""
        owner = self._store.url("")
        found = list(jobs_of(self._clients.sagemaker, owner))
        if self._tunes:
            found += [as_training(job) for job in jobs_of(self._clients.sagemaker, owner, kind=TUNING)]
        return sorted(found, key=lambda job: job["CreationTime"], reverse=True)

    @property
    def _tunes(self) -> bool:
        return self._settings.search == "tuning"

    def _found(self, name: str) -> tuple[RemoteJobs, dict[str, Any]]:
        """The kind of job that `name` is, and its description. Raises NotFoundError."""
        with contextlib.suppress(NotFoundError):
            return self._jobs, self._jobs.described(name)
        if self._tunes and len(name) <= MAX_SEARCH_NAME:
            with contextlib.suppress(NotFoundError):
                return self._tuning.jobs, self._tuning.jobs.described(name)
        try:
            return self._processing, self._processing.described(name)
        except PermissionDeniedError as error:
            # Who may make none has none.
            raise NotFoundError(f"There is no job '{name}' on SageMaker.") from error

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

    def _result(self, job: JobSpec, described: dict[str, Any], noted: dict[str, Any], *, log: str = "") -> JobResult:
        """`log`: the job whose log there is on this machine, where that is another."""
        name, path = job.name, self._copies.tree(log or job.name).log
        if described["TrainingJobStatus"] != "Completed":
            channels = {
                self._store.url(c.prefix): f"'{c.name}' is empty: there is nothing under '{c.prefix}'"
                for c in job.channels
            }
            raise failure_of(described, channels, f"Its log is '{path}' (CloudWatch: {GROUP}, {name}/).")
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
            log_path=path,
            started_at=described.get("TrainingStartTime", described["CreationTime"]),
            ended_at=described.get("TrainingEndTime", ""),
            billable_s=described.get("BillableTimeInSeconds"),
        )
