"""Requests to SageMaker's Model Registry, made of a registered version; nothing here asks anybody.

A package's description ends with the version's digest and run, by which it is found again: a list of packages says no more of them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from mlplatform.adapters.tracking.sagemaker_packages_settings import ModelPackageSettings
from mlplatform.ports.tracking import ModelVersion

OWNER, MODEL = "mlplatform", "mlplatform:model"
"""Tags of a group: whose it is, by the address of the installation's objects, and which of its models."""
ALIASES, ARCHIVED = "mlplatform:aliases", "mlplatform:archived"

_SLUG_CHARACTERS, _DESCRIPTION, _VALUE = 30, 1024, 256
_PROPERTIES = 50
_NOT_IN_VALUES = re.compile(r"[^\w.:/=+\-@ ]")
_GROUP = {"regression": "regression_metrics", "binary": "binary_classification_metrics"}

Request = dict[str, Any]


def group_name(prefix: str, model: str) -> str:
    """Of ``<system>.<model>``; the digits tell names apart that look alike."""
    slug = re.sub(r"[^a-z0-9]+", "-", model)[:_SLUG_CHARACTERS].strip("-")
    return f"{prefix}-{slug}-{hashlib.sha256(model.encode()).hexdigest()[:6]}"


def group_request(model: str, settings: ModelPackageSettings, *, owner: str) -> Request:
    tags = {**settings.tags, OWNER: owner, MODEL: model}
    return {
        "ModelPackageGroupName": group_name(settings.name_prefix, model),
        "ModelPackageGroupDescription": f"Versions of {model} that passed the gate.",
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())],
    }


def package_request(
    version: ModelVersion, verdict: Mapping[str, Any], settings: ModelPackageSettings, *, data: str, metrics: str
) -> Request:
    """`data`: the package's ``s3://…/model.tar.gz``; `metrics`: where `quality` lies."""
    commit, job = version.tags.get("code_version", ""), version.tags.get("training_job", "")
    group = group_name(settings.name_prefix, version.model)
    told = {**({"CommitId": commit} if commit else {}), **({"GeneratedBy": job} if job else {})}
    return {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": _description(version, verdict),
        "InferenceSpecification": {
            "Containers": [{"Image": settings.image, "ModelDataUrl": data}],
            "SupportedContentTypes": ["application/json", "text/csv"],
            "SupportedResponseMIMETypes": ["application/json", "text/csv"],
        },
        # What passed the gate needs nobody's word where nobody is asked for it.
        "ModelApprovalStatus": "PendingManualApproval" if settings.approval else "Approved",
        "ModelMetrics": {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": metrics}}},
        "CustomerMetadataProperties": _properties(version, verdict),
        "ClientToken": hashlib.sha256(f"{group}/{_mark(version)}".encode()).hexdigest()[:36],
        **({"MetadataProperties": told} if told else {}),
    }


def quality(version: ModelVersion, task: str) -> bytes:
    """The version's metrics as SageMaker writes a model's quality (statistics.json)."""
    values = {name: {"value": value, "standard_deviation": "NaN"} for name, value in sorted(version.metrics.items())}
    return json.dumps({_GROUP.get(task, "multiclass_classification_metrics"): values}, indent=1).encode()


def is_of(description: str, version: ModelVersion) -> bool:
    """Whether a package of that description is the version's."""
    return description.endswith(_mark(version))


def aliases_request(arn: str, aliases: Iterable[str]) -> Request:
    """UpdateModelPackage: the version's aliases."""
    said = " ".join(sorted(aliases))
    if said:
        return {"ModelPackageArn": arn, "CustomerMetadataProperties": {ALIASES: said}}
    return {"ModelPackageArn": arn, "CustomerMetadataPropertiesToRemove": [ALIASES]}


def archive_request(arn: str, mark: str) -> Request:
    """UpdateModelPackage: nobody deploys it any more."""
    return {
        "ModelPackageArn": arn,
        "ModelApprovalStatus": "Rejected",
        "ApprovalDescription": f"Its system was removed; the platform keeps it under the mark {mark}",
        "CustomerMetadataProperties": {ARCHIVED: _value(mark)},
        "CustomerMetadataPropertiesToRemove": [ALIASES],
    }


def _mark(version: ModelVersion) -> str:
    return f"digest {version.digest} run {version.run_id}"


def _description(version: ModelVersion, verdict: Mapping[str, Any]) -> str:
    outcome, reason = verdict.get("outcome", "passed"), verdict.get("reason", "")
    gate = f"Gate: {outcome}{f': {reason}' if reason else ''}".rstrip(".")
    begin, end = f"Version {version.version} of {version.model}. {gate}", f". {_mark(version)}"
    # Line breaks and the like are not taken.
    begin = " ".join("".join(c if c.isprintable() else " " for c in begin).split())
    return begin[: _DESCRIPTION - len(end)] + end


def _properties(version: ModelVersion, verdict: Mapping[str, Any]) -> dict[str, str]:
    """What a version is, as text that SageMaker takes; the first fifty."""
    own = {
        "mlplatform:version": str(version.version),
        "mlplatform:digest": version.digest,
        "mlplatform:run": version.run_id,
        "mlplatform:gate": str(verdict.get("outcome", "passed")),
        ALIASES: " ".join(version.aliases),
        **{f"mlplatform:{name}": text for name, text in sorted(version.tags.items())},
        **{f"metric:{name}": f"{value:.6g}" for name, value in sorted(version.metrics.items())},
    }
    kept = {_value(name)[:128]: _value(text) for name, text in own.items() if _value(text)}
    return dict(list(kept.items())[:_PROPERTIES])


def _value(text: str) -> str:
    return _NOT_IN_VALUES.sub("-", text)[:_VALUE]
