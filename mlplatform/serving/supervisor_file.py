"""What a supervisor writes of itself, for `mlplatform status` and for the next supervisor."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mlplatform.errors import ConflictError
from mlplatform.serving.program import ProgramStatus
from mlplatform.spec.home import Home, write_atomically
from mlplatform.spec.process_name import is_alive

FILE = "supervisor.json"


@dataclass(frozen=True)
class SupervisorStatus:
    """A supervisor and its programs. `alive` = it runs now; else this is what it last wrote."""

    process: str
    started_at: str
    programs: tuple[ProgramStatus, ...]
    alive: bool = False

    @property
    def pid(self) -> int:
        return int(self.process.partition("-")[0])


def write_status(run: Path, status: SupervisorStatus) -> None:
    """Replace the status file."""
    content = {"process": status.process, "started_at": status.started_at}
    programs = [asdict(p) for p in status.programs]
    write_atomically(run / FILE, json.dumps({**content, "programs": programs}, indent=1).encode())


def read_status(run: Path) -> SupervisorStatus | None:
    """The status as last written, None where no supervisor ever ran here (or its file is not readable)."""
    try:
        data = json.loads((run / FILE).read_bytes())
        programs = tuple(ProgramStatus(**p) for p in data["programs"])
        return SupervisorStatus(data["process"], data["started_at"], programs, is_alive(data["process"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def refuse_if_running(home: Home) -> None:
    """Raise ConflictError, with its pid, where a supervisor runs on this home."""
    found = read_status(home.run)
    if found is not None and found.alive:
        raise ConflictError(
            f"'mlplatform serve' runs on '{home.root}' as process {found.pid}, since {found.started_at}.",
            next_step=f"Stop it first: kill {found.pid}",
        )
