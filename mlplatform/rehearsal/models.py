"""The models' part of a rehearsal: rows cut and split by the feature SQL, tested, trained on in the container, judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mlplatform.errors import GateError, JobError
from mlplatform.platform.code_version import code_version
from mlplatform.platform.translation import translated
from mlplatform.rehearsal.budget import without_threshold
from mlplatform.rehearsal.house import EMBEDDED
from mlplatform.rehearsal.stage import Done, Stages
from mlplatform.rehearsal.windows import HeldBack, held_back
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.table import TableSpec
from mlplatform.stations.gate import Gate

if TYPE_CHECKING:
    from mlplatform.platform import SystemStations
    from mlplatform.ports.tracking import Candidate
    from mlplatform.spec.profile import Profile
    from mlplatform.stations.feature_snapshot import FeatureSnapshot

RUN = "rehearsal"


@dataclass
class ModelRehearsal:
    """Feature sets and models of one system.

    Attributes:
        profile: the user's own: queries are also translated for the warehouses that it names.
        binding: whether the sample is the user's own, so that its data tests count; `strict`: whether gates count.
        held_back: by feature set, what its monitors will judge.
    """

    stations: SystemStations
    stages: Stages
    profile: Profile
    binding: bool
    strict: bool
    held_back: dict[str, HeldBack] = field(default_factory=dict)
    _snapshots: dict[str, FeatureSnapshot] = field(default_factory=dict)
    _candidates: dict[str, Candidate] = field(default_factory=dict)

    def run(self) -> None:
        """Stages ``features`` and ``data tests`` of each feature set; ``train``, ``gate`` and ``register`` of each model."""
        for features in self.stations.spec.all(FeatureSetSpec):
            name = features.name
            self.stages.run("features", name, lambda f=features: self._build(f), needs=[("load", features.table)])  # type: ignore[misc]
            self._translate(features)
            self.stages.run("data tests", name, lambda f=features: self._test(f), needs=[("features", name)])  # type: ignore[misc]
        for model in self.stations.spec.all(ModelSpec):
            name = model.name
            tried = {s.stage for s in self.stages.done if s.station == model.features}
            needs = [(s, model.features) for s in ("features", "translate", "data tests") if s in tried]
            self.stages.run("train", name, lambda m=model: self._train(m), needs=needs)  # type: ignore[misc]
            self.stages.run("gate", name, lambda m=model: self._judge(m), needs=[("train", name)])  # type: ignore[misc]
            self.stages.run("register", name, lambda m=model: self._register(m), needs=[("gate", name)])  # type: ignore[misc]

    def _build(self, features: FeatureSetSpec) -> Done:
        held = self.held_back[features.name] = held_back(self.stations, features)
        parameters = {} if held.as_of is None else {"as_of": held.as_of}
        snapshot = self.stations.features(features.name).build(datetime.now(UTC), parameters, run_id=RUN)
        self._snapshots[features.name] = snapshot
        told = [f"{count} {channel}" for channel, count in snapshot.rows.items()]
        if snapshot.without_target:
            told.append(f"{snapshot.without_target} without {features.target}")
        if held.size:
            told.append(f"{held.size} values of {features.window and features.window.column} held back")
        return Done(snapshot.ref.rows, ", ".join(told))

    def _translate(self, features: FeatureSetSpec) -> None:
        """Stage ``translate``, where the table lies in another engine than the one at hand: some of what that cannot run."""
        system = self.stations.spec
        if not self.stages.ok("features", features.name):
            return
        named = system.get(TableSpec, features.table).connection
        connection = self.profile.connection(named, port="warehouse", system=system.name)

        def work() -> Done:
            translated(connection, system.query(features), system=system.name)
            return Done(None, f"'{features.query}' can be said in the dialect of {connection.adapter}")

        if connection.adapter != EMBEDDED["warehouse"]:
            self.stages.run("translate", features.name, work)

    def _test(self, features: FeatureSetSpec) -> Done:
        snapshot = self._snapshots[features.name]
        tests = self.stations.data_tests(features.name)
        check = tests.check(self.stations.features(features.name).read(snapshot, "train", tests.columns()), run=RUN)
        found: Mapping[str, int] = check.metadata
        if not check.passed and self.binding:
            raise GateError(
                f"The sample's rows do not pass the data tests of '{features.name}': {check.description}.",
                next_step="Correct the rows, or the expectations in the YAML.",
            )
        told = f"{found['expectations']} expectations" + (f": {check.description}" if check.description else "")
        return Done(found["rows"], told, noted=bool(check.description))

    def _train(self, model: ModelSpec) -> Done:
        snapshot = self._snapshots[model.features]
        try:
            trained = self.stations.training(model.name).train(snapshot, run_id=RUN, code_version=code_version())
        except JobError as error:
            if self.binding or "found nothing" not in error.message:
                raise
            hint = "Its rows are made up, and nullable columns have no value in some: a row like that may really come."
            raise JobError(error.message, next_step=f"{error.next_step} {hint}") from error
        self._candidates[model.name] = trained.candidate
        rows = snapshot.rows["train"] + snapshot.rows["validation"]
        return Done(rows, f"container {model.container}, {trained.peak_memory_mib:.0f} MiB, {_spent(model)}")

    def _judge(self, model: ModelSpec) -> Done:
        snapshot = self._snapshots[model.features]
        verdict = self.stations.gate(model.name).judge(self._candidates[model.name], snapshot)
        if not verdict.passed and self.strict:
            raise GateError(verdict.reason, next_step="Give a sample that a model can learn from, or leave out --gate.")
        if not verdict.passed:
            # The stations behind the gate take nothing without a pass.
            self._lenient_gate(model).judge(self._candidates[model.name], snapshot)
        return Done(snapshot.rows["test"], verdict.reason, noted=not verdict.passed)

    def _lenient_gate(self, model: ModelSpec) -> Gate:
        p = self.stations.platform
        return Gate(
            p.tracking,
            p.runtimes,
            p.store,
            p.items,
            p.endpoints,
            without_threshold(model),
            system=self.stations.spec.name,
            warehouse=lambda: self.stations.warehouse_of(model.name),
        )

    def _register(self, model: ModelSpec) -> Done:
        made = self.stations.registry(model.name).register(self._candidates[model.name].digest)
        return Done(None, f"version {made.version}, digest {made.digest[:12]}")


def _spent(model: ModelSpec) -> str:
    given = ", ".join(f"{name} {value}" for name, value in model.hyperparameters.items())
    search = model.search
    trials = f"{search.trials} trial{'' if search.trials == 1 else 's'}" if search else "the container's own search"
    return f"{trials}; {given}" if given else trials
