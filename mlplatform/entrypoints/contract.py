"""The training container's contract, from inside: where things lie, and how a failure is said.

What SageMaker sets, or `ENV` lines of the Dockerfile: ``SM_MODEL_DIR``, ``SM_OUTPUT_DIR``, ``SM_OUTPUT_DATA_DIR``,
``SM_INPUT_DIR``, ``SM_INPUT_CONFIG_DIR``, ``SM_CHANNEL_<NAME>``, ``TRAINING_JOB_NAME``. No path is written in code.
Which hosts there are `resourceconfig.json` says; where checkpoints are kept, `checkpointconfig.json`.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlplatform.errors import DataError, NotFoundError, PlatformError, exit_code

_OF_TUNING = "_tuning_"
"""Hyperparameters that begin so are SageMaker's own."""
FAILURE_LENGTH = 1024
"""Characters of the failure file that SageMaker shows as FailureReason."""
MASTER_PORT = 9099
"""Where the first host listens for the others, unless ``SM_MASTER_PORT`` says another: SageMaker's own algorithm's."""


@dataclass(frozen=True)
class Machines:
    """The hosts that run a job together, sorted; `current` is this one. `local`: they are processes of one machine.

    `cpus`: how many this host may keep busy.
    """

    names: tuple[str, ...] = ("algo-1",)
    current: str = "algo-1"
    local: bool = True
    port: int = MASTER_PORT
    cpus: int = 1

    @property
    def rank(self) -> int:
        return self.names.index(self.current)


@dataclass(frozen=True)
class Job:
    """One job as its container sees it."""

    name: str
    model_dir: Path
    output_dir: Path
    data_dir: Path
    input_dir: Path
    hyperparameters: Mapping[str, str]
    channels: Mapping[str, Path]
    machines: Machines = Machines()
    checkpoint_dir: Path | None = None

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> Job:
        """Read the contract. Raises NotFoundError naming a variable or file that is not there."""
        config = _path(env, "SM_INPUT_CONFIG_DIR")
        channels = {
            name.removeprefix("SM_CHANNEL_").lower(): Path(value)
            for name, value in env.items()
            if name.startswith("SM_CHANNEL_")
        }
        input_dir = _path(env, "SM_INPUT_DIR")
        if (input_dir / "data").is_dir():
            channels |= {path.name: path for path in sorted((input_dir / "data").iterdir()) if path.is_dir()}
        return cls(
            name=env.get("TRAINING_JOB_NAME", ""),
            model_dir=_path(env, "SM_MODEL_DIR"),
            output_dir=_path(env, "SM_OUTPUT_DIR"),
            data_dir=_path(env, "SM_OUTPUT_DATA_DIR"),
            input_dir=input_dir,
            hyperparameters=_hyperparameters(config),
            channels=channels,
            machines=_machines(config, env),
            checkpoint_dir=_checkpoint_dir(config),
        )

    def channel(self, name: str) -> Path:
        """The folder of a channel. Raises NotFoundError with those there are."""
        if name not in self.channels:
            raise NotFoundError(f"The job has no channel '{name}'; it has: {', '.join(self.channels) or 'none'}.")
        return self.channels[name]

    def parquet(self, name: str) -> list[Path]:
        """The Parquet files of a channel, in name order. Raises DataError where it holds none."""
        files = sorted(self.channel(name).rglob("*.parquet"))
        if not files:
            raise DataError(
                f"Channel '{name}' holds no Parquet file.", next_step="Check the unload of the feature set."
            )
        return files

    def document(self, channel: str, name: str) -> dict[str, Any]:
        """A JSON file of a channel."""
        return _read_json(self.channel(channel) / name)


def run_job(work: Callable[[Job], None], env: Mapping[str, str]) -> int:
    """Run `work`; an error's message goes to ``output/failure`` and standard error, its kind to the exit code.

    Work that is done ends the log with the line that ``MLPLATFORM_END_OF_LOG`` asks for.
    """
    try:
        job = Job.from_environment(env)
    except PlatformError as error:
        print(str(error), file=sys.stderr, flush=True)
        return exit_code(error)
    try:
        work(job)
    except Exception as error:  # noqa: BLE001 - the process's boundary
        if isinstance(error, PlatformError):
            text = str(error)
        else:
            text = f"{type(error).__name__}: {error}"
            traceback.print_exc()
        print(text, file=sys.stderr, flush=True)
        job.output_dir.mkdir(parents=True, exist_ok=True)
        (job.output_dir / "failure").write_text(text[:FAILURE_LENGTH], "utf-8")
        return exit_code(error)
    if env.get("MLPLATFORM_END_OF_LOG"):
        # To where the work's lines went: two outputs would not keep their order.
        print(env["MLPLATFORM_END_OF_LOG"], flush=True)
    return 0


def _hyperparameters(config: Path) -> dict[str, str]:
    """Without what a tuning job adds for frameworks that report their metric themselves."""
    found = _read_json(config / "hyperparameters.json")
    return {name: value for name, value in found.items() if not name.startswith(_OF_TUNING)}


def _machines(config: Path, env: Mapping[str, str]) -> Machines:
    path = config / "resourceconfig.json"
    if not path.is_file():
        return Machines()
    content = _read_json(path)
    names, current = tuple(sorted(content.get("hosts", ()))), str(content.get("current_host"))
    if current not in names:
        raise DataError(f"The job's '{path.name}' has current_host '{current}', which is none of its hosts.")
    local = content.get("network_interface_name") == "lo"
    port = int(env.get("SM_MASTER_PORT") or MASTER_PORT)
    # Hosts of one machine are told their share. A machine of its own is all there is for its host.
    cpus = int(env.get("SM_NUM_CPUS") or (1 if local else os.cpu_count() or 1))
    return Machines(names, current, local, port, cpus)


def _checkpoint_dir(config: Path) -> Path | None:
    path = config / "checkpointconfig.json"
    return Path(_read_json(path)["LocalPath"]) if path.is_file() else None


def _path(env: Mapping[str, str], name: str) -> Path:
    if not env.get(name):
        raise NotFoundError(f"Environment variable {name} is not set.", next_step="Run this as a training job.")
    return Path(env[name])


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(f"There is no file '{path.name}' in the job's '{path.parent.name}' folder.") from error
    except ValueError as error:
        raise DataError(f"The job's '{path.name}' is not readable as JSON: {error}.") from error
    if not isinstance(content, dict):
        raise DataError(f"The job's '{path.name}' is no JSON object.")
    return content
