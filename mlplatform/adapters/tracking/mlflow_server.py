"""An MLflow server: a user's own by its URL, or one that SageMaker manages by its ARN.

https://mlflow.org/docs/latest/self-hosting/, https://docs.aws.amazon.com/sagemaker/latest/dg/mlflow.html. Packages go where the
server says: through it (``mlflow-artifacts:``), or into the bucket that SageMaker's servers name, with AWS's own credentials. Requests
to an ARN are signed by AWS's plugin ``sagemaker-mlflow``, which looks at the tracking URI of the whole process: it is set here.

Other machines may write at the same time. So runs bear the mark of the home that made them, and only its own are closed by it.
"""

from __future__ import annotations

import contextlib
import logging
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlplatform.adapters.tracking.mlflow_client import new_client
from mlplatform.adapters.tracking.mlflow_errors import mapped
from mlplatform.adapters.tracking.mlflow_login import log_in_with
from mlplatform.adapters.tracking.mlflow_settings import MlflowSettings
from mlplatform.adapters.tracking.mlflow_tracker import LOGGED, MlflowTracker

if TYPE_CHECKING:
    from mlplatform.ports.secrets import Secrets

_HOME = "mlplatform.home"


class MlflowServerTracking(MlflowTracker):
    """`root`: this home's folder, which keeps its mark and its writers' lock."""

    def __init__(self, settings: MlflowSettings, root: Path, cache: Path, *, secrets: Callable[[], Secrets]) -> None:
        self._server = settings.server or ""
        super().__init__(root, cache, ui_url=settings.pages_url or ("" if settings.is_managed else self._server))
        self._settings = settings
        self._secrets = secrets

    @property
    def _own_tags(self) -> Mapping[str, str]:
        return {_HOME: self._mark}

    @cached_property
    def _mark(self) -> str:
        path = self._root / "mark"
        if not path.exists():
            path.write_text(uuid.uuid4().hex)
        return path.read_text()

    @contextlib.contextmanager
    def _mapped(self, what: str) -> Iterator[None]:
        where = f"{what} at '{self._server}'"
        with mapped(where, remote=True), _bucket_mapped(where):
            yield

    def _opened(self) -> Any:
        log_in_with(self._settings, self._secrets)
        if self._settings.is_managed:
            _need_plugin()
            from mlflow.tracking import set_tracking_uri

            set_tracking_uri(self._server)
        else:
            # AWS's plugin, where it is installed, complains of every other server.
            logging.getLogger("mlflow.tracking.request_header.registry").setLevel(logging.ERROR)
        return new_client(self._server)

    def _location(self, _: str) -> None:
        return None

    def _put(self, _: str, logged: Any, package: Path) -> None:
        self._client.log_model_artifacts(logged.model_id, str(package))

    def _get(self, run: Any, _: str, folder: Path) -> None:
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        kept: Any = get_artifact_repository(self._source(run), tracking_uri=self._server)
        kept.download_artifacts("", dst_path=str(folder))

    def _source(self, run: Any) -> str:
        return str(self._client.get_logged_model(run.data.tags[LOGGED]).artifact_location)


@contextlib.contextmanager
def _bucket_mapped(where: str) -> Iterator[None]:
    """Errors of S3 as the platform's, where the server has its clients use a bucket themselves."""
    if find_spec("boto3") is None:
        yield
        return
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import ClientError

    from mlplatform.adapters.aws.errors import aws_mapped

    with aws_mapped(f"The packages of MLflow, {where}", service="S3"):
        try:
            yield
        except S3UploadFailedError as error:
            if isinstance(error.__context__, ClientError):
                raise error.__context__ from error
            raise


def _need_plugin() -> None:
    if find_spec("sagemaker_mlflow") is None:
        raise ImportError(
            "Tracking on SageMaker's MLflow needs AWS's plugin: pip install 'mlplatform[sagemaker-mlflow]'"
        )
