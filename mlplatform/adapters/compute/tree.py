"""The folder of one job.

<job>/describe.json            the job's state, DescribeTrainingJob's shape
<job>/job.log                  standard output and error; of several hosts, each line behind its host's name
<job>/opt/ml/                  of the first host (see `host_tree`)
<job>/hosts/<host>/opt/ml/     of each other host
<job>/hosts/<host>/host.log    what each host said, where there are several
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mlplatform.adapters.compute.host_tree import HostTree, host_names


@dataclass(frozen=True)
class JobTree:
    """Paths below one job's folder."""

    root: Path

    @property
    def describe(self) -> Path:
        return self.root / "describe.json"

    @property
    def log(self) -> Path:
        return self.root / "job.log"

    @property
    def stop(self) -> Path:
        """Exists from the moment somebody asked the job to stop."""
        return self.root / "stop"

    @property
    def first(self) -> HostTree:
        """The first host's, which leaves the model."""
        return self.hosts(1)[0]

    def hosts(self, count: int) -> tuple[HostTree, ...]:
        """A tree for each host. The first one's lies where a single one's does."""
        trees = []
        for place, name in enumerate(host_names(count)):
            own = self.root / "hosts" / name
            trees.append(HostTree(self.root if place == 0 else own, name, self.log if count == 1 else own / "host.log"))
        return tuple(trees)
