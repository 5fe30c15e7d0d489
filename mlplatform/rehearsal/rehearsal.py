"""A rehearsal: one system from arriving rows to a judged window, on embedded adapters in a home that is thrown away."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.platform.system import SystemStations
from mlplatform.rehearsal.arrivals import Arrivals
from mlplatform.rehearsal.budget import cut_down
from mlplatform.rehearsal.data import rehearse_data
from mlplatform.rehearsal.endpoints import EndpointRehearsal
from mlplatform.rehearsal.models import ModelRehearsal
from mlplatform.rehearsal.sample import SampleFile, sample_files
from mlplatform.rehearsal.stage import Done, Stage, Stages
from mlplatform.spec.loader import FILE_NAME, load_system

if TYPE_CHECKING:
    from mlplatform.platform import Platform
    from mlplatform.rehearsal.house import House
    from mlplatform.spec.profile import Profile
    from mlplatform.spec.system import SystemSpec


@dataclass(frozen=True)
class Wishes:
    """How to rehearse.

    Attributes:
        files: sample rows; none = those beside the YAML, else made-up ones.
        rows: how many rows to make up for a table. seed: of what is made up.
        gate: whether a model that misses its gate fails the rehearsal.
    """

    files: tuple[Path, ...] = ()
    rows: int = 2000
    seed: int = 0
    gate: bool = False


@dataclass(frozen=True)
class Report:
    """One system's rehearsal. `sample`: the files its rows came from; empty where they were made up."""

    system: str
    passed: bool
    sample: tuple[str, ...]
    seconds: float
    stages: tuple[Stage, ...]

    @property
    def failed(self) -> list[Stage]:
        """The stages that failed, in order."""
        return [s for s in self.stages if s.status == "failed"]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def rehearse(
    house: House,
    name: str,
    wishes: Wishes,
    *,
    now: datetime,
    on_stage: Callable[[Stage], None] = lambda _: None,
) -> Report:
    """Take the system `name` once through all its stations; what goes wrong stands in the report.

    Args:
        house: what happens stays in it.
        on_stage: told of each stage as it ends.
    """
    started = time.monotonic()
    stages = Stages(on_stage)
    found: list[SystemSpec] = []
    files: list[SampleFile] = []
    stages.run("yaml", name, lambda: _read(house.platform, name, found))
    stages.run("sample", name, lambda: _sample(found[0], wishes, files), needs=[("yaml", name)])
    if stages.ok("sample", name):
        stations = SystemStations(house.platform, cut_down(found[0]))
        try:
            arrivals = Arrivals(stations, files, wishes.rows, wishes.seed, now)
            _run(stations, stages, arrivals, house.profile, strict=wishes.gate)
        finally:
            stations.close()
    passed = not any(s.status == "failed" for s in stages.done)
    names = tuple(str(f.path) for f in files)
    return Report(name, passed, names, time.monotonic() - started, tuple(stages.done))


def _read(platform: Platform, name: str, found: list[SystemSpec]) -> Done:
    """The system's own YAML: a faulty neighbour is none of its business."""
    found.append(load_system(platform.defs / name / FILE_NAME))
    return Done(None, f"{len(found[0].stations)} stations")


def _sample(system: SystemSpec, wishes: Wishes, files: list[SampleFile]) -> Done:
    files += sample_files(system, wishes.files)
    names = ", ".join(f.path.name for f in files)
    return Done(None, names or f"rows made up from the tables' columns, seed {wishes.seed}")


def _run(stations: SystemStations, stages: Stages, arrivals: Arrivals, profile: Profile, *, strict: bool) -> None:
    rehearse_data(stations, arrivals, stages)
    models = ModelRehearsal(stations, stages, profile, binding=bool(arrivals.files), strict=strict)
    models.run()
    EndpointRehearsal(stations, stages, models.held_back).run()


def first_failure(reports: Sequence[Report]) -> Stage | None:
    """The first stage that failed, of any system."""
    return next((stage for report in reports for stage in report.failed), None)
