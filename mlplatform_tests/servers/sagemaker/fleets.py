"""What serves an endpoint: of each variant one instance (however many were asked for), and how calls are shared among them."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlplatform_tests.servers.sagemaker.account import Account
from mlplatform_tests.servers.sagemaker.model_server import Answered, ModelServer, NotServedError
from mlplatform_tests.servers.sagemaker.models import KIND as MODEL
from mlplatform_tests.servers.sagemaker.models import containers_of

_NUMBERS = itertools.count(1)
_STARTUP_S = 240
NO_CAPACITY = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. "
    "Please retry using a different ML instance type or after some time."
)


@dataclass
class Fleet:
    """The servers of one configuration, by variant: a chain where a model has several containers."""

    config: Mapping[str, Any]
    chains: Mapping[str, Sequence[ModelServer]]
    weights: dict[str, float] = field(default_factory=dict)
    _busy: int = 0
    _free: threading.Condition = field(default_factory=threading.Condition)

    def ask(self, variant: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> Answered:
        """What the variant's model answers."""
        with self._free:
            self._busy += 1
        try:
            given = dict(headers)
            for server in self.chains[variant]:
                found = server.ask("POST", "/invocations", body, given, timeout_s=timeout_s)
                if found.status != 200:
                    return found
                body, given = found.body, {**given, "Content-Type": found.headers.get("content-type", "")}
            return found
        finally:
            with self._free:
                self._busy -= 1
                self._free.notify_all()

    def choose(self, dice: random.Random) -> str:
        """A variant, by weight."""
        names = sorted(self.weights)
        return dice.choices(names, [self.weights[name] for name in names])[0]

    def end(self) -> None:
        """Stop the servers, when what they are asked is answered."""
        with self._free:
            self._free.wait_for(lambda: not self._busy, timeout=60)
        for server in itertools.chain(*self.chains.values()):
            server.end()


@dataclass
class Traffic:
    """Who answers: the fleet in service, and while another takes its place, that one's share (0–1)."""

    fleet: Fleet
    next: Fleet | None = None
    share: float = 0.0
    dice: random.Random = field(default_factory=random.Random)

    def chosen(self) -> Fleet:
        """The fleet for one call."""
        other = self.next
        return other if other is not None and self.dice.random() < self.share else self.fleet


def raised(account: Account, endpoint: str, config: Mapping[str, Any]) -> Fleet:
    """The servers of a configuration, all of which answer. Raises NotServedError, with none left."""
    if account.faults.takes("capacity"):
        raise NotServedError(NO_CAPACITY)
    place = account.folder / "endpoints" / endpoint / f"{next(_NUMBERS)}"
    chains: dict[str, list[ModelServer]] = {}
    fleet = Fleet(config, chains)
    try:
        for variant in config["ProductionVariants"]:
            name = variant["VariantName"]
            chains[name] = []
            fleet.weights[name] = float(variant.get("InitialVariantWeight", 1.0))
            _raise(account, variant, place / name, chains[name])
    except NotServedError:
        fleet.end()
        raise
    return fleet


def _raise(account: Account, variant: Mapping[str, Any], place: Path, chain: list[ModelServer]) -> None:
    """Start the variant's servers, which are put into `chain` as they start. Raises NotServedError."""
    model = account.records.get(MODEL, variant["ModelName"])
    if model is None:
        raise NotServedError(f'Could not find model "{account.arn(MODEL, variant["ModelName"])}".')
    for number, given in enumerate(containers_of(model)):
        chain.append(ModelServer(account, given, _made(place / str(number))))
        chain[-1].begin()
    for server in chain:
        server.await_ready(variant.get("ContainerStartupHealthCheckTimeoutInSeconds", _STARTUP_S))


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
