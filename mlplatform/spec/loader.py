"""Reads `defs/<system>/defs.yaml` without Dagster; an error names file, line, key path and what would be right."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from mlplatform.errors import NotFoundError, SpecError
from mlplatform.spec.capture_masks import with_masks
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.station import StationSpec
from mlplatform.spec.system import SPECS, SystemSpec
from mlplatform.spec.yaml_file import YamlFileError, read_documents

FILE_NAME = "defs.yaml"


def load_systems(defs: Path) -> dict[str, SystemSpec]:
    """Every system under `defs` (one folder each), by name.

    Raises:
        NotFoundError: there is no such folder.
        SpecError: a file is wrong, or two systems use one route.
    """
    if not defs.is_dir():
        raise NotFoundError(f"There is no folder of systems at '{defs}'.", next_step="Run 'mlplatform init NAME'.")
    systems = {path.parent.name: load_system(path) for path in sorted(defs.glob(f"*/{FILE_NAME}"))}
    routes: dict[str, str] = {}
    for system in systems.values():
        for endpoint in system.all(EndpointSpec):
            other = routes.setdefault(endpoint.name, system.name)
            if other != system.name:
                raise SpecError(
                    f"{system.folder / FILE_NAME}: endpoint '{endpoint.name}' has the route /predict/{endpoint.name}, "
                    f"which system '{other}' has already.",
                    next_step="Rename one of them.",
                )
    return systems


def load_system(path: Path) -> SystemSpec:
    """The system in one `defs.yaml`; its name is its folder's.

    Raises:
        SpecError: with every fault found, one a line: ``file:line: key.path: what, expected against found``.
    """
    try:
        documents = read_documents(path)
    except YamlFileError as error:
        raise SpecError(str(error), next_step="Correct it at that line.") from error
    faults: list[str] = []
    stations: list[StationSpec] = []
    places: dict[str, yaml.Node] = {}
    for node, document in documents:
        station = _station(path, node, document, faults)
        if station is not None:
            stations.append(station)
            places.setdefault(station.name, node)
    system = SystemSpec(path.parent.name, path.parent, tuple(stations))
    if not faults:
        faults += [
            _fault(path, places[f.station], ("attributes", *f.path), f"{f.message} (station '{f.station}')")
            for f in system.faults()
        ]
    if faults:
        raise SpecError(
            "\n".join(faults),
            next_step="Correct each at its line; mlplatform schema writes schemas that an editor checks while you type.",
        )
    return with_masks(system)


def fingerprint(system: SystemSpec) -> str:
    """Content id of a system's specs and query files (64 hex digits): what `mlplatform plan` compares."""
    digest = hashlib.sha256()
    for station in system.stations:
        digest.update(type(station).__name__.encode() + b"\x1f" + station.model_dump_json().encode())
    for path in sorted(system.folder.glob("*.sql")):
        digest.update(path.name.encode() + b"\x1f" + path.read_bytes())
    return digest.hexdigest()


def _station(path: Path, node: yaml.Node, document: Any, faults: list[str]) -> StationSpec | None:
    if not isinstance(document, dict) or "type" not in document:
        faults.append(_fault(path, node, (), "expected a document with 'type' and 'attributes'"))
        return None
    kind = document["type"]
    if not isinstance(kind, str) or not kind.startswith("mlplatform."):
        return None
    if kind not in SPECS:
        faults.append(_fault(path, node, ("type",), f"there is no '{kind}'{_nearest(kind, SPECS)}"))
        return None
    spec = SPECS[kind]
    try:
        return spec.model_validate(document.get("attributes") or {})
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            where = ("attributes", *problem["loc"])
            faults.append(_fault(path, node, where, _words(problem, spec)))
        return None


def _words(problem: Any, spec: type[BaseModel]) -> str:
    if problem["type"] == "extra_forbidden":
        fields = _fields_at(spec, problem["loc"][:-1])
        return f"there is no such key{_nearest(str(problem['loc'][-1]), fields)}"
    if problem["type"] == "missing":
        return "this key is required and missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return message
    return f"{message[0].lower()}{message[1:]}, found {problem['input']!r}"


def _fields_at(spec: type[BaseModel], loc: Iterable[str | int]) -> list[str]:
    """Field names of the model at `loc` below `spec`, found by walking the annotations."""
    model: type[BaseModel] = spec
    for step in loc:
        if isinstance(step, int) or step not in model.model_fields:
            continue
        inner = _models_in(model.model_fields[step].annotation)
        if not inner:
            return []
        model = inner[0]
    return list(model.model_fields)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for argument in getattr(annotation, "__args__", ()) for m in _models_in(argument)]


def _nearest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; there are: {', '.join(sorted(names))}" if names else ""


def _fault(path: Path, node: yaml.Node, where: tuple[str | int, ...], message: str) -> str:
    keys = "".join(f"[{w}]" if isinstance(w, int) else f".{w}" for w in where).lstrip(".")
    return f"{path}:{_line(node, where)}: {keys + ': ' if keys else ''}{message}"


def _line(node: yaml.Node, where: tuple[str | int, ...]) -> int:
    """Line (from 1) of the node at `where`, or of the nearest one above that exists."""
    line = node.start_mark.line
    for step in where:
        found = None
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == step:
                    found, line = value, key.start_mark.line
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            found = node.value[step]
            line = found.start_mark.line
        if found is None:
            break
        node = found
    return line + 1
