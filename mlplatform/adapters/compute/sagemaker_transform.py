"""Transforms as SageMaker's batch transform jobs, by the serving container (https://docs.aws.amazon.com/sagemaker/latest/dg/batch-transform.html).

A job is made once and found by its name (`sagemaker_jobs`); the model it asks is made before it, and deleted once it has ended.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mlplatform.adapters.compute.sagemaker_clients import SageMakerClients
from mlplatform.adapters.compute.sagemaker_errors import sagemaker_mapped, transform_failure_of
from mlplatform.adapters.compute.sagemaker_follow import follow
from mlplatform.adapters.compute.sagemaker_jobs import TRANSFORM, RemoteJobs
from mlplatform.adapters.compute.sagemaker_local import LocalCopies
from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
from mlplatform.adapters.compute.sagemaker_transform_request import model_request, transform_request
from mlplatform.adapters.endpoints.sagemaker_artifact import artifact_url, put_artifact
from mlplatform.errors import NotFoundError, PlatformError, UserError
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.transform import Transformed, TransformSpec

_EXISTS, _GONE = "already existing", "Could not find model"
log = logging.getLogger(__name__)


class SageMakerTransforms:
    """Transforms of objects of `store` (of S3); logs lie under `root`. `client_options`: further arguments of ``boto3.client``."""

    def __init__(
        self,
        settings: SageMakerComputeSettings,
        root: Path,
        store: ObjectStore,
        *,
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._copies = LocalCopies(root, store)
        self._clients = SageMakerClients(settings, client_options)
        self._jobs = RemoteJobs(TRANSFORM, settings, lambda: self._clients.sagemaker)

    @property
    def shared(self) -> bool:
        return True

    def run(self, transform: TransformSpec, *, on_log: Callable[[str], None] | None = None) -> Transformed:
        """See the port for what is raised."""
        name, say, keep = transform.name, on_log or (lambda _: None), self._copies.log(transform.name)

        def told(line: str) -> None:
            keep(line)
            say(line)

        self._make_model(transform)
        request = transform_request(transform, self._settings, url=self._store.url)
        try:
            described = self._jobs.run(
                request,
                lambda: follow(
                    self._jobs,
                    name,
                    self._settings,
                    self._clients.logs,
                    hosts=1,
                    say=told,
                    timeout_s=transform.timeout_s,
                ),
            )
        finally:
            self._drop_model(name)
        path = self._copies.tree(name).log
        if described[TRANSFORM.status] != "Completed":
            raise transform_failure_of(described, f"Its log is '{path}' (CloudWatch: {TRANSFORM.group}, {name}/).")
        used = described["TransformResources"]
        return Transformed(name, used["InstanceType"], path, _seconds(described) * int(used["InstanceCount"]))

    def failed(self, name: str) -> bool:
        """Whether it ended otherwise than completed."""
        try:
            return self._jobs.described(name)[TRANSFORM.status] in ("Failed", "Stopped")
        except NotFoundError:
            return False

    def _make_model(self, transform: TransformSpec) -> None:
        artifact = artifact_url(self._store, transform.digest)
        put_artifact(self._store, transform.digest, transform.package)
        request = model_request(transform, self._settings, artifact=artifact)
        try:
            with sagemaker_mapped(f"Model '{transform.name}'", role=self._settings.role_arn):
                self._clients.sagemaker.create_model(**request)
        except UserError as error:
            # Of a process that died, or of one that follows the job as well: the name says what is in it.
            if _EXISTS not in error.message:
                raise

    def _drop_model(self, name: str) -> None:
        """Delete the job's model, unless the job runs on and needs it. One that is left costs nothing, and changes nothing."""
        try:
            if not self._jobs.ended(self._jobs.described(name)):
                return
            with sagemaker_mapped(f"Model '{name}'"):
                self._clients.sagemaker.delete_model(ModelName=name)
        except PlatformError as error:
            if _GONE not in error.message:
                log.warning("the model of a transform is left behind: %s", error)


def _seconds(described: Mapping[str, Any]) -> int:
    """How long its instances were at it, as SageMaker says; that is what they are paid for."""
    begun = datetime.fromisoformat(described.get("TransformStartTime") or described["CreationTime"])
    return max(0, round((datetime.fromisoformat(described["TransformEndTime"]) - begun).total_seconds()))
