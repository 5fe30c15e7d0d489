"""Runs a script that was written for SageMaker's script mode, unchanged: ``python -m mlplatform.entrypoints.script train.py``.

Such a script finds its hyperparameters as arguments (``--max-depth 6``) and all else in variables (``SM_MODEL_DIR``,
``SM_CHANNEL_TRAIN``, …), which the toolkit in AWS's own images gives it (https://github.com/aws/sagemaker-training-toolkit). This entrypoint
gives it the same from the files of the training contract, so that an image needs no toolkit.

The script runs in this process: a signal to the container reaches it.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlplatform.entrypoints.contract import Job, run_job
from mlplatform.errors import JobError, NotFoundError

_OF_SAGEMAKER = "sagemaker_"
"""Hyperparameters that begin so are none of the script's."""


def main(argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Run the script that `argv` names with this process's environment added to. Returns an exit code."""
    if len(argv) != 1:
        print("usage: python -m mlplatform.entrypoints.script SCRIPT", file=sys.stderr)
        return 2
    return run_job(lambda job: _run(Path(argv[0]).absolute(), job), env)


def arguments(hyperparameters: Mapping[str, str]) -> list[str]:
    """``--key value`` for each of the script's own, by name; a key of one letter has one dash. JSON values are told as Python's."""
    told: list[str] = []
    for key, value in sorted(own(hyperparameters).items()):
        told += [f"--{key}" if len(key) > 1 else f"-{key}", "" if value is None else str(value)]
    return told


def own(hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """The script's own, JSON where they are some."""
    return {key: _plain(text) for key, text in hyperparameters.items() if not key.startswith(_OF_SAGEMAKER)}


def variables(job: Job, script: Path) -> dict[str, str]:
    """What the script finds in its environment."""
    values = own(job.hyperparameters)
    found = {
        "SM_MODEL_DIR": str(job.model_dir),
        "SM_INPUT_DIR": str(job.input_dir),
        "SM_INPUT_CONFIG_DIR": str(job.input_dir / "config"),
        "SM_OUTPUT_DIR": str(job.output_dir),
        "SM_OUTPUT_DATA_DIR": str(job.data_dir),
        "SM_CHANNELS": json.dumps(sorted(job.channels)),
        "SM_HPS": json.dumps(values, sort_keys=True),
        "SM_HOSTS": json.dumps(list(job.machines.names)),
        "SM_CURRENT_HOST": job.machines.current,
        "SM_NUM_CPUS": str(job.machines.cpus),
        "SM_USER_ARGS": json.dumps(arguments(job.hyperparameters)),
        "SM_USER_ENTRY_POINT": script.name,
        "SM_MODULE_NAME": script.stem,
        "SM_MODULE_DIR": str(script.parent),
    }
    found |= {f"SM_CHANNEL_{name.upper()}": str(folder) for name, folder in job.channels.items()}
    for key, value in values.items():
        said = value if isinstance(value, str) else json.dumps(value)
        # The toolkit keeps dashes, the SDK turns them into underscores: both are set.
        found[f"SM_HP_{key.upper()}"] = found[f"SM_HP_{key.upper().replace('-', '_')}"] = said
    return found


def _run(script: Path, job: Job) -> None:
    if not script.is_file():
        raise NotFoundError(f"There is no script '{script}'.", next_step="Name it in the Dockerfile's ENTRYPOINT.")
    os.environ.update(variables(job, script))
    os.environ.setdefault("SM_NUM_GPUS", "0")
    sys.argv[:] = [str(script), *arguments(job.hyperparameters)]
    sys.path.insert(0, str(script.parent))
    os.chdir(script.parent)
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        if end.code not in (None, 0):
            raise JobError(f"'{script.name}' ended with {end.code}.", next_step="Its log says why.") from end


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
