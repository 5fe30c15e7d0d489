"""The ``/opt/ml``-shaped tree of one host of a job, and the environment that points into it.

opt/ml/input/config/*.json             hyperparameters, resourceconfig, inputdataconfig; checkpointconfig where asked for
opt/ml/input/data/<channel>/           copies of the channel's objects
opt/ml/model/, output/data/, output/failure
opt/ml/checkpoints/                    restored before the start, and stored while the job runs
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mlplatform.adapters.compute.processing_files import folder_variables, lay_processing
from mlplatform.errors import DataError
from mlplatform.ports.compute import Channel, JobSpec
from mlplatform.ports.object_store import ObjectStore

INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "TMPDIR", "PYTHONDONTWRITEBYTECODE")
"""All that a job sees of the environment it was started from: no secret, no credential."""
READER = "MLPLATFORM_READER"
"""The program that pulls rows out of a warehouse, as a list in JSON: it runs where the warehouse's driver is, which a container's
own environment need not have."""
MASTER_PORT = "SM_MASTER_PORT"
"""Where the first of several hosts listens for the others; elsewhere every job has machines of its own, and one port will do."""


def host_names(count: int) -> tuple[str, ...]:
    """``algo-1`` … as SageMaker calls them, sorted as it sorts them."""
    return tuple(sorted(f"algo-{number}" for number in range(1, count + 1)))


@dataclass(frozen=True)
class HostTree:
    """Paths of the host `name` below its folder; `log`: its standard output and error."""

    root: Path
    name: str
    log: Path

    @property
    def ml(self) -> Path:
        return self.root / "opt" / "ml"

    @property
    def config(self) -> Path:
        return self.ml / "input" / "config"

    @property
    def model(self) -> Path:
        return self.ml / "model"

    @property
    def output(self) -> Path:
        return self.ml / "output"

    @property
    def failure(self) -> Path:
        return self.output / "failure"

    @property
    def checkpoints(self) -> Path:
        return self.ml / "checkpoints"

    @property
    def processed(self) -> Path:
        """What a processing job leaves."""
        return self.ml / "processing" / "output"

    def channel(self, name: str) -> Path:
        return self.ml / "input" / "data" / name

    def write_config(self, job: JobSpec, hosts: Sequence[str]) -> None:
        """The configuration files and empty folders a job finds."""
        for folder in (self.config, self.model, self.output / "data", self.ml / "input" / "data", self.log.parent):
            folder.mkdir(parents=True, exist_ok=True)
        inputs = {
            c.name: {
                "ContentType": c.content_type,
                "TrainingInputMode": "File",
                "S3DistributionType": c.distribution,
                "RecordWrapperType": "None",
            }
            for c in job.channels
        }
        documents: dict[str, object] = {
            "hyperparameters": dict(job.hyperparameters),
            "resourceconfig": self._resources(hosts),
            "inputdataconfig": inputs,
        }
        if job.checkpoint_prefix:
            self.checkpoints.mkdir(exist_ok=True)
            documents["checkpointconfig"] = {"S3Uri": job.checkpoint_prefix, "LocalPath": str(self.checkpoints)}
        for name, content in documents.items():
            (self.config / f"{name}.json").write_text(json.dumps(content, sort_keys=True), "utf-8")
        if job.outputs:
            lay_processing(job, self.ml, hosts, self.name)

    def lay(self, channel: Channel, store: ObjectStore, hosts: Sequence[str]) -> int:
        """Copy the channel's objects under the tree, or this host's share of them; returns how many there are in all.

        Copies, not links: a job may write where it reads, and an object may be replaced while it runs.

        Raises:
            DataError: there is none.
        """
        target = self.channel(channel.name)
        target.mkdir(parents=True, exist_ok=True)
        mine, shares = (hosts.index(self.name), len(hosts)) if channel.sharded else (0, 1)
        count = 0
        if channel.prefix.startswith("/"):
            for count, path in enumerate(sorted(p for p in Path(channel.prefix).rglob("*") if p.is_file()), 1):
                if (count - 1) % shares == mine:
                    _copy_file(path, target / path.relative_to(channel.prefix))
        else:
            for count, info in enumerate(store.list(channel.prefix), 1):
                if (count - 1) % shares == mine:
                    destination = target / info.key.removeprefix(channel.prefix)
                    destination.parent.mkdir(parents=True, exist_ok=True)
                    with store.open(info.key) as source, destination.open("wb") as file:
                        shutil.copyfileobj(source, file, 1 << 20)
        if count == 0:
            raise DataError(
                f"Channel '{channel.name}' is empty: there is nothing under '{channel.prefix}'.",
                next_step="Materialize what it reads first.",
            )
        return count

    def environment(
        self, job: JobSpec, hosts: Sequence[str], inherited: Mapping[str, str], *, port: int | None = None
    ) -> dict[str, str]:
        """What the process sees: the contract's variables, the request's, and a few of this machine's."""
        ml = self.ml
        hyperparameters = dict(job.hyperparameters)
        env = {name: inherited[name] for name in INHERITED if name in inherited}
        env |= {"PYTHONUNBUFFERED": "1", "SAGEMAKER_BASE_DIR": str(ml), "TRAINING_JOB_NAME": job.name}
        env |= {
            "SM_MODEL_DIR": str(self.model),
            "SM_INPUT_DIR": str(ml / "input"),
            "SM_INPUT_CONFIG_DIR": str(self.config),
            "SM_OUTPUT_DIR": str(self.output),
            "SM_OUTPUT_DATA_DIR": str(self.output / "data"),
            "SM_OUTPUT_FAILURE": str(self.failure),
            "SM_CHANNELS": json.dumps(sorted(c.name for c in job.channels)),
            "SM_HPS": json.dumps(hyperparameters, sort_keys=True),
            "SM_HOSTS": json.dumps(list(hosts)),
            "SM_CURRENT_HOST": self.name,
            "SM_HOST_COUNT": str(len(hosts)),
            "SM_CURRENT_INSTANCE_TYPE": "local",
            "SM_NUM_CPUS": str(max(1, (os.cpu_count() or 1) // len(hosts))),
            "SM_NUM_GPUS": "0",
            "SM_LOG_LEVEL": "20",
            READER: json.dumps([sys.executable, "-m", "mlplatform.platform.reader"]),
            "SM_RESOURCE_CONFIG": json.dumps(self._resources(hosts), sort_keys=True),
        }
        if port is not None:
            env[MASTER_PORT] = str(port)
        for channel in job.channels:
            env[f"SM_CHANNEL_{channel.name.upper()}"] = str(self.channel(channel.name))
        for name, value in hyperparameters.items():
            # The toolkit keeps dashes, the SDK turns them into underscores: both are set.
            env[f"SM_HP_{name.upper()}"] = env[f"SM_HP_{name.upper().replace('-', '_')}"] = value
        return {**env, **folder_variables(job, str(ml / "processing")), **job.environment}

    def _resources(self, hosts: Sequence[str]) -> dict[str, object]:
        group = {"instance_group_name": "homogeneousCluster", "instance_type": "local", "hosts": list(hosts)}
        return {
            "current_host": self.name,
            "hosts": list(hosts),
            "network_interface_name": "lo",
            "current_instance_type": "local",
            "current_group_name": "homogeneousCluster",
            "instance_groups": [group],
        }


def _copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
