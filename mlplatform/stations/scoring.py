"""Batch scoring: a set of rows unloaded, each answered by a registered model, and its answer stored under the row's key.

scoring/<system>/<model>/builds/<build>/…   the unloaded rows
scoring/<system>/<model>/<id>/input/…       the same as the model takes them, and output/…: with its answers
scoring/<system>/<model>/<id>/done.json     what was scored; written last, and all but this is taken away then
scores/<system>/<model>/<id>/…              keys and answers, Parquet

The id is a hash of the rows, their keys and the model: the same again are not scored again.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlplatform.core.features.unload_sql import no_rows_query, score_query
from mlplatform.errors import DataError, NotFoundError, SpecError, StateError
from mlplatform.ports.endpoints import Endpoints
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.tracking import ModelVersion, Tracking
from mlplatform.ports.transform import Transformed, Transforms, TransformSpec
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.model import ModelSpec
from mlplatform.stations.champion_version import champion_of
from mlplatform.stations.job_names import job_base
from mlplatform.stations.scoring_rows import InputPart, join_answers, write_inputs

if TYPE_CHECKING:
    from mlplatform.core.packages.manifest import Signature

TIMEOUT_S = 6 * 3600


@dataclass(frozen=True)
class Scored:
    """Rows that were scored. `prefix`: of the objects with keys and answers; `flagged`: rows whose answer has a flag.

    `transform`, `machine`, `billable_s`: what did it, and what is paid for it.
    """

    id: str
    model: str
    version: int
    digest: str
    keys: tuple[str, ...]
    rows: int
    flagged: int
    prefix: str
    transform: str
    machine: str
    billable_s: int | None
    engine_version: str | None
    scored_at: str


class Scoring:
    """Scores rows with versions of one model.

    `query`: the feature set's, which has the model's inputs; `unique_key`: its table's. `endpoint`: ``<system>/<endpoint>`` that serves it, or None.
    `personal`: columns whose values are laid nowhere beside the answers.
    """

    def __init__(
        self,
        transforms: Transforms,
        tracking: Tracking,
        endpoints: Endpoints,
        store: ObjectStore,
        warehouse: Warehouse,
        model: ModelSpec,
        *,
        system: str,
        query: str,
        unique_key: Sequence[str] = (),
        endpoint: str | None = None,
        personal: frozenset[str] = frozenset(),
    ) -> None:
        self._transforms = transforms
        self._tracking = tracking
        self._endpoints = endpoints
        self._store = store
        self._warehouse = warehouse
        self._query = query
        self._unique_key = tuple(unique_key)
        self._endpoint = endpoint
        self._personal = personal
        self._system = system
        self._model = model.name
        self._prefix = f"scoring/{system}/{model.name}/"
        self.name = f"{system}.{model.name}"

    def score(
        self,
        now: datetime,
        keys: Sequence[str] | None = None,
        *,
        where: str = "",
        version: int | None = None,
        timeout_s: int = TIMEOUT_S,
        on_log: Callable[[str], None] | None = None,
    ) -> Scored:
        """Score the rows of the query that `where` holds for, by `version` (default: the champion).

        `keys`: columns that tell rows apart; default: the table's unique key.

        Raises:
            NotFoundError: no such version. SpecError: no key, or one that is personal.
            DataError: there is no row; a column is not there; a key is not there or not unique; a row does not fit the model's signature.
            StateError: not every row has its answer.
        """
        from mlplatform.core.packages.manifest import read_package

        keys = tuple(keys or self._unique_key)
        chosen = self._version(version)
        self._check(keys)
        package = self._tracking.package(self.name, chosen.digest)
        signature = read_package(package, digest=chosen.digest).signature
        inputs = [field.name for field in signature.inputs]
        self._check_columns([*keys, *inputs])
        build = f"{self._prefix}builds/{now:%Y%m%dT%H%M%S%f}/"
        sql = score_query(self._query, columns=[*keys, *(n for n in inputs if n not in keys)], where=where, order=keys)
        unloaded = self._warehouse.unload({build: sql}, self._store)[build]
        try:
            with tempfile.TemporaryDirectory() as scratch:
                parts = write_inputs(self._store, unloaded.parts, Path(scratch), signature=signature, keys=keys)
                key = self._id(chosen, keys, parts)
                done = self._done(key)
                if done is not None:
                    return done
                transformed = self._transformed(key, chosen, package, keys, parts, timeout_s, on_log)
                return self._finished(key, chosen, keys, parts, signature, transformed, unloaded.engine_version, now)
        finally:
            self._clear(build)

    def _version(self, wanted: int | None) -> ModelVersion:
        if wanted is None:
            found = champion_of(self._endpoints, self._tracking, model=self.name, endpoint=self._endpoint)
            if found is None:
                raise NotFoundError(
                    f"Model '{self.name}' has no champion to score with.",
                    next_step="Deploy or promote a version, or name one that is registered.",
                )
            return found
        versions = self._tracking.versions(self.name)
        for each in versions:
            if each.version == wanted:
                return each
        there = ", ".join(str(v.version) for v in versions) or "none"
        raise NotFoundError(
            f"Model '{self.name}' has no version {wanted}; it has: {there}.", next_step="Name one of those."
        )

    def _check(self, keys: Sequence[str]) -> None:
        if not keys or len(set(keys)) < len(keys):
            raise SpecError(
                f"Scores of '{self.name}' are stored under a key; found: {', '.join(keys) or 'none'}.",
                next_step="Name the columns that tell rows apart, each once.",
            )
        personal = [key for key in keys if key in self._personal]
        if personal:
            raise SpecError(
                f"Key '{personal[0]}' is personal: its values would lie beside the scores, where no erasure reaches them.",
                next_step="Name other columns, or select a hash of it in the feature set's query.",
            )

    def _check_columns(self, names: Sequence[str]) -> None:
        there = self._warehouse.query(no_rows_query(self._query)).column_names
        for name in names:
            if name not in there:
                raise DataError(
                    f"The feature set's query has no column '{name}'; it has: {', '.join(there)}.",
                    next_step="Select it there, or name another key.",
                )

    def _id(self, version: ModelVersion, keys: Sequence[str], parts: Sequence[InputPart]) -> str:
        content: list[object] = [version.digest, list(keys), [part.sha256 for part in parts]]
        if self._transforms.shared:
            content.append(self._store.url(""))
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]

    def _done(self, key: str) -> Scored | None:
        path = f"{self._prefix}{key}/done.json"
        if self._store.head(path) is None:
            return None
        with self._store.open(path) as stream:
            found = json.loads(stream.read())
        return Scored(**{**found, "keys": tuple(found["keys"])})

    def _transformed(
        self,
        key: str,
        version: ModelVersion,
        package: Path,
        keys: Sequence[str],
        parts: Sequence[InputPart],
        timeout_s: int,
        on_log: Callable[[str], None] | None,
    ) -> Transformed:
        prefix = f"{self._prefix}{key}/"
        for part in parts:
            self._store.put(f"{prefix}input/{part.name}", part.path)
        base = f"{job_base(self._system, self._model)}-{key}"
        spec = TransformSpec(
            name=base,
            model=self.name,
            version=version.version,
            digest=version.digest,
            package=package,
            keys=tuple(keys),
            input_prefix=f"{prefix}input/",
            output_prefix=f"{prefix}output/",
            timeout_s=timeout_s,
            tags={"system": self._system, "model": self._model},
        )
        names = (f"{base}-s{attempt}" for attempt in itertools.count(1))
        open_ = (name for name in names if not self._transforms.failed(name))
        done = self._transforms.run(replace(spec, name=next(open_)), on_log=on_log)
        if self._left(prefix) or self._done(key) is not None:
            return done
        # It was done once, and what it left is gone: that of a runner that died, say, after a week.
        return self._transforms.run(replace(spec, name=next(open_)), on_log=on_log)

    def _left(self, prefix: str) -> set[str]:
        """What a transform left."""
        return {info.key for info in self._store.list(f"{prefix}output/")}

    def _finished(
        self,
        key: str,
        version: ModelVersion,
        keys: Sequence[str],
        parts: Sequence[InputPart],
        signature: Signature,
        transformed: Transformed,
        engine_version: str | None,
        now: datetime,
    ) -> Scored:
        prefix, scores, flagged = f"{self._prefix}{key}/", f"scores/{self._system}/{self._model}/{key}/", 0
        outputs = self._left(prefix)
        known = self._done(key)
        if known is not None:
            return known  # by another, who was faster
        expected = {f"{prefix}output/{part.name}.out" for part in parts}
        if outputs != expected:
            raise StateError(
                f"Transform '{transformed.name}' left {len(outputs)} objects under '{prefix}output/'; expected: {len(expected)}.",
                next_step=f"Its log is '{transformed.log_path}'.",
            )
        told = {"model_version": version.version, "digest": version.digest}
        for part in parts:
            flagged += join_answers(
                self._store,
                part,
                f"{prefix}output/{part.name}.out",
                f"{scores}{part.path.stem}.parquet",
                signature=signature,
                keys=keys,
                constants=told,
            )
        done = Scored(
            id=key,
            model=self.name,
            version=version.version,
            digest=version.digest,
            keys=tuple(keys),
            rows=sum(part.rows for part in parts),
            flagged=flagged,
            prefix=scores,
            transform=transformed.name,
            machine=transformed.machine,
            billable_s=transformed.billable_s,
            engine_version=engine_version,
            scored_at=now.isoformat(),
        )
        self._store.put(f"{prefix}done.json", json.dumps(asdict(done), sort_keys=True).encode())
        self._clear(f"{prefix}input/", f"{prefix}output/")
        return done

    def _clear(self, *prefixes: str) -> None:
        for prefix in prefixes:
            for info in list(self._store.list(prefix)):
                self._store.delete(info.key)
