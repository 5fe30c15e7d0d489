"""One model package in SageMaker's serving contract: ``GET /ping``, ``POST /invocations``, ``GET /execution-parameters``.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html

A call is answered as the gateway answers it, by the same code: JSON or CSV, the same checks, the same errors. Who may call is
SageMaker's to say, and who captures too. What it serves as, stands in the deployment record that the environment carries
(`core.rollout.variables`); without one it is generation 1 of an endpoint named after the model.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mlplatform.core.features.fitted import read_transforms
from mlplatform.core.packages.manifest import read_package
from mlplatform.core.rollout.variables import of_variables
from mlplatform.errors import NotFoundError, PlatformError, ProfileError, StateError, exit_code
from mlplatform.gateway.main import run
from mlplatform.gateway.predict import INVOCATIONS, Predict, Receive, Scope, Send
from mlplatform.ports.endpoints import Deployment
from mlplatform.serving.served_model import ServedModel, endpoint_spec, example_row

if TYPE_CHECKING:
    from mlplatform.ports.runtimes import Runtimes

DRAIN_S = 25
"""SageMaker waits 30 s between SIGTERM and SIGKILL."""
AT_ONCE, PAYLOAD_MIB = 4, 6
"""What a batch transform is advised: calls at once, MiB of one call's body."""


class OneModel:
    """All that a container serves."""

    def __init__(self, served: ServedModel) -> None:
        self._served = served

    def get(self, route: str) -> ServedModel:
        """The model by its name, with or without the system's. Raises NotFoundError."""
        if route in (self._served.name, self._served.spec.name):
            return self._served
        raise NotFoundError(
            f"No endpoint '{route[:120]}' is served here; there is: {self._served.spec.name}.",
            next_step="Correct the route, or call /invocations.",
        )

    def only(self) -> ServedModel:
        """The model."""
        return self._served


class Container:
    """ASGI: the routes of the contract."""

    def __init__(self, served: ServedModel) -> None:
        self._predict = Predict(OneModel(served), None, None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = scope["path"]
        if path == INVOCATIONS:
            await self._predict(scope, receive, send)
        elif path == "/ping":
            await _say(send, 200, b"")
        elif path == "/execution-parameters":
            advice = {
                "MaxConcurrentTransforms": AT_ONCE,
                "BatchStrategy": "MULTI_RECORD",
                "MaxPayloadInMB": PAYLOAD_MIB,
            }
            await _say(send, 200, json.dumps(advice).encode())
        else:
            await _say(send, 404, b"")


async def _say(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def load(package: Path, env: Mapping[str, str], runtimes: Runtimes) -> ServedModel:
    """The model of the package, as the record in `env` says it is served.

    Raises:
        StateError: the package is damaged, or not the one that the record names; the record cannot be read.
    """
    deployment = _deployment(package, env)
    spec = endpoint_spec(deployment)
    untold = bool(spec.capture.mask or spec.capture.drop)
    model = runtimes.load(package, digest=deployment.digest, masked=untold)
    example = example_row(model.manifest.signature.inputs, read_transforms(package))
    model.predict_rows([example])
    return ServedModel(deployment, model, spec, example)


def _deployment(package: Path, env: Mapping[str, str]) -> Deployment:
    text = of_variables(env)
    if text:
        try:
            return Deployment(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise StateError(
                f"The deployment record in the environment is damaged: {error}.",
                next_step="Deploy the endpoint again, which writes it anew.",
            ) from error
    manifest = read_package(package)
    name = manifest.model.rpartition(".")[2]
    return Deployment(
        endpoint=manifest.model.replace(".", "/"),
        generation=1,
        model=manifest.model,
        version=1,
        digest=manifest.digest,
        reason="no deployment record",
        run_id="",
        created_at="",
        settings={"name": name, "model": name},
    )


def main(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Serve until SIGTERM; SageMaker calls it with ``serve``. Returns an exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m mlplatform.gateway.container", description="Serve one model package."
    )
    parser.add_argument("verb", choices=["serve"], nargs="?", help="as SageMaker says it")
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104 - of a container
    arguments = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        _serve(env, arguments.host)
    except PlatformError as error:
        print(f"container: {error.message} {error.next_step}", file=sys.stderr, flush=True)
        return exit_code(error)
    return 0


def _serve(env: Mapping[str, str], host: str) -> None:
    from mlplatform.adapters.runtimes import PackageRuntimes
    from mlplatform.serving.listening import listen

    if not env.get("SM_MODEL_DIR"):
        raise ProfileError(
            "Environment variable SM_MODEL_DIR is not set.", next_step="Name the package's folder by it."
        )
    port = env.get("SAGEMAKER_BIND_TO_PORT") or "8080"
    if not port.isdigit():
        raise ProfileError(
            f"SAGEMAKER_BIND_TO_PORT: expected a port, found '{port}'.",
            next_step="Set it to a number from 1 to 65535, or leave it out for 8080.",
        )
    served = load(Path(env["SM_MODEL_DIR"]), env, PackageRuntimes())
    logging.getLogger(__name__).info(
        "serves %s generation %d, version %d", served.name, served.deployment.generation, served.deployment.version
    )
    run(Container(served), listen(host, int(port)), lifespan="off", drain_s=DRAIN_S)


if __name__ == "__main__":
    import os

    sys.exit(main(sys.argv[1:], os.environ))
