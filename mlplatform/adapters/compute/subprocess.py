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
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlplatform.adapters.compute.artifacts import store_artifacts
from mlplatform.adapters.compute.container import Container, container_folders, content_digest
from mlplatform.adapters.compute.description import (
    ENDED,
    first_description,
    move,
    note_metric,
    read_description,
    result_of,
    write_description,
)
from mlplatform.adapters.compute.process import LogTail, ProcessId, resident_mib, start, stop, sweep
from mlplatform.adapters.compute.program import Programs
from mlplatform.adapters.compute.tree import JobTree
from mlplatform.adapters.containers.environments import Environments
from mlplatform.errors import DataError, JobError, NotFoundError, PlatformError, TimedOutError
from mlplatform.ports.compute import ComputeCapabilities, JobResult, JobSpec, JobStatus, Prepared
from mlplatform.ports.object_store import ObjectStore
from mlplatform.spec.home import cache_path

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
_POLL_S = 0.05
_MEASURE_S = 0.25
OnLog = Callable[[str], None]


class SubprocessCompute:
    """Jobs under `jobs_root`, one folder each.

    `grace_s`: seconds between SIGTERM and SIGKILL (SageMaker: 120). `containers`: folders searched for containers.
    `cache`: where environments of containers are kept.
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
    ) -> None:
        self._root = jobs_root
        self._store = store
        self._grace_s = grace_s
        self._environment = dict(os.environ if environment is None else environment)
        folders = container_folders() if containers is None else containers
        self._programs = Programs(folders, Environments(cache or cache_path(self._environment)))

    @property
    def capabilities(self) -> ComputeCapabilities:
        return ComputeCapabilities(max_hosts=1, memory_limit=True)

    def run(self, job: JobSpec, *, on_log: OnLog | None = None) -> JobResult:
        """Run to the end, or join the job of that name. See the port for what is raised."""
        if not _NAME.fullmatch(job.name):
            raise DataError(f"'{job.name}' is no job name: expected at most 63 letters, digits and dashes.")
        container = self._programs.find(job.container)
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
        try:
            _enter(tree, description, "Downloading")
            tree.write_config(job)
            for channel in job.channels:
                tree.lay(channel, self._store)
            program = self._programs.program(job.container, container, tree, say)
            tail = LogTail(tree.log, at=tree.log.stat().st_size if tree.log.exists() else 0)
            _enter(tree, description, "Training")
            environment = {**program.variables, **tree.environment(job, self._environment)}
            process = start(program.command, folder=program.folder, environment=environment, log=tree.log)
            try:
                description["Local"]["Session"] = ProcessId.of(process.pid).to_json()
                write_description(tree, description)
                ended = self._watch(job, process, tail, tree, description, say)
            finally:
                stop(process.pid, grace_s=self._grace_s)
                description["Local"]["ExitCode"] = process.wait()
            if ended is None and process.returncode == 0:
                _enter(tree, description, "Uploading")
                key = store_artifacts(self._store, job.output_prefix, job.name, tree.model, tree.output, tree.root)
                description["ModelArtifacts"] = {"S3ModelArtifacts": key}
                # The rows are in the store; a failed job keeps its copies, to be looked at.
                shutil.rmtree(tree.ml / "input" / "data")
                ended = ("Completed", "Completed", "")
            status, secondary, reason = ended or ("Failed", "Failed", _failure(tree, process.returncode))
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
        self,
        job: JobSpec,
        process: subprocess.Popen[bytes],
        tail: LogTail,
        tree: JobTree,
        description: dict[str, Any],
        say: OnLog,
    ) -> tuple[JobStatus, str, str] | None:
        """Wait for the process to end: None, or why it must be stopped: status, secondary status, reason."""
        deadline = time.monotonic() + job.timeout_s
        local = description["Local"]
        measured = 0.0

        def pass_on(*, end: bool = False) -> None:
            for line in tail.lines(end=end):
                note_metric(description, line)
                say(line)

        while True:
            done = process.poll() is not None
            now = time.monotonic()
            if not done and now - measured >= _MEASURE_S:
                measured = now
                local["PeakMemoryMiB"] = round(max(local["PeakMemoryMiB"], resident_mib(process.pid)), 1)
            pass_on(end=done)
            if done:
                return ("Stopped", "Stopped", "Stopped on request.") if tree.stop.exists() else None
            if tree.stop.exists():
                return "Stopped", "Stopped", "Stopped on request."
            if now > deadline:
                return "Stopped", "MaxRuntimeExceeded", f"It ran longer than {job.timeout_s} s."
            if 0 < job.memory_mib < local["PeakMemoryMiB"]:
                return (
                    "Failed",
                    "Failed",
                    f"It used {local['PeakMemoryMiB']:.0f} MiB of memory; the limit is {job.memory_mib} MiB.",
                )
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
        session = description["Local"]["Session"]
        if session is not None:
            leader = ProcessId(**_known(session))
            # An id in use as a session's is not given away: another process of that id means the session is over.
            if not leader.reused():
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


def _failure(tree: JobTree, code: int) -> str:
    """AlgorithmError with the failure file's text, or the log's last line."""
    text = tree.failure.read_text("utf-8", "replace")[:1024].strip() if tree.failure.is_file() else ""
    if not text:
        lines = [line for line in LogTail(tree.log).lines(end=True) if line.strip()]
        text = lines[-1][:1024] if lines else "it said nothing"
    how = f"killed by signal {-code}" if code < 0 else f"exit code: {code}"
    return f"AlgorithmError: {text}, {how}"


def _checked(tree: JobTree, description: dict[str, Any]) -> JobResult:
    result = result_of(tree, description)
    if result.status == "Completed":
        return result
    kind: type[PlatformError] = TimedOutError if result.secondary_status == "MaxRuntimeExceeded" else JobError
    raise kind(
        f"Job '{result.name}' is {result.status}: {result.failure_reason}", next_step=f"Its log is '{tree.log}'."
    )
