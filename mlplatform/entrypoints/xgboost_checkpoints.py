"""What an XGBoost job has done so far, in files that its next attempt begins with: ``xgboost-checkpoint.<trees so far>``.

A job is a sequence of trainings: the search's trials, then the model. A checkpoint is the booster in the making, as XGBoost
saves it, with what the finished trainings came to as an attribute. The first host writes, by its clock; what it restores, all get.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from mlplatform.core.training.hosts import ALONE, Hosts

_NAME = re.compile(r"xgboost-checkpoint\.([0-9]+)")
_ATTRIBUTE = "mlplatform_progress"
KEPT = 5


class Best(NamedTuple):
    """The best round of a training so far: what the validation rows said then, and its place."""

    value: float
    round: int


class Progress:
    """The trainings of one job. `folder`: where checkpoints are kept, None = nowhere; `every_s`: seconds between two."""

    def __init__(
        self,
        folder: Path | None = None,
        every_s: float = 30.0,
        hosts: Hosts = ALONE,
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._every_s = every_s
        self._writes = folder is not None and hosts.rank == 0
        self._log = log
        self._done: list[dict[str, Any]] = []
        self._restored: list[dict[str, Any]] = []
        self._begun: tuple[dict[str, str], bytes, Best | None] | None = None
        self._rounds = 0
        self._written = time.monotonic()
        if folder is not None:
            self._restore(folder, hosts)

    def finished(self, parameters: dict[str, str]) -> dict[str, Any] | None:
        """What the next training came to, if an attempt before this one finished it with these `parameters`."""
        place = len(self._done)
        if place < len(self._restored) and self._restored[place]["parameters"] == parameters:
            return self._restored[place]
        return None

    def begun(self, parameters: dict[str, str]) -> tuple[bytes | None, Best | None]:
        """The booster that the next training goes on from, and its best round so far; None, to begin anew."""
        begun, self._begun = self._begun, None
        if begun is None or len(self._done) != len(self._restored) or begun[0] != parameters:
            return None, None
        return begun[1:]

    def finish(self, result: dict[str, Any]) -> None:
        """The training came to `result`; another begins."""
        self._done.append(result)
        self._rounds += int(result["built"])

    def note(self, booster: Any, parameters: dict[str, str], best: Best | None) -> None:
        """Write a checkpoint, where the last one was long ago."""
        if self._folder is None or not self._writes or time.monotonic() - self._written < self._every_s:
            return
        state = {"done": self._done, "parameters": parameters, "best": best}
        booster.set_attr(**{_ATTRIBUTE: json.dumps(state)})
        content = bytes(booster.save_raw("ubj"))
        booster.set_attr(**{_ATTRIBUTE: None})
        number = self._rounds + booster.num_boosted_rounds()
        # Whoever looks meanwhile finds no half of it; a name with a dot in front is not looked at.
        aside = self._folder / f".xgboost-checkpoint.{number}"
        aside.write_bytes(content)
        aside.rename(self._folder / aside.name.removeprefix("."))
        for _, path in _checkpoints(self._folder)[:-KEPT]:
            path.unlink()
        self._written = time.monotonic()

    def _restore(self, folder: Path, hosts: Hosts) -> None:
        import xgboost

        folder.mkdir(parents=True, exist_ok=True)
        found = _checkpoints(folder)
        name, content = (
            (found[-1][1].name.encode(), found[-1][1].read_bytes()) if found and self._writes else (b"", b"")
        )
        name, content = hosts.gather(name)[0], hosts.gather(content)[0]
        if not content:
            return
        booster = xgboost.Booster(model_file=bytearray(content))
        state = json.loads(booster.attr(_ATTRIBUTE) or "{}")
        booster.set_attr(**{_ATTRIBUTE: None})
        best = Best(*state["best"]) if state.get("best") else None
        self._restored = list(state.get("done", ()))
        self._begun = (state.get("parameters", {}), bytes(booster.save_raw("ubj")), best)
        self._log(
            f"{name.decode()}: goes on behind {len(self._restored)} finished trainings, "
            f"{booster.num_boosted_rounds()} trees of the next are kept"
        )


def _checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """Finished checkpoints with their numbers, the last one last."""
    found = [(_NAME.fullmatch(path.name), path) for path in folder.iterdir()]
    return sorted((int(match[1]), path) for match, path in found if match is not None)
