"""Registered versions as model packages of SageMaker's Model Registry, where people approve them; runs stay with the tracker.

A version is registered first, then its package is made, and found again by what its description ends with: a process that dies
between leaves a version without one, which the next call makes. Aliases are told to the packages before the tracker, so that who
repairs an alias repairs both. A removed system's packages are rejected and kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mlplatform.adapters.tracking.sagemaker_packages_api import ModelPackageApi
from mlplatform.adapters.tracking.sagemaker_packages_requests import (
    aliases_request,
    archive_request,
    group_name,
    group_request,
    is_of,
    package_request,
    quality,
)
from mlplatform.adapters.tracking.sagemaker_packages_settings import ModelPackageSettings
from mlplatform.core.packages.manifest import read_package
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.tracking import (
    Approval,
    ApprovalStatus,
    Candidate,
    ModelVersion,
    SelfHosted,
    TrackedRun,
    Tracking,
)

_STATUS: Mapping[str, ApprovalStatus] = {"Approved": "approved", "Rejected": "rejected"}


class PackagedTracking:
    """`tracked` with packages beside it. `lay`: (store, digest, package) → where the package lies as ``s3://…/model.tar.gz``."""

    def __init__(
        self,
        tracked: Tracking,
        settings: ModelPackageSettings,
        store: Callable[[], ObjectStore],
        lay: Callable[[ObjectStore, str, Path], str],
        *,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._tracked = tracked
        self._settings = settings
        self._store = store
        self._lay = lay
        self._api = ModelPackageApi(settings, options)
        self._arns: dict[tuple[str, str], str] = {}

    def prepare(self) -> None:
        self._tracked.prepare()

    def stage(self, run: TrackedRun, *, model: str, digest: str) -> Candidate:
        return self._tracked.stage(run, model=model, digest=digest)

    def register(self, model: str, digest: str, *, verdict: Mapping[str, Any]) -> ModelVersion:
        made = self._tracked.register(model, digest, verdict=verdict)
        self._published(made, verdict)
        return made

    def versions(self, model: str) -> list[ModelVersion]:
        return self._tracked.versions(model)

    def package(self, model: str, digest: str) -> Path:
        return self._tracked.package(model, digest)

    def set_alias(self, model: str, alias: str, version: int | None) -> None:
        for found in self._tracked.versions(model):
            others = {name for name in found.aliases if name != alias}
            wanted = others | ({alias} if found.version == version else set())
            if wanted != set(found.aliases) and (arn := self._found(found)) is not None:
                self._api.update(aliases_request(arn, wanted))
        self._tracked.set_alias(model, alias, version)

    def annotate(
        self, model: str, digest: str, *, tags: Mapping[str, str], metrics: Mapping[str, float] | None = None
    ) -> None:
        self._tracked.annotate(model, digest, tags=tags, metrics=metrics)

    def archive(self, model: str, *, mark: str) -> None:
        if self._tracked.versions(model):
            for package in list(self._api.packages(group_name(self._settings.name_prefix, model))):
                if package.get("ModelApprovalStatus") != "Rejected":
                    self._api.update(archive_request(package["ModelPackageArn"], mark))
        self._tracked.archive(model, mark=mark)

    def approval(self, version: ModelVersion) -> Approval:
        """How its package stands, which is made if need be; approved where nobody is asked."""
        if not self._settings.approval:
            return Approval("approved")
        arn = self._published(version, {})
        found = self._api.describe(arn)
        who = self._settings.approvers or "Whoever may update model packages"
        return Approval(
            _STATUS.get(found.get("ModelApprovalStatus", ""), "pending"),
            said=found.get("ApprovalDescription", ""),
            how=f"{who}: approve '{arn}' in SageMaker's Model Registry, or by: aws sagemaker update-model-package "
            f"--model-package-arn {arn} --model-approval-status Approved",
        )

    def _published(self, version: ModelVersion, verdict: Mapping[str, Any]) -> str:
        """The ARN of the version's package, which is made unless it is there."""
        found = self._found(version)
        if found is not None:
            return found
        store = self._store()
        package = self._tracked.package(version.model, version.digest)
        task = read_package(package, digest=version.digest).signature.task
        data = self._lay(store, version.digest, package)
        key = f"_models/{version.digest}/quality-{version.run_id}.json"
        store.put(key, quality(version, task))
        self._api.create_group(group_request(version.model, self._settings, owner=store.url("")))
        arn = self._api.create(package_request(version, verdict, self._settings, data=data, metrics=store.url(key)))
        self._arns[version.model, version.run_id] = arn
        return arn

    def _found(self, version: ModelVersion) -> str | None:
        key = (version.model, version.run_id)
        if key not in self._arns:
            for package in self._api.packages(group_name(self._settings.name_prefix, version.model)):
                if is_of(package.get("ModelPackageDescription", ""), version):
                    self._arns[key] = package["ModelPackageArn"]
                    break
        return self._arns.get(key)


class HostedPackagedTracking(PackagedTracking):
    """Of a tracker whose pages this installation serves."""

    def __init__(self, tracked: Tracking, *arguments: Any, **options: Any) -> None:
        super().__init__(tracked, *arguments, **options)
        self._pages: Any = tracked

    def ui_command(self, host: str, port: int) -> list[str]:
        """The tracker's own."""
        return list(self._pages.ui_command(host, port))


def packaged(
    tracked: Tracking,
    settings: ModelPackageSettings,
    store: Callable[[], ObjectStore],
    lay: Callable[[ObjectStore, str, Path], str],
    *,
    options: Mapping[str, Any] | None = None,
) -> PackagedTracking:
    """`tracked` with packages beside it, and with its pages where it has some."""
    kind = HostedPackagedTracking if isinstance(tracked, SelfHosted) else PackagedTracking
    return kind(tracked, settings, store, lay, options=options)
