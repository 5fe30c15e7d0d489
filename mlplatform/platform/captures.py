"""Which capture an endpoint has: the gateway's, or that of who serves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlplatform.core.codecs import RequestFields
from mlplatform.core.packages.manifest import read_package
from mlplatform.ports.endpoints import Deployment, SelfServing
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.stations.capture import Capture

if TYPE_CHECKING:
    from mlplatform.platform.root import Platform


def capture_of(platform: Platform, system: str, spec: EndpointSpec) -> Capture:
    """Moves what was captured of the system's endpoint `spec` to landing objects.

    Where another service serves, what it captured is looked for also while the gateway is the one to capture: the profile may
    have said otherwise before, and the service goes on until the endpoint's next deployment.
    """
    endpoints, spool = platform.endpoints, platform.home.capture
    if not isinstance(endpoints, SelfServing):
        return Capture(platform.store, spool, spec, system=system)
    from mlplatform.stations.service_capture import LEFT_LOOK_S, LOOK_S, ServiceCapture

    name = f"{system}/{spec.name}"

    def fields(deployment: Deployment) -> RequestFields:
        package = platform.tracking.package(deployment.model, deployment.digest)
        settings = EndpointSpec.model_validate(dict(deployment.settings))
        return RequestFields(read_package(package).signature.inputs, tuple(settings.keys), settings.max_rows)

    return ServiceCapture(
        platform.store,
        spool,
        spec,
        system=system,
        prefix=endpoints.captured_prefix(name),
        history=lambda: endpoints.history(name),
        fields=fields,
        look_s=LOOK_S if endpoints.captures else LEFT_LOOK_S,
    )
