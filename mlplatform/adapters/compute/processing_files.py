"""What a processing job finds beside a training job's tree, and what becomes of what it leaves.

(https://docs.aws.amazon.com/sagemaker/latest/dg/build-your-own-processing-container.html.)

opt/ml/config/processingjobconfig.json, resourceconfig.json
opt/ml/processing/input/<channel>/      opt/ml/processing/output/<output>/
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlplatform.ports.compute import JobSpec
from mlplatform.ports.object_store import ObjectStore

ROOT = "/opt/ml/processing"
INPUT, OUTPUT = "MLPLATFORM_INPUT_", "MLPLATFORM_OUTPUT_"
"""Variables with the folder of each channel and output, by its name in capitals."""


def folder_variables(job: JobSpec, root: str = ROOT) -> dict[str, str]:
    """Where the job's channels and outputs are, below `root`; nothing for a training job."""
    if not job.outputs:
        return {}
    inputs = {f"{INPUT}{_capitals(c.name)}": f"{root}/input/{c.name}" for c in job.channels}
    return {**inputs, **{f"{OUTPUT}{_capitals(name)}": f"{root}/output/{name}" for name in job.outputs}}


def outputs_prefix(job: JobSpec) -> str:
    """Of the object store: each output lies below it in a folder of its name."""
    return f"{job.output_prefix.rstrip('/')}/{job.name}/output/"


def lay_processing(job: JobSpec, ml: Path, hosts: Sequence[str], current: str) -> None:
    """Make the folders and documents below `ml`; channels lie where a training job's do, and are seen from here."""
    root = ml / "processing"
    for name in job.outputs:
        (root / "output" / name).mkdir(parents=True, exist_ok=True)
    (root / "input").symlink_to(Path("..") / "input" / "data")
    documents: dict[str, Any] = {
        "processingjobconfig": config_of(job, str(root)),
        "resourceconfig": {"current_host": current, "hosts": list(hosts)},
    }
    (ml / "config").mkdir()
    for name, content in documents.items():
        (ml / "config" / f"{name}.json").write_text(json.dumps(content, sort_keys=True), "utf-8")


def config_of(job: JobSpec, root: str) -> dict[str, Any]:
    """The parts of CreateProcessingJob's request that a container reads, of a job on this machine."""
    inputs = [
        {
            "InputName": c.name,
            "S3Input": {
                "S3Uri": c.prefix,
                "LocalPath": f"{root}/input/{c.name}",
                "S3DataType": "S3Prefix",
                "S3InputMode": "File",
                "S3DataDistributionType": c.distribution,
            },
        }
        for c in job.channels
    ]
    outputs = [
        {
            "OutputName": name,
            "S3Output": {
                "S3Uri": f"{outputs_prefix(job)}{name}",
                "LocalPath": f"{root}/output/{name}",
                "S3UploadMode": "EndOfJob",
            },
        }
        for name in job.outputs
    ]
    return {
        "ProcessingJobName": job.name,
        "AppSpecification": {"ImageUri": job.container, "ContainerArguments": list(job.arguments) or None},
        "ProcessingInputs": inputs,
        "ProcessingOutputConfig": {"Outputs": outputs},
        "ProcessingResources": {"ClusterConfig": {"InstanceCount": job.hosts, "InstanceType": "local"}},
        "StoppingCondition": {"MaxRuntimeInSeconds": job.timeout_s},
        "Environment": dict(job.environment) or None,
    }


def store_outputs(store: ObjectStore, job: JobSpec, folders: Mapping[str, Path]) -> str:
    """Put what the job left on its hosts, whose output folders these are; returns the prefix. Names of hosts must not clash."""
    prefix = outputs_prefix(job)
    for _, folder in sorted(folders.items()):
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
            store.put(f"{prefix}{path.relative_to(folder).as_posix()}", path)
    return prefix


def _capitals(name: str) -> str:
    return name.upper().replace("-", "_")
