"""Models that only their own library loads, in an environment of its own: a process beside this one holds the model.

The package carries all that this takes: `scorer.py` (the program, see `mlplatform.entrypoints.scorer`) and the
`requirements.lock` that it was trained with; the environment is made from that lock where it is not there. What the
package holds may be a pickle: it is loaded in that process only, after its hashes were checked. Modules are looked for in
the package only where it lists some.

A process that ends, or does not answer in time, is started again; calls meanwhile are refused as *try again*.
"""

from __future__ import annotations

import logging
import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlplatform.adapters.compute.host_tree import INHERITED
from mlplatform.adapters.containers.environments import Environments
from mlplatform.adapters.containers.lock import FILE
from mlplatform.adapters.runtimes.scorer_keeper import AT_ONCE, ScorerKeeper
from mlplatform.adapters.runtimes.scorer_process import ScorerProcess, child_environment
from mlplatform.core.packages.manifest import read_package
from mlplatform.core.packages.scorer_frames import UNTOLD
from mlplatform.errors import StateError

if TYPE_CHECKING:
    import numpy.typing as npt

START_S = 180.0
"""Loading a model with its libraries may take so long."""

ANSWER_S = 30.0
"""One question may take so long; beyond, the process is taken for hanging and started anew."""

_MODULES = (".py", ".so")
log = logging.getLogger(__name__)


class ProcessScorer:
    """The scores of a package's model. Any number of threads may call; a table is asked for in parts of `AT_ONCE` rows.

    It ends with this object, or with the process that this object lives in.
    """

    def __init__(
        self,
        package: Path,
        digest: str,
        environments: Environments,
        *,
        scorer: str,
        start_s: float = START_S,
        answer_s: float = ANSWER_S,
    ) -> None:
        self._keeper = ScorerKeeper(lambda: _start(package, digest, environments, scorer, start_s, answer_s))
        self._keeper.begin()
        weakref.finalize(self, self._keeper.close)

    def __call__(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        if len(matrix) <= AT_ONCE:
            return self._keeper.score(matrix)
        parts = [self._keeper.score(matrix[at : at + AT_ONCE]) for at in range(0, len(matrix), AT_ONCE)]
        return np.concatenate(parts)

    @property
    def pid(self) -> int | None:
        """Of the process, or None while it is being started again."""
        return self._keeper.pid


def _start(
    package: Path, digest: str, environments: Environments, scorer: str, start_s: float, answer_s: float
) -> ScorerProcess:
    # Each time: what is loaded is code, and may have changed since the last start.
    manifest = read_package(package, digest=digest)
    if FILE not in manifest.files:
        raise StateError(f"package at '{package}' lacks '{FILE}', which runtime 'process' makes its environment from.")
    python = environments.python(package / FILE, what=f"Model '{manifest.model}'", say=log.info)
    env = child_environment(os.environ, INHERITED, environments.variables())
    if any(field.personal for field in manifest.signature.inputs):
        env[UNTOLD] = "1"
    command = [str(python), scorer]
    if any(name.endswith(_MODULES) for name in manifest.files if name != scorer):
        # What Python would leave beside them is nothing that the package lists.
        env["PYTHONDONTWRITEBYTECODE"] = "1"
    else:
        # Python looks for every library in the program's folder first, but for this.
        command.insert(1, "-P")
    return ScorerProcess(command, package=package, env=env, start_s=start_s, answer_s=answer_s)
