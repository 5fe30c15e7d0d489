"""Gate: judges a candidate on held-out rows, beside the champion where there is one, and stores the verdict.

Both models score the same rows of the new snapshot's *test* channel with the code that serves them. Compared are only
rows the champion was not trained on: where both were split by the same hash rule that is so by construction, and is
checked against the champion's own training rows while these are kept; else rows behind the champion's window.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.core.packages.manifest import Manifest
from mlplatform.core.training.gate import GateRules, Rows, judge
from mlplatform.core.training.split import HashSplit, split_from_json
from mlplatform.errors import DataError, NotFoundError, StateError
from mlplatform.ports.endpoints import Endpoints
from mlplatform.ports.item_store import ItemStore
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.runtimes import LoadedModel, Runtimes
from mlplatform.ports.tracking import Candidate, ModelVersion, Tracking
from mlplatform.spec.model import HIGHER_IS_BETTER, ModelSpec
from mlplatform.stations.champion_version import champion_of
from mlplatform.stations.feature_snapshot import FeatureSnapshot, WarehouseOf, read_channel, read_tables
from mlplatform.stations.verdict import Verdict, remember_candidate, store_verdict, stored_verdict

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Gate:
    """Judges candidates of one model; `endpoint` is ``<system>/<endpoint>`` that serves it, or None. `warehouse` has rows that
    no build unloads."""

    def __init__(
        self,
        tracking: Tracking,
        runtimes: Runtimes,
        store: ObjectStore,
        items: ItemStore,
        endpoints: Endpoints,
        model: ModelSpec,
        *,
        system: str,
        endpoint: str | None = None,
        warehouse: WarehouseOf | None = None,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._warehouse = warehouse
        self._tracking = tracking
        self._runtimes = runtimes
        self._store = store
        self._items = items
        self._endpoints = endpoints
        self._model = model
        self._endpoint = endpoint
        self._clock = clock
        self.name = f"{system}.{model.name}"

    def judge(self, candidate: Candidate, snapshot: FeatureSnapshot) -> Verdict:
        """Judge `candidate` on the held-out rows of the snapshot it was trained on, and store the verdict.

        The champion itself is not compared with itself: the verdict that made it champion stands. A candidate of a past
        that was asked for (``as_of``) passes over no champion of later rows, however well it does on its own.

        Raises:
            DataError: the held-out rows lack a column of the gate's.
        """
        import numpy as np

        champion = champion_of(self._endpoints, self._tracking, model=self.name, endpoint=self._endpoint)
        if champion is not None and champion.digest == candidate.digest:
            return self._identical(champion, snapshot)
        held_out = read_channel(self._store, snapshot, "test", self._warehouse)
        challenger = self._load(candidate.digest)
        signature = challenger.manifest.signature
        common, note, theirs, older = None, "", None, ""
        if champion is not None:
            package = self._tracking.package(self.name, champion.digest)
            rival = self._runtimes.load(package, digest=champion.digest)
            theirs = _aligned(rival.score_table(held_out), rival.manifest.signature.classes, signature.classes)
            common, note = self._unseen_by(package, rival.manifest, held_out, snapshot)
            older = _older(challenger.manifest, rival.manifest, held_out, snapshot)
        gate = self._model.gate
        judgement = judge(
            self._rules(),
            signature.task,
            self._rows(held_out, signature.target, signature.classes),
            challenger.score_table(held_out),
            theirs,
            common=common,
            rng=np.random.default_rng(gate.seed),
        )
        if older and judgement.passed:
            judgement = replace(judgement, passed=False, outcome="older", reason=f"{judgement.reason} {older}")
        verdict = Verdict.of(
            judgement,
            model=self.name,
            digest=candidate.digest,
            champion_digest=champion.digest if champion else None,
            champion_version=champion.version if champion else None,
            snapshot=snapshot.ref.id,
            judged_at=self._clock().isoformat(),
            excluded=0 if common is None else int((~common).sum()),
            note=note,
        )
        store_verdict(self._items, verdict)
        self._tracking.annotate(
            self.name, candidate.digest, tags={"verdict": verdict.outcome, "verdict_reason": verdict.reason}
        )
        return verdict

    def require_champion(self) -> None:
        """Make sure, before anything is trained, that a candidate can be judged beside the champion.

        Raises:
            StateError: the champion's package cannot be read.
        """
        # What is deployed is known without the tracker, whose client takes seconds to load and can do so beside the job.
        served = self._endpoints.desired(self._endpoint) if self._endpoint else None
        if served is None or served.model != self.name:
            found = champion_of(self._endpoints, self._tracking, model=self.name, endpoint=self._endpoint)
            if found is None:
                return
            digest, version = found.digest, found.version
        else:
            digest, version = served.digest, served.version
        try:
            self._tracking.package(self.name, digest)
        except (NotFoundError, StateError) as error:
            raise StateError(
                f"A candidate of '{self.name}' cannot be judged beside the champion, version {version}: {error.message}",
                next_step=self._without_champion(version),
            ) from error

    def _without_champion(self, version: int) -> str:
        """What helps where the package of the champion, version `version`, cannot be read."""
        steps = ["Restore it from a backup"]
        served = self._endpoints.history(self._endpoint) if self._endpoint else []
        if any(d.version != version for d in served):
            steps.append(f"go back to an earlier version (mlplatform rollback {self._endpoint})")
        tags = [v.tags for v in self._tracking.versions(self.name) if v.version == version]
        job = tags[0].get("training_job", "") if tags else ""
        left = [
            i.key
            for i in self._store.list(f"jobs/{self.name.replace('.', '/', 1)}/")
            if f"/{job}/output/model." in i.key
        ]
        if job and left:
            steps.append(f"unpack there what its training job left, the object '{left[0]}'")
        return ", or ".join(steps) + ". Nothing was trained."

    def verdict(self, digest: str) -> Verdict | None:
        """The newest verdict on a candidate, or None."""
        return stored_verdict(self._items, digest)

    def _identical(self, champion: ModelVersion, snapshot: FeatureSnapshot) -> Verdict:
        remember_candidate(self._items, model=self.name, digest=champion.digest)
        stored = stored_verdict(self._items, champion.digest)
        if stored is not None:
            return stored
        return Verdict(
            model=self.name,
            digest=champion.digest,
            champion_digest=champion.digest,
            champion_version=champion.version,
            snapshot=snapshot.ref.id,
            judged_at=self._clock().isoformat(),
            passed=False,
            outcome="identical",
            reason=f"The candidate is the champion (version {champion.version}); a model is not compared with itself.",
            figures={},
        )

    def _load(self, digest: str) -> LoadedModel:
        return self._runtimes.load(self._tracking.package(self.name, digest), digest=digest)

    def _rules(self) -> GateRules:
        gate = self._model.gate
        return GateRules(
            metric=gate.metric,
            threshold=gate.threshold,
            higher_is_better=HIGHER_IS_BETTER[gate.metric],
            margin=gate.margin,
            confidence=gate.confidence,
            resamples=gate.resamples,
            segment_tolerance=gate.segment_tolerance,
            unit=f"held-out values of {gate.by}" if gate.by else "held-out rows",
        )

    def _rows(self, held_out: pa.Table, target: str, classes: tuple[str, ...]) -> Rows:
        import numpy as np

        gate = self._model.gate
        for name in (target, *([gate.by] if gate.by else []), *gate.segments):
            if name not in held_out.column_names:
                raise DataError(
                    f"The held-out rows have no column '{name}'; they have: {', '.join(held_out.column_names)}.",
                    next_step="Select it in the feature set's query.",
                )
        groups = None
        if gate.by:
            groups = np.asarray(held_out.column(gate.by).combine_chunks().dictionary_encode().indices.fill_null(-1))
            groups = np.unique(groups, return_inverse=True)[1]
        segments = {name: held_out.column(name).to_pylist() for name in gate.segments}
        return Rows(_truth(held_out, target, classes), groups, segments)

    def _unseen_by(
        self, package: Path, champion: Manifest, held_out: pa.Table, snapshot: FeatureSnapshot
    ) -> tuple[npt.NDArray[np.bool_], str]:
        """Which held-out rows the champion was not trained on, and how that is known."""
        import numpy as np

        every = np.ones(held_out.num_rows, dtype=bool)
        path = package / "split.json"
        if not path.is_file():
            return ~every, "The champion's package does not say how its rows were split."
        content = json.loads(path.read_text("utf-8"))
        theirs, ours = split_from_json(content["split"]), split_from_json(snapshot.split)
        if isinstance(theirs, HashSplit) and isinstance(ours, HashSplit) and theirs.holds_out_what(ours):
            return self._check_keys(champion, held_out, ours, every)
        column, fitted_to = content["column"], content["fitted_to"]
        if column is None or fitted_to is None or column not in held_out.column_names:
            return ~every, "The champion was split by another rule, and neither says where its training rows end."
        import pyarrow as pa
        import pyarrow.compute as pc

        values = held_out.column(column)
        behind = pc.greater(values, pa.scalar(fitted_to).cast(values.type)).fill_null(False)
        return np.asarray(behind), f"The champion was split by another rule: compared on rows behind {fitted_to} only."

    def _check_keys(
        self, champion: Manifest, held_out: pa.Table, split: HashSplit, every: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.bool_], str]:
        import numpy as np

        try:
            channels, key = ["train", "validation"], list(split.key)
            parts = read_tables(self._store, champion.snapshot, channels, key, warehouse=self._warehouse)
        except NotFoundError:
            return every, "The champion's training rows are gone; the same rule held these rows out of them."
        trained = {key for part in parts for key in _keys(part, split)}
        unseen = np.array([key not in trained for key in _keys(held_out, split)], dtype=bool)
        if unseen.all():
            return unseen, "None of these keys is among the champion's training rows."
        return unseen, f"{int((~unseen).sum())} held-out rows have keys the champion was trained on; they are left out."


def _older(challenger: Manifest, champion: Manifest, held_out: pa.Table, snapshot: FeatureSnapshot) -> str:
    """Why a candidate of a past that was asked for cannot follow the champion; empty where it can."""
    ours, theirs, column = challenger.trained_to, champion.trained_to, snapshot.window_column
    if "as_of" not in snapshot.parameters or column not in held_out.column_names or ours is None or theirs is None:
        return ""
    import pyarrow as pa

    kind = held_out.column(column).type
    if pa.scalar(ours).cast(kind).as_py() >= pa.scalar(theirs).cast(kind).as_py():
        return ""
    return (
        f"But its rows, asked for as of {snapshot.parameters['as_of']}, end at {ours}, and the champion's at {theirs}: "
        "held-out rows of the past say nothing of those between, so that it stays a candidate."
    )


def _keys(table: pa.Table, split: HashSplit) -> list[tuple[Any, ...]]:
    return list(zip(*(table.column(name).to_pylist() for name in split.key), strict=True))


def _truth(table: pa.Table, target: str, classes: tuple[str, ...]) -> npt.NDArray[np.float64]:
    import numpy as np

    values = table.column(target).to_pylist()
    if not classes:
        return np.array(values, dtype=np.float64)
    index = {name: float(place) for place, name in enumerate(classes)}
    return np.array([index[str(v).lower() if isinstance(v, bool) else str(v)] for v in values])


def _aligned(
    scores: npt.NDArray[np.float64], theirs: tuple[str, ...], ours: tuple[str, ...]
) -> npt.NDArray[np.float64]:
    """The champion's probabilities in the challenger's order of classes; one it does not know gets none."""
    import numpy as np

    if theirs == ours:
        return scores
    place = {name: i for i, name in enumerate(theirs)}
    nothing = np.full(len(scores), np.finfo(np.float64).tiny)
    return np.column_stack([scores[:, place[name]] if name in place else nothing for name in ours])
