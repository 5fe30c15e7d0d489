"""A model's container as a process of this machine: ``<image> serve`` on a free port, with the model unpacked beside it.

Where SageMaker has ``/opt/ml``, the process finds its tree by SAGEMAKER_BASE_DIR and SM_MODEL_DIR.
"""

from __future__ import annotations

import http.client
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlplatform.adapters.compute.container import Container, find_container
from mlplatform.adapters.compute.host_tree import INHERITED
from mlplatform.adapters.compute.process import start, sweep
from mlplatform.adapters.containers.environments import Environments
from mlplatform.errors import NotFoundError, PlatformError
from mlplatform.spec.home import cache_path
from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.servers.sagemaker.account import REGION, Account
from mlplatform_tests.servers.sagemaker.buckets import buckets_of, key_of
from mlplatform_tests.servers.sagemaker.images import container_name

LONGEST_ANSWER_S = 60.0
_LOOK_S = 0.05


class NotServedError(Exception):
    """Why a model cannot be served, in SageMaker's words."""


@dataclass(frozen=True)
class Answered:
    """What the container answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class ModelServer:
    """One container. It runs from `begin` to `end`, and no longer than this process.

    `given`: its part of CreateModel. `folder`: takes its tree and log. `variables`: further ones of its environment.
    """

    def __init__(
        self, account: Account, given: Mapping[str, Any], folder: Path, variables: Mapping[str, str] | None = None
    ) -> None:
        self.log = folder / "container.log"
        self._account = account
        self._given = given
        self._folder = folder
        self._variables = dict(variables or {})
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._begun, self._end = threading.Event(), threading.Event()

    def begin(self) -> None:
        """Fetch the model and start the process. Raises NotServedError."""
        model = self._folder / "opt" / "ml" / "model"
        model.mkdir(parents=True, exist_ok=True)
        url = self._given.get("ModelDataUrl", "")
        if url:
            self._unpack(url, model)
        container = self._container()
        command, environment = self._command(container), self._environment(model)
        # The kernel ends the process with the thread that started it: that one has to stay.
        threading.Thread(target=self._hold, args=(command, container.folder, environment), daemon=True).start()
        self._begun.wait()

    def await_ready(self, timeout_s: float, *, given_up: Callable[[], bool] = lambda: False) -> None:
        """Return when it answers /ping, or nobody waits for it any more. Raises NotServedError where it does not in time, or
        has ended."""
        deadline = time.monotonic() + timeout_s
        while not given_up() and self.ask("GET", "/ping", timeout_s=2.0).status != 200:
            process = self._process
            if time.monotonic() > deadline or process is None or process.poll() is not None:
                end = self.log.read_text(errors="replace")[-400:].strip() if self.log.exists() else ""
                raise NotServedError(
                    "The primary container for production variant did not pass the ping health check. "
                    f"Please check CloudWatch logs for this endpoint. {end}"
                )
            time.sleep(_LOOK_S)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float = LONGEST_ANSWER_S,
    ) -> Answered:
        """The container's answer; status 0 where there was none: `body` then says ``timed out`` or ``gone``."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout_s)
        try:
            connection.request(method, path, body or None, dict(headers or {}))
            found = connection.getresponse()
            return Answered(found.status, {k.lower(): v for k, v in found.getheaders()}, found.read())
        except TimeoutError:
            return Answered(0, {}, b"timed out")
        except (OSError, http.client.HTTPException):
            return Answered(0, {}, b"gone")
        finally:
            connection.close()

    def end(self) -> None:
        """SIGTERM, and SIGKILL after the grace."""
        self._end.set()

    def _hold(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        self._process = process = start(command, folder=folder, environment=environment, log=self.log)
        self._begun.set()
        while not self._end.wait(_LOOK_S) and process.poll() is None:
            pass
        process.terminate()
        try:
            process.wait(self._account.grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        sweep(process.pid)

    def _unpack(self, url: str, target: Path) -> None:
        try:
            with (
                buckets_of(self._account).open(key_of(url)) as stream,
                tarfile.open(fileobj=stream, mode="r|gz") as found,
            ):
                found.extractall(target, filter="data")
        except (NotFoundError, tarfile.TarError) as error:
            raise NotServedError(
                f"Failed to download model data for container from URL: {url}. Please ensure that there is an object located "
                f"at the URL and that the role passed to CreateModel has permissions to download the object. ({error})"
            ) from error

    def _container(self) -> Container:
        name = container_name(self._given.get("Image", ""))
        try:
            return find_container(name, self._account.containers, for_jobs=False)
        except PlatformError as error:
            raise NotServedError(f"The image '{self._given.get('Image')}' does not exist. ({error})") from error

    def _command(self, container: Container) -> list[str]:
        command = [*container.command, "serve"]
        if container.lock is not None:
            environments = Environments(cache_path(self._account.environment))
            command[0] = str(environments.python(container.lock, what=f"Container '{container.folder.name}'"))
            self._variables |= environments.variables()
        return command

    def _environment(self, model: Path) -> dict[str, str]:
        account = self._account
        inherited = {name: account.environment[name] for name in INHERITED if name in account.environment}
        return {
            **inherited,
            "AWS_REGION": REGION,
            "SAGEMAKER_BIND_TO_PORT": str(self._port),
            "SAGEMAKER_SAFE_PORT_RANGE": f"{self._port}-{self._port}",
            "SAGEMAKER_BASE_DIR": str(self._folder / "opt" / "ml"),
            "SM_MODEL_DIR": str(model),
            **self._given.get("Environment", {}),
            **self._variables,
        }
