"""The hosts of one job as processes of this machine: started, followed, measured, and ended together."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlplatform.adapters.compute.container import DISTRIBUTED, Container
from mlplatform.adapters.compute.host_tree import HostTree
from mlplatform.adapters.compute.process import LogTail, ProcessId, resident_mib, start, stop
from mlplatform.adapters.compute.program import Program
from mlplatform.adapters.compute.tree import JobTree
from mlplatform.errors import SpecError
from mlplatform.ports.compute import JobSpec

MAX_HOSTS = 16
"""Each is a process with its own copy of what it reads: more belong on machines of their own."""
_LAST_WORDS_S = 2.0
"""How long a host that said what went wrong is given to end by itself."""
OnLine = Callable[[str], None]


@dataclass
class Host:
    """One host. `tail` reads its log from where its program's own output begins."""

    tree: HostTree
    tail: LogTail
    process: subprocess.Popen[bytes]
    session: ProcessId
    peak_mib: float = 0.0

    @property
    def said_at(self) -> float:
        """When it wrote what went wrong; never is the latest."""
        try:
            return self.tree.failure.stat().st_mtime
        except FileNotFoundError:
            return float("inf")


@dataclass
class Hosts:
    """All hosts of `job`. With one, its output is the job's log; of several, each line is told apart by its host's name.

    `culprit`: the host whose failure ended the job, once `done` has seen one.
    """

    job: JobSpec
    tree: JobTree
    all: list[Host] = field(default_factory=list)
    culprit: Host | None = None

    def start(self, program: Program, inherited: Mapping[str, str], secrets: Mapping[str, str]) -> Iterator[Host]:
        """Start one host after the other; the caller writes down each before the next one starts.

        `secrets`: variables that are in the processes' environment, and nowhere else.
        """
        trees = self.tree.hosts(self.job.hosts)
        names = [tree.name for tree in trees]
        port = _free_port() if len(trees) > 1 else None
        for tree in trees:
            tail = LogTail(tree.log, at=tree.log.stat().st_size if tree.log.exists() else 0)
            variables = tree.environment(self.job, names, inherited, port=port)
            environment = {**program.variables, **variables, **secrets}
            command = [*program.command, *self.job.arguments]
            process = start(command, folder=program.folder, environment=environment, log=tree.log)
            self.all.append(Host(tree, tail, process, ProcessId.of(process.pid)))
            yield self.all[-1]

    def done(self) -> bool:
        """Whether all have ended, or one has failed: then the others are of no use."""
        codes = [host.process.poll() for host in self.all]
        if any(codes):
            self.culprit = self._culprit()
            return True
        return None not in codes

    def _culprit(self) -> Host:
        """Where one host goes, the others lose their connection to it and fail too, and may be gone before it is.

        One that was killed had no such reason; of the others the first that said what was wrong knows best.
        """
        concerned = [host for host in self.all if host.process.poll() or host.said_at < float("inf")]
        found = min(concerned, key=lambda host: ((host.process.poll() or 1) > 0, host.said_at))
        with contextlib.suppress(subprocess.TimeoutExpired):
            found.process.wait(_LAST_WORDS_S)
        return found

    def pass_on(self, say: OnLine, note: OnLine, *, end: bool = False) -> None:
        """Give new lines to `say` as the job's log has them, and as the host wrote them to `note`."""
        for host in self.all:
            for line in host.tail.lines(end=end):
                note(line)
                say(line if len(self.all) == 1 else self._merge(host, line))

    def _merge(self, host: Host, line: str) -> str:
        told = f"{host.tree.name} | {line}"
        with self.tree.log.open("a", encoding="utf-8") as log:
            log.write(f"{told}\n")
        return told

    def measure(self) -> None:
        """Look how much memory each takes now."""
        found = resident_mib(*(host.process.pid for host in self.all if host.process.returncode is None))
        for host in self.all:
            host.peak_mib = round(max(host.peak_mib, found.get(host.process.pid, 0.0)), 1)

    @property
    def largest(self) -> Host:
        """The one that took the most memory."""
        return max(self.all, key=lambda host: host.peak_mib)

    def named(self, host: Host) -> str:
        """How a message begins that is about `host`: not at all where there is one only."""
        return f"Host {host.tree.name}: " if len(self.all) > 1 else ""

    def failure(self) -> str:
        """AlgorithmError with the culprit's failure file, or its log's last line."""
        host = self.culprit or self.all[0]
        tree, code = host.tree, host.process.returncode
        text = tree.failure.read_text("utf-8", "replace")[:1024].strip() if tree.failure.is_file() else ""
        if not text:
            lines = [line for line in LogTail(tree.log).lines(end=True) if line.strip()]
            text = lines[-1][:1024] if lines else "it said nothing"
        how = f"killed by signal {-code}" if code < 0 else f"exit code: {code}"
        return f"AlgorithmError: {self.named(host)}{text}, {how}"

    def stop(self, *, grace_s: float) -> None:
        """End what is left of all, and collect their exit codes."""
        stop(*(host.process.pid for host in self.all), grace_s=grace_s)
        for host in self.all:
            host.process.wait()

    def describe(self, local: dict[str, Any]) -> None:
        """Write what is known into a description: of each host, and of the one that matters."""
        if not self.all:
            return
        local["Session"] = self.all[0].session.to_json()
        local["ExitCode"] = (self.culprit or self.all[0]).process.returncode
        local["PeakMemoryMiB"] = self.largest.peak_mib
        local["Hosts"] = {
            host.tree.name: {
                "Session": host.session.to_json(),
                "ExitCode": host.process.returncode,
                "PeakMemoryMiB": host.peak_mib,
            }
            for host in self.all
        }


def check_hosts(job: JobSpec, container: Container, *, most: int = MAX_HOSTS, where: str = "this machine") -> None:
    """Raises SpecError where the job asks for more hosts than there are, or than the container can use."""
    if not 1 <= job.hosts <= most:
        raise SpecError(f"A job on {where} has 1 to {most} hosts; job '{job.name}' asks for {job.hosts}.")
    if job.hosts > 1 and not container.distributed:
        raise SpecError(
            f"Container '{job.container}' trains on one host; the model asks for {job.hosts}.",
            next_step=f"Set hosts: 1. If it does share work over hosts, its Dockerfile says so: LABEL {DISTRIBUTED}=true",
        )


def _free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
