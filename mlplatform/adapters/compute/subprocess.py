"""Compute on this machine: the container's own entrypoint as a subprocess, in SageMaker's training contract.

A job's folder is made aside and renamed into place: who renames first runs it, everybody else joins. The runner watches
time and memory and writes each change of state. Where the runner died, the next who looks sweeps the job's processes
and marks it Failed, so that it can be run again under another name.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlplatform.adapters.compute.artifacts import store_results
from mlplatform.adapters.compute.checkpoints import Checkpoints
from mlplatform.adapters.compute.container import Container, container_folders, content_digest
from mlplatform.adapters.compute.description import (
    ENDED,
    first_description,
    move,
    note_metric,
    read_description,
    result_of,
    running_of,
    write_description,
)
from mlplatform.adapters.compute.hosts import MAX_HOSTS, Hosts, check_hosts
from mlplatform.adapters.compute.process import LogTail, ProcessId, sweep
from mlplatform.adapters.compute.program import Programs
from mlplatform.adapters.compute.secret_variables import secret_variables
from mlplatform.adapters.compute.tree import JobTree
from mlplatform.adapters.containers.environments import Environments
from mlplatform.errors import DataError, JobError, NotFoundError, PlatformError, TimedOutError
from mlplatform.ports.compute import ComputeCapabilities, JobResult, JobSpec, JobStatus, Prepared, RunningJob
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.secrets import Secrets
from mlplatform.spec.home import cache_path

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_POLL_S = 0.05
_MEASURE_S = 0.25
_KEEP_S = 1.0
OnLog = Callable[[str], None]


class SubprocessCompute:
    """Jobs under `jobs_root`, one folder each.

    `grace_s`: seconds between SIGTERM and SIGKILL (SageMaker: 120). `containers`: folders searched for containers.
    `cache`: where environments of containers are kept. `secrets`: where those are that a job asks for.
    """

    def __init__(
        self,
        jobs_root: Path,
        store: ObjectStore,
        *,
        containers: Sequence[Path] | None = None,
        grace_s: float = 10.0,
        environment: Mapping[str, str] | None = None,
        cache: Path | None = None,
        secrets: Callable[[], Secrets] | None = None,
    ) -> None:
        self._secrets = secrets
        self._root = jobs_root
        self._store = store
        self._grace_s = grace_s
        self._environment = dict(os.environ if environment is None else environment)
        folders = container_folders() if containers is None else containers
        self._programs = Programs(folders, Environments(cache or cache_path(self._environment)))

    @property
    def capabilities(self) -> ComputeCapabilities:
        return ComputeCapabilities(max_hosts=MAX_HOSTS, memory_limit=True)

    def run(self, job: JobSpec, *, on_log: OnLog | None = None) -> JobResult:
        """Run to the end, or join the job of that name. See the port for what is raised."""
        if not _NAME.fullmatch(job.name):
            raise DataError(f"'{job.name}' is no job name: expected at most 63 letters, digits and dashes.")
        container = self._programs.find(job.container)
        check_hosts(job, container)
        tree = JobTree(self._root / job.name)
        say = on_log or (lambda _: None)
        description = self._run(job, container, tree, say) if self._claim(job, tree) else self._join(tree, say)
        return _checked(tree, description)

    def container_digest(self, container: str) -> str:
        """Of the folder's files: names, content, and which are programs. Raises NotFoundError."""
        return content_digest(self._programs.find(container).folder)

    def prepare(self, container: str, *, on_log: OnLog | None = None) -> Prepared:
        """Make the container's own environment, where it has one that is not there yet. See the port for what is raised."""
        return self._programs.prepare(container, on_log or (lambda _: None))

    def describe(self, name: str) -> dict[str, Any]:
        """DescribeTrainingJob's shape. Raises NotFoundError."""
        return self._current(self._tree(name))

    def stop(self, name: str) -> None:
        """Stop the job; no error where it has ended."""
        tree = self._tree(name)
        description = self._current(tree)
        if description["TrainingJobStatus"] in ENDED:
            return
        tree.stop.touch()
        deadline = time.monotonic() + self._grace_s + 30
        while self._current(tree)["TrainingJobStatus"] not in ENDED:
            if time.monotonic() > deadline:
                raise TimedOutError(f"Job '{name}' did not stop within {self._grace_s + 30:.0f} s.")
            time.sleep(_POLL_S)

    def remove(self, name: str) -> None:
        """Stop the job if it runs, and forget it; no error where there is none."""
        with contextlib.suppress(NotFoundError):
            self.stop(name)
            # Aside first: a folder that lost a part of itself would still be a job.
            grave = Path(tempfile.mkdtemp(dir=self._root, prefix=".removed-"))
            self._tree(name).root.rename(grave / name)
            shutil.rmtree(grave)

    def list(self) -> list[str]:
        """Names of all jobs, newest first."""
        if not self._root.is_dir():
            return []
        trees = [JobTree(path) for path in self._root.iterdir() if not path.name.startswith(".")]
        made = [(read_description(tree)["CreationTime"], tree.root.name) for tree in trees if tree.describe.exists()]
        return [name for _, name in sorted(made, reverse=True)]

    def running(self, *, on_unseen: Callable[[str], None] | None = None) -> Sequence[RunningJob]:  # noqa: ARG002 - the port's
        """Those that have not ended, newest first."""
        return running_of(self.describe(name) for name in self.list())

    def _tree(self, name: str) -> JobTree:
        tree = JobTree(self._root / name)
        if not _NAME.fullmatch(name) or not tree.describe.exists():
            raise NotFoundError(f"There is no job '{name}' under '{self._root}'.")
        return tree

    def _claim(self, job: JobSpec, tree: JobTree) -> bool:
        """Make the job's folder; False where it is there already."""
        self._root.mkdir(parents=True, exist_ok=True)
        if tree.describe.exists():
            return False
        aside = JobTree(Path(tempfile.mkdtemp(prefix=f".{job.name[:30]}.", dir=self._root)))
        try:
            write_description(aside, first_description(job, ProcessId.of(os.getpid())))
            aside.root.rename(tree.root)
        except OSError as error:
            shutil.rmtree(aside.root)
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            raise
        return True

    def _run(self, job: JobSpec, container: Container, tree: JobTree, say: OnLog) -> dict[str, Any]:
        description = read_description(tree)
        hosts, kept = Hosts(job, tree), Checkpoints(self._store, job.checkpoint_prefix)
        trees = tree.hosts(job.hosts)
        try:
            _enter(tree, description, "Downloading")
            for host in trees:
                host.write_config(job, [t.name for t in trees])
                for channel in job.channels:
                    host.lay(channel, self._store, [t.name for t in trees])
                if job.checkpoint_prefix:
                    kept.restore(host.checkpoints)
            program = self._programs.program(job.container, container, tree, say)
            _enter(tree, description, "Training")
            try:
                for _ in hosts.start(
                    program, self._environment, secret_variables(job, self._secrets, self._environment)
                ):
                    hosts.describe(description["Local"])
                    write_description(tree, description)
                ended = self._watch(hosts, kept, description, say)
            finally:
                hosts.stop(grace_s=self._grace_s)
                hosts.describe(description["Local"])
                _keep(hosts, kept)
            if ended is None and hosts.culprit is None:
                _enter(tree, description, "Uploading")
                key = store_results(self._store, job, trees, tree.root)
                description["ModelArtifacts"] = {"S3ModelArtifacts": key}
                # The rows are in the store; a failed job keeps its copies, to be looked at.
                for host in trees:
                    shutil.rmtree(host.ml / "input" / "data")
                ended = ("Completed", "Completed", "")
            status, secondary, reason = ended or ("Failed", "Failed", hosts.failure())
        except BaseException as error:
            interrupted = not isinstance(error, Exception)
            _end(
                tree,
                description,
                "Stopped" if interrupted else "Failed",
                f"{type(error).__name__}: {error}".rstrip(": "),
            )
            raise
        _end(tree, description, status, reason, secondary=secondary)
        return description

    def _watch(
        self, hosts: Hosts, kept: Checkpoints, description: dict[str, Any], say: OnLog
    ) -> tuple[JobStatus, str, str] | None:
        """Wait for the hosts to end: None, or why they must be stopped: status, secondary status, reason."""
        job, tree = hosts.job, hosts.tree
        deadline = time.monotonic() + job.timeout_s
        measured = stored = 0.0
        while True:
            done, now = hosts.done(), time.monotonic()
            if not done and now - measured >= _MEASURE_S:
                measured = now
                hosts.measure()
            if not done and now - stored >= _KEEP_S:
                stored = now
                _keep(hosts, kept)
            hosts.pass_on(say, lambda line: note_metric(description, line), end=done)
            if done:
                return ("Stopped", "Stopped", "Stopped on request.") if tree.stop.exists() else None
            if tree.stop.exists():
                return "Stopped", "Stopped", "Stopped on request."
            if now > deadline:
                return "Stopped", "MaxRuntimeExceeded", f"It ran longer than {job.timeout_s} s."
            most = hosts.largest
            if 0 < job.memory_mib < most.peak_mib:
                used = f"It used {most.peak_mib:.0f} MiB of memory; the limit is {job.memory_mib} MiB."
                return "Failed", "Failed", f"{hosts.named(most)}{used}"
            time.sleep(_POLL_S)

    def _join(self, tree: JobTree, say: OnLog) -> dict[str, Any]:
        """Follow a job that another thread or process runs."""
        tail = LogTail(tree.log)
        while True:
            description = self._current(tree)
            ended = description["TrainingJobStatus"] in ENDED
            for line in tail.lines(end=ended):
                say(line)
            if ended:
                return description
            time.sleep(_POLL_S)

    def _current(self, tree: JobTree) -> dict[str, Any]:
        """The state; that of a job whose runner died is settled first."""
        description = read_description(tree)
        if description["TrainingJobStatus"] in ENDED:
            return description
        if ProcessId(**_known(description["Local"]["Runner"])).alive():
            return description
        # The runner may have ended between both readings, and regularly.
        description = read_description(tree)
        if description["TrainingJobStatus"] in ENDED:
            return description
        local = description["Local"]
        for session in [host["Session"] for host in local.get("Hosts", {}).values()] or [local["Session"]]:
            # An id in use as a session's is not given away: another process of that id means the session is over.
            if session is not None and not (leader := ProcessId(**_known(session))).reused():
                sweep(leader.pid)
        _end(tree, description, "Failed", "The process that ran it died.")
        return description


def _known(process: dict[str, Any]) -> dict[str, Any]:
    return {"pid": int(process["pid"]), "started": float(process["started"])}


def _enter(tree: JobTree, description: dict[str, Any], secondary: str) -> None:
    move(description, secondary)
    write_description(tree, description)


def _end(
    tree: JobTree, description: dict[str, Any], status: JobStatus, reason: str, *, secondary: str | None = None
) -> None:
    move(description, secondary or status, status=status, reason=reason)
    write_description(tree, description)


def _keep(hosts: Hosts, kept: Checkpoints) -> None:
    if hosts.job.checkpoint_prefix:
        for host in hosts.all:
            kept.keep(host.tree.checkpoints)


def _checked(tree: JobTree, description: dict[str, Any]) -> JobResult:
    result = result_of(tree, description)
    if result.status == "Completed":
        return result
    kind: type[PlatformError] = TimedOutError if result.secondary_status == "MaxRuntimeExceeded" else JobError
    raise kind(
        f"Job '{result.name}' is {result.status}: {result.failure_reason}", next_step=f"Its log is '{tree.log}'."
    )
