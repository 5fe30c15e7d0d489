"""A container's program as this machine runs it: its command and variables, its own environment made where it has one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlplatform.adapters.compute.container import Container, find_container
from mlplatform.adapters.compute.tree import JobTree
from mlplatform.adapters.containers.environments import Environments
from mlplatform.ports.compute import Prepared

LOCK = "MLPLATFORM_LOCK"
"""Names the lock of the environment that a job runs in: a package that is served by a process of its own carries it."""

OnLog = Callable[[str], None]


@dataclass(frozen=True)
class Program:
    """A command, the folder it runs in, and what it finds in its environment beside the job's own variables."""

    command: tuple[str, ...]
    folder: Path
    variables: dict[str, str]


class Programs:
    """Programs of the containers in `folders`."""

    def __init__(self, folders: Sequence[Path], environments: Environments) -> None:
        self._folders = tuple(folders)
        self._environments = environments

    def find(self, name: str) -> Container:
        """The container called `name`. Raises as `find_container` does."""
        return find_container(name, self._folders)

    def prepare(self, name: str, say: OnLog) -> Prepared:
        """Make the container's environment, where it has one of its own and that is not there yet."""
        found = self.find(name)
        if found.lock is None:
            return Prepared(name, made=False, folder=None)
        there = self._environments.ready(found.lock)
        self._environments.python(found.lock, what=f"Container '{name}'", say=say)
        return Prepared(name, made=not there, folder=self._environments.folder(found.lock))

    def program(self, name: str, container: Container, tree: JobTree, say: OnLog) -> Program:
        """The program of `container`; while its environment is made, the job's log says so."""
        if container.lock is None:
            return Program(container.command, container.folder, {})

        def note(line: str) -> None:
            with tree.log.open("a", encoding="utf-8") as log:
                log.write(f"{line}\n")
            say(line)

        python = self._environments.python(container.lock, what=f"Container '{name}'", say=note)
        variables = {**self._environments.variables(), LOCK: str(container.lock.absolute())}
        return Program((str(python), *container.command[1:]), container.folder, variables)
