"""SystemSpec: one system's YAML as a single object whose parts are checked against each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from mlplatform.errors import NotFoundError
from mlplatform.spec.capture_masks import check_joined
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.fault import Fault
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.model import ModelSpec
from mlplatform.spec.monitor import MonitorSpec
from mlplatform.spec.notification import NotifySpec
from mlplatform.spec.personal import personal_outputs
from mlplatform.spec.personal_faults import personal_faults
from mlplatform.spec.refresh import RefreshSpec
from mlplatform.spec.station import StationSpec
from mlplatform.spec.stream import StreamSpec
from mlplatform.spec.table import TableSpec

SPECS: dict[str, type[StationSpec]] = {
    "mlplatform.Stream": StreamSpec,
    "mlplatform.Table": TableSpec,
    "mlplatform.FeatureSet": FeatureSetSpec,
    "mlplatform.Model": ModelSpec,
    "mlplatform.Endpoint": EndpointSpec,
    "mlplatform.Monitor": MonitorSpec,
    "mlplatform.Refresh": RefreshSpec,
    "mlplatform.Notify": NotifySpec,
}
"""Component type, as written in `defs.yaml`, to the spec of its attributes."""

S = TypeVar("S", bound=StationSpec)


@dataclass(frozen=True)
class SystemSpec:
    """All stations of one system; `folder` is where its `defs.yaml` and SQL files lie."""

    name: str
    folder: Path
    stations: tuple[StationSpec, ...] = field(default=())

    def all(self, kind: type[S]) -> tuple[S, ...]:
        """Stations of one kind, in the order of the file."""
        return tuple(s for s in self.stations if isinstance(s, kind))

    def get(self, kind: type[S], name: str) -> S:
        """The station of that kind and name. Raises NotFoundError with those that are there."""
        for station in self.all(kind):
            if station.name == name:
                return station
        there = ", ".join(s.name for s in self.all(kind)) or "none"
        raise NotFoundError(
            f"System '{self.name}' has no {_word(kind)} '{name}'; it has: {there}.",
            next_step="Name one of these." if self.all(kind) else f"Declare one in '{self.folder.name}/defs.yaml'.",
        )

    def query(self, features: FeatureSetSpec) -> str:
        """The text of a feature set's query file."""
        return (self.folder / features.query).read_text("utf-8")

    @property
    def is_personal(self) -> bool:
        """Whether a table has a personal column."""
        return any(table.schema_().personal for table in self.all(TableSpec))

    def personal(self, features: FeatureSetSpec) -> frozenset[str]:
        """Columns of a feature set's query that are made of personal ones, and not said to be anonymous."""
        if not self.is_personal:
            return frozenset()
        return personal_outputs(self.query(features), self.all(TableSpec)) - set(features.anonymous)

    def faults(self) -> Iterator[Fault]:
        """What the stations say of each other that does not hold."""
        yield from _doubled_names(self)
        for table in self.all(TableSpec):
            yield from _check_table(self, table)
        for features in self.all(FeatureSetSpec):
            yield from _check_features(self, features)
        for model in self.all(ModelSpec):
            yield from _check_model(self, model)
        for endpoint in self.all(EndpointSpec):
            yield from _check_endpoint(self, endpoint)
        for monitor in self.all(MonitorSpec):
            yield from _check_monitor(self, monitor)
        for refresh in self.all(RefreshSpec):
            yield from _check_refresh(self, refresh)
        if self.is_personal:
            yield from personal_faults(self)


def _word(kind: type[StationSpec]) -> str:
    return {spec: name for name, spec in SPECS.items()}[kind]


def _names(system: SystemSpec, kind: type[StationSpec]) -> list[str]:
    return [s.name for s in system.all(kind)]


def _refers(
    system: SystemSpec, station: StationSpec, kind: type[StationSpec], name: str, *path: str | int
) -> Iterator[Fault]:
    names = _names(system, kind)
    if name not in names:
        there = ", ".join(names) or "none"
        yield Fault(station.name, path, f"no {_word(kind)} is called '{name}'; this system has: {there}")


def _doubled_names(system: SystemSpec) -> Iterator[Fault]:
    seen: set[str] = set()
    for station in system.stations:
        if station.name in seen:
            yield Fault(station.name, ("name",), f"two stations are called '{station.name}'; names are asset keys")
        seen.add(station.name)


def _check_table(system: SystemSpec, table: TableSpec) -> Iterator[Fault]:
    columns = [c.name for c in table.columns]
    for index, source in enumerate(table.sources):
        if source.stream is None:
            continue
        yield from _refers(system, table, StreamSpec, source.stream, "sources", index, "stream")
        for stream in system.all(StreamSpec):
            if stream.name == source.stream and stream.partition_key not in columns:
                yield Fault(
                    stream.name,
                    ("partition_key",),
                    f"table '{table.name}' has no column '{stream.partition_key}'; it has: {', '.join(columns)}",
                )


def _check_features(system: SystemSpec, features: FeatureSetSpec) -> Iterator[Fault]:
    yield from _refers(system, features, TableSpec, features.table, "table")
    path = system.folder / features.query
    if not path.is_file():
        yield Fault(features.name, ("query",), f"there is no file '{features.query}' beside the YAML")
        return
    outputs, problem = query_outputs(path.read_text("utf-8"))
    if problem:
        yield Fault(features.name, ("query",), f"'{features.query}': {problem}")
        return
    wanted: list[tuple[tuple[str | int, ...], str]] = [(("target",), features.target)]
    wanted += [(("features", i, "name"), f.name) for i, f in enumerate(features.features)]
    wanted += [(("split", "key", i), key) for i, key in enumerate(features.split.key)]
    wanted += [(("anonymous", i), name) for i, name in enumerate(features.anonymous)]
    if features.window:
        wanted.append((("window", "column"), features.window.column))
    for where, name in wanted:
        if outputs and name not in outputs:
            yield Fault(
                features.name, where, f"'{features.query}' selects no column '{name}'; it selects: {', '.join(outputs)}"
            )


def query_outputs(sql: str) -> tuple[list[str], str]:
    """Names of the columns a feature query selects, or ([], why it is no such query); ([], "") where ``*`` hides them."""
    import sqlglot
    from sqlglot import exp

    try:
        statements = [s for s in sqlglot.parse(sql, read="duckdb") if s is not None]
    except sqlglot.ParseError as error:
        return [], f"not readable as SQL: {str(error).splitlines()[0]}"
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        return [], "expected exactly one SELECT"
    names = statements[0].named_selects
    if "*" in names:
        return [], ""
    return names, ""


def _check_model(system: SystemSpec, model: ModelSpec) -> Iterator[Fault]:
    yield from _refers(system, model, FeatureSetSpec, model.features, "features")
    regression = model.gate.metric in ("r2", "rmse", "mae")
    if regression != (model.task == "regression"):
        yield Fault(model.name, ("gate", "metric"), f"metric '{model.gate.metric}' does not fit task '{model.task}'")
    for features in system.all(FeatureSetSpec):
        path = system.folder / features.query
        if features.name != model.features or not path.is_file():
            continue
        outputs, _ = query_outputs(path.read_text("utf-8"))
        wanted: list[tuple[tuple[str | int, ...], str]] = [
            (("gate", "segments", i), name) for i, name in enumerate(model.gate.segments)
        ]
        if model.gate.by:
            wanted.append((("gate", "by"), model.gate.by))
        for where, name in wanted:
            if outputs and name not in outputs:
                yield Fault(
                    model.name,
                    where,
                    f"'{features.query}' selects no column '{name}'; it selects: {', '.join(outputs)}",
                )


def _check_endpoint(system: SystemSpec, endpoint: EndpointSpec) -> Iterator[Fault]:
    yield from _refers(system, endpoint, ModelSpec, endpoint.model, "model")
    first = next(e for e in system.all(EndpointSpec) if e.model == endpoint.model)
    if first is not endpoint:
        why = f"endpoint '{first.name}' serves model '{endpoint.model}' already: a model's champion is what one endpoint serves"
        yield Fault(endpoint.name, ("model",), f"{why}; give each endpoint a model of its own")
    models = {m.name: m for m in system.all(ModelSpec)}
    sets = {f.name: f for f in system.all(FeatureSetSpec)}
    model = models.get(endpoint.model)
    if model is None or model.features not in sets:
        return
    known = [f.name for f in sets[model.features].features] + list(endpoint.keys)
    for field_name in ("mask", "drop", "keep"):
        for index, name in enumerate(getattr(endpoint.capture, field_name)):
            if name not in known:
                yield Fault(
                    endpoint.name,
                    ("capture", field_name, index),
                    f"no request field is called '{name}'; there are: {', '.join(known)}",
                )


def _check_monitor(system: SystemSpec, monitor: MonitorSpec) -> Iterator[Fault]:
    yield from _refers(system, monitor, EndpointSpec, monitor.endpoint, "endpoint")
    yield from _refers(system, monitor, TableSpec, monitor.table, "table")
    for table in system.all(TableSpec):
        columns = [c.name for c in table.columns]
        if table.name == monitor.table and monitor.window.column not in columns:
            yield Fault(
                monitor.name,
                ("window", "column"),
                f"table '{table.name}' has no column '{monitor.window.column}'; it has: {', '.join(columns)}",
            )
    if monitor.retrain and monitor.endpoint not in [r.endpoint for r in system.all(RefreshSpec)]:
        why = f"no mlplatform.Refresh has endpoint '{monitor.endpoint}', so that nothing would answer the requests"
        yield Fault(monitor.name, ("retrain",), why)
    for endpoint in system.all(EndpointSpec):
        if endpoint.name == monitor.endpoint:
            yield from _check_window(system, monitor, endpoint)
            if monitor.quality and monitor.quality.predictions == "captured":
                yield from _check_captured(monitor, endpoint)
                yield from check_joined(system, monitor, endpoint)


def _check_window(system: SystemSpec, monitor: MonitorSpec, endpoint: EndpointSpec) -> Iterator[Fault]:
    """A monitor's windows begin where the model's training rows end, so both are over one column."""
    models = {m.name: m.features for m in system.all(ModelSpec)}
    for features in system.all(FeatureSetSpec):
        if features.name != models.get(endpoint.model):
            continue
        if features.window is None:
            why = f"windows begin behind the training rows, and feature set '{features.name}' has no window to tell their end"
            yield Fault(monitor.name, ("window",), why)
        elif features.window.column != monitor.window.column:
            why = f"expected '{features.window.column}', the window column of feature set '{features.name}'"
            yield Fault(monitor.name, ("window", "column"), f"{why}, found '{monitor.window.column}'")


def _check_refresh(system: SystemSpec, refresh: RefreshSpec) -> Iterator[Fault]:
    if refresh.endpoint is not None:
        yield from _refers(system, refresh, EndpointSpec, refresh.endpoint, "endpoint")
    if refresh.model is not None:
        yield from _refers(system, refresh, ModelSpec, refresh.model, "model")
        for endpoint in system.all(EndpointSpec):
            if endpoint.model == refresh.model:
                why = f"endpoint '{endpoint.name}' serves model '{refresh.model}'; write 'endpoint: {endpoint.name}' instead"
                yield Fault(refresh.name, ("model",), why)
                break


def _check_captured(monitor: MonitorSpec, endpoint: EndpointSpec) -> Iterator[Fault]:
    where = ("quality", "predictions")
    if not endpoint.keys:
        why = f"captured predictions are joined by the endpoint's keys, and endpoint '{endpoint.name}' has none"
        yield Fault(monitor.name, where, why)
