"""One generation in memory: model, limits and everything of the answer that does not depend on the request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from pydantic import ValidationError

from mlplatform.core.codecs import RequestFields
from mlplatform.errors import StateError
from mlplatform.serving.forwarded_model import ForwardedModel
from mlplatform.serving.model_threads import ModelThreads
from mlplatform.spec.endpoint import EndpointSpec

if TYPE_CHECKING:
    from mlplatform.core.features.fitted import FittedField
    from mlplatform.core.packages.manifest import InputField, Manifest
    from mlplatform.ports.endpoints import Deployment
    from mlplatform.ports.runtimes import LoadedModel

VARIANT = "main"


@dataclass(frozen=True, eq=False)
class ServedModel:
    """A loaded generation; immutable, so that a request that holds it is answered by it alone.

    `example` is a row that fits the signature, for the docs and to warm up; `identity` is what each captured line says of
    the generation, as members of a JSON object. `threads` ask a model that another process holds; None = it is asked here. `forwarded`: the model, where another
    service holds it.
    """

    deployment: Deployment
    model: LoadedModel
    spec: EndpointSpec
    example: Mapping[str, Any]
    fields: RequestFields = field(init=False)
    envelope: msgspec.Raw = field(init=False)
    identity: bytes = field(init=False)
    id_prefix: str = field(init=False)
    headers: tuple[tuple[bytes, bytes], ...] = field(init=False)
    max_body_bytes: int = field(init=False)
    threads: ModelThreads | None = field(init=False)
    forwarded: ForwardedModel | None = field(init=False)

    def __post_init__(self) -> None:
        d, spec = self.deployment, self.spec
        forwarded = self.model if isinstance(self.model, ForwardedModel) else None
        fixed: dict[str, Any] = {
            "fields": RequestFields(
                self.manifest.signature.inputs, tuple(spec.keys), spec.max_rows, _untold(spec, self.manifest)
            ),
            "envelope": msgspec.Raw(
                msgspec.json.encode({"name": d.model, "version": d.version, "generation": d.generation})
            ),
            "identity": _members(
                endpoint=d.endpoint, variant=VARIANT, generation=d.generation, version=d.version, digest=d.digest
            ),
            "id_prefix": f"{spec.name}.g{d.generation}.{VARIANT}.",
            "headers": (
                (b"x-mlplatform-generation", str(d.generation).encode()),
                (b"x-mlplatform-model-version", str(d.version).encode()),
                (b"x-amzn-invoked-production-variant", VARIANT.encode()),
            ),
            "max_body_bytes": spec.max_body_kib * 1024,
            "threads": ModelThreads(self.model) if self.manifest.runtime == "process" and not forwarded else None,
            "forwarded": forwarded,
        }
        for name, value in fixed.items():
            object.__setattr__(self, name, value)

    def told_as(self, deployment: Deployment) -> ServedModel:
        """The same, as another generation of its endpoint: what an answer of that one is told and captured as."""
        if deployment is self.deployment:
            return self
        return ServedModel(deployment, self.model, endpoint_spec(deployment), self.example)

    @property
    def name(self) -> str:
        """``<system>/<endpoint>``."""
        return self.deployment.endpoint

    @property
    def manifest(self) -> Manifest:
        return self.model.manifest


def _untold(spec: EndpointSpec, manifest: Manifest) -> frozenset[str]:
    """Fields whose values no answer tells."""
    personal = [field_.name for field_ in manifest.signature.inputs if field_.personal]
    return frozenset([*personal, *spec.capture.mask, *spec.capture.drop])


def _members(**values: Any) -> bytes:
    return msgspec.json.encode(values)[1:-1]


def endpoint_spec(deployment: Deployment) -> EndpointSpec:
    """The endpoint's spec as frozen in the record. Raises StateError where this release cannot read it."""
    try:
        return EndpointSpec.model_validate(dict(deployment.settings))
    except ValidationError as error:
        where = ", ".join(".".join(map(str, e["loc"])) for e in error.errors())
        raise StateError(
            f"settings of generation {deployment.generation} of endpoint '{deployment.endpoint}' are not readable: {where}.",
            next_step="Deploy the version again.",
        ) from error


def example_row(inputs: Sequence[InputField], fitted: Sequence[FittedField]) -> dict[str, Any]:
    """A row that fits: the first category, some terms, the median, or the accepted number nearest to 0."""
    row: dict[str, Any] = {}
    for field_, learnt in zip(inputs, fitted, strict=True):
        if learnt.categories is not None:
            row[field_.name] = learnt.categories[0]
            continue
        if learnt.terms is not None:
            row[field_.name] = " ".join(learnt.terms[:3])
            continue
        value = 0.0 if learnt.median is None else learnt.median
        low = value if field_.minimum is None else max(value, field_.minimum)
        row[field_.name] = low if field_.maximum is None else min(low, field_.maximum)
    return row
