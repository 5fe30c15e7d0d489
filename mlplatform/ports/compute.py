"""Compute: runs a job in the SageMaker training-container contract, wherever that is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from mlplatform.core.training.plan import SearchRange

MAX_SEARCH_NAME = 32
"""Characters of the name of a job with a search: each trial's begins with it."""
JobStatus = Literal["InProgress", "Completed", "Failed", "Stopping", "Stopped"]
"""SageMaker's TrainingJobStatus."""


@dataclass(frozen=True)
class Channel:
    """An input channel: a local directory, or a prefix of the object store, laid under ``input/data/<name>``.

    `sharded`: whether each host gets a share of the objects only, and not all of them.
    """

    name: str
    prefix: str
    content_type: str = "application/x-parquet"
    sharded: bool = False

    @property
    def distribution(self) -> str:
        """SageMaker's S3DataDistributionType."""
        return "ShardedByS3Key" if self.sharded else "FullyReplicated"


@dataclass(frozen=True)
class JobSearch:
    """A search over hyperparameters that the back end does: each trial runs the container once, with values out of `ranges`.

    `metric`: what is compared, as the container prints it: a line ``[n] metric: value``, the last one counts.
    """

    metric: str
    maximize: bool
    trials: int
    ranges: Mapping[str, SearchRange]
    seed: int = 0


@dataclass(frozen=True)
class Trial:
    """One trial of a search: a job of its own. `value`: of the search's metric, None where it came to none."""

    job: str
    status: str
    hyperparameters: Mapping[str, str]
    value: float | None


@dataclass(frozen=True)
class JobSpec:
    """One training or processing job.

    Attributes:
        name: unique, ≤ 63 characters of ``[a-zA-Z0-9-]`` (SageMaker's rule); a job of that name is never run twice.
        container: name of a folder under ``containers/``; its entrypoint is the command.
        hyperparameters: written as strings, as SageMaker does.
        timeout_s: MaxRuntimeInSeconds; then SIGTERM, grace, SIGKILL, status Stopped.
        memory_mib: limit on each host's resident memory; 0 = none. Beyond it the job is killed and Failed.
        hosts: how many run the container together, ``algo-1`` …; the first one's model is the job's. The end of one that
            failed is the end of all.
        aws: whether the job reaches AWS as the process that runs it does; where jobs have a role of their own, by that.
        secrets: names of the secrets that the job finds in its environment, and no others; one that is not set is not there.
            Their values are told nowhere.
        checkpoint_prefix: of the object store; what the job leaves in ``/opt/ml/checkpoints`` is kept there while it runs,
            and laid there before another job of this prefix starts. Empty: no checkpoints.
        outputs: names of what a processing job leaves, each a folder of objects in the store below ``<output_prefix>/<name>/output/``;
            none: it is a training job, and leaves a model. A processing job finds its channels and outputs below
            ``/opt/ml/processing`` and by the variables ``MLPLATFORM_INPUT_<NAME>`` and ``MLPLATFORM_OUTPUT_<NAME>``.
        arguments: of the command; a processing job's only.
        search: hyperparameters to search, where the back end `searches`; the best trial's model is the job's, and its
            name has at most `MAX_SEARCH_NAME` characters.
    """

    name: str
    container: str
    hyperparameters: Mapping[str, str]
    channels: tuple[Channel, ...]
    output_prefix: str
    environment: Mapping[str, str] = field(default_factory=dict)
    timeout_s: int = 3600
    memory_mib: int = 0
    hosts: int = 1
    secrets: tuple[str, ...] = ()
    aws: bool = False
    checkpoint_prefix: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    search: JobSearch | None = None
    outputs: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class JobResult:
    """A job as described afterwards; `model_dir` holds the unpacked content of its model artifact on this machine, `output_dir`
    that of its output, of a processing job a folder for each of its outputs.

    `billable_s`: seconds of each host that are paid for; None where nothing is.
    `trials`: of a job with a search; then all else is the best trial's, its name among it, but for `billable_s`: of all.
    """

    name: str
    status: JobStatus
    secondary_status: str
    failure_reason: str
    exit_code: int | None
    metrics: Mapping[str, float]
    model_dir: Path | None
    output_dir: Path | None
    log_path: Path | None
    started_at: str
    ended_at: str
    peak_memory_mib: float = 0.0
    billable_s: int | None = None
    trials: tuple[Trial, ...] = ()


@dataclass(frozen=True)
class RunningJob:
    """A job that has not ended, and what it occupies: `hosts` of `machine` (``local``: this one) since it was made.

    `system`: whose it is, as its tag of that name says; "" where it has none.
    """

    name: str
    status: str
    since: str
    machine: str
    hosts: int
    system: str = ""


@dataclass(frozen=True)
class Prepared:
    """A container that the next job starts without delay.

    `made`: whether that took anything. `folder`: its own environment on this machine, None where it needs none.
    """

    container: str
    made: bool
    folder: Path | None


@dataclass(frozen=True)
class ComputeCapabilities:
    """What a compute back end offers.

    `outlives_runner`: whether a job goes on where the process that runs it dies, to be joined by the next one. `secrets`: where
    a job finds those it names: in its environment, or by its role, in the store that the profile says. `shared`: whether
    installations with object stores of their own see each other's jobs, whose names must then differ. `searches`: whether it
    tries hyperparameters in jobs of their own (`JobSpec.search`); elsewhere the container does, in its one job.
    """

    max_hosts: int = 1
    memory_limit: bool = True
    outlives_runner: bool = False
    secrets: Literal["environment", "role"] = "environment"
    shared: bool = False
    searches: bool = False


class Compute(Protocol):
    """Runs jobs. `run` waits; a job that runs already under that name is joined, a finished one is described."""

    @property
    def capabilities(self) -> ComputeCapabilities: ...

    def run(self, job: JobSpec, *, on_log: Callable[[str], None] | None = None) -> JobResult:
        """Run to the end; log lines go to `on_log` as they come. An interrupt (any BaseException) stops the job cleanly first.

        Raises:
            JobError: the job failed; the message carries the failure file's text, the exit code and where the log is.
            TimedOutError: it ran out of time and was stopped.
            SpecError: it asks for more hosts than there are, or than the container can share its work over.
        """
        ...

    def container_digest(self, container: str) -> str:
        """SHA-256 hex of what the container consists of (an image's own digest, where it is one): another content,
        another digest. Raises NotFoundError."""
        ...

    def prepare(self, container: str, *, on_log: Callable[[str], None] | None = None) -> Prepared:
        """Make ahead what a job in the container would make first (its environment). Safe to call again, and at once from
        several processes.

        Raises:
            NotFoundError: there is no such container. SpecError: its lock is none.
            UnavailableError: what it consists of cannot be had now.
        """
        ...

    def describe(self, name: str) -> dict[str, Any]:
        """DescribeTrainingJob's shape. Raises NotFoundError."""
        ...

    def stop(self, name: str) -> None:
        """Stop the job (SIGTERM to its process group, grace, SIGKILL), of whatever kind `running` shows; no error where it has
        ended."""
        ...

    def remove(self, name: str) -> None:
        """Stop the job if it runs, and forget it with all that lies here of it; no error where there is none. Its artifacts
        in the object store stay."""
        ...

    def list(self) -> list[str]:
        """Names of all jobs, newest first."""
        ...

    def running(self, *, on_unseen: Callable[[str], None] | None = None) -> Sequence[RunningJob]:
        """What has not ended, newest first: those, and jobs of other kinds that the platform makes there. `on_unseen` is told
        why, where it may not be seen whether there are some of a kind."""
        ...
