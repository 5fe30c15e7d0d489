"""Images as commands of this machine.

An image's URI names a container by its last part, without tag and digest: ``…amazonaws.com/xgboost:3`` is the folder
``containers/xgboost`` of the account or of the package, whose Dockerfile's ENTRYPOINT is the command. Where a request says
another entrypoint, or brings a script of its own (``sagemaker_program`` in ``sagemaker_submit_directory``: script mode), a
container is made for that job.
"""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mlplatform.adapters.compute.container import find_container
from mlplatform.entrypoints.script import arguments as arguments_of
from mlplatform.errors import PlatformError
from mlplatform_tests.servers.aws_protocol.shapes import AwsRefusedError
from mlplatform_tests.servers.sagemaker.account import Account
from mlplatform_tests.servers.sagemaker.buckets import Buckets, key_of

_SCRIPT, _SOURCE = "sagemaker_program", "sagemaker_submit_directory"
_SCRIPTS_ONLY = (
    "sagemaker-scikit-learn",
    "sagemaker-xgboost",
    "pytorch-training",
    "tensorflow-training",
    "sagemaker-base-python",
)
"""AWS's images that have no folder here: they run the script that comes with the job, by this Python."""


def container_name(image: str) -> str:
    """The last part of an image's URI, without tag and digest."""
    return image.rpartition("/")[2].partition("@")[0].partition(":")[0]


def check_image(account: Account, image: str) -> None:
    """Raises AwsRefusedError as SageMaker does where there is no such image."""
    name = container_name(image)
    if name in _SCRIPTS_ONLY:
        return
    try:
        find_container(name, account.containers)
    except PlatformError as error:
        raise AwsRefusedError("ValidationException", f"Requested image {image} not found. ({error})") from error


def script_of(hyperparameters: Mapping[str, str]) -> str:
    """The script of script mode, "" where the image has its own program."""
    return str(_plain(hyperparameters.get(_SCRIPT, "")))


def made_container(
    account: Account,
    store: Buckets,
    job: str,
    image: str,
    *,
    entrypoint: Sequence[str] = (),
    arguments: Sequence[str] = (),
    hyperparameters: Mapping[str, str] | None = None,
) -> tuple[Path, str]:
    """The folder that holds the job's container, and the container's name there."""
    given = dict(hyperparameters or {})
    script, name = script_of(given), container_name(image)
    if not script and not entrypoint and not arguments:
        return next(folder for folder in account.containers if (folder / name / "Dockerfile").is_file()), name
    root = account.folder / "made"
    folder = root / job
    shutil.rmtree(folder, ignore_errors=True)
    if name in _SCRIPTS_ONLY:
        folder.mkdir(parents=True)
        command = ["python"]
    else:
        found = find_container(name, account.containers)
        shutil.copytree(found.folder, folder, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
        command = list(found.command)
    if script:
        _unpack(store, str(_plain(given[_SOURCE])), folder)
        command = ["python", script, *arguments_of(given)]
    elif entrypoint:
        command = list(entrypoint)
    written = json.dumps([*command, *arguments])
    (folder / "Dockerfile").write_text(f"FROM made\nLABEL mlplatform.distributed=true\nENTRYPOINT {written}\n")
    return root, job


def command_of(account: Account, image: str, entrypoint: Sequence[str] = ()) -> tuple[Path, tuple[str, ...]]:
    """The folder an image's program runs in, and the command: `entrypoint` where that is given. Its ``python`` is the image's."""
    name = container_name(image)
    if name in _SCRIPTS_ONLY:
        folder, own = account.folder, (sys.executable,)
    else:
        found = find_container(name, account.containers)
        folder, own = found.folder, found.command
    if not entrypoint:
        return folder, own
    python = own[0] if "python" in Path(own[0]).name else sys.executable
    first = python if entrypoint[0] in ("python", "python3") else entrypoint[0]
    return folder, (first, *entrypoint[1:])


def _unpack(store: Buckets, uri: str, folder: Path) -> None:
    with store.open(key_of(uri)) as stream, tarfile.open(fileobj=stream, mode="r|gz") as archive:
        archive.extractall(folder, filter="data")


def _plain(text: str) -> Any:
    """What the toolkit makes of a hyperparameter: JSON where it is some."""
    try:
        return json.loads(text)
    except ValueError:
        return text
