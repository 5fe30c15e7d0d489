"""State of the previous release: refused until it is migrated, migrated also when that was killed, and readable by the old one.

The previous release is this one. The next is a copy of it whose state version is one more, with a migration that changes
what lies in the item store; both run as processes.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

import mlplatform
from mlplatform.spec.home import STATE_VERSION
from mlplatform_tests.cli.commands import Done, Shell, make_shell
from mlplatform_tests.faults.walker import REPOSITORY

NEXT = STATE_VERSION + 1
MIGRATION = """
def _say_release(home: Home) -> None:
    import os, signal
    from mlplatform.adapters.item_store.sqlite import SqliteItemStore

    items = SqliteItemStore(home.items)
    for item in list(items.list("api_keys")):
        if not item.value["label"].endswith(", of before"):
            value = {**item.value, "label": item.value["label"] + ", of before"}
            items.put("api_keys", item.key, value, expected_version=item.version)
        if "KILLED_BEHIND_THE_FIRST" in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)


MIGRATIONS: Migrations = {%d: ("say of each API key that it is of before", _say_release)}
"""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment in which the next release runs."""
    root = tmp_path_factory.mktemp("next")
    package = root / "mlplatform"
    for beside in ("profiles", "containers"):
        shutil.copytree(REPOSITORY / beside, root / beside)
    shutil.copyfile(REPOSITORY / "dagster.yaml", root / "dagster.yaml")
    shutil.copytree(Path(mlplatform.__path__[0]), package, ignore=shutil.ignore_patterns("__pycache__"))
    edit(package / "spec" / "home.py", f"STATE_VERSION = {STATE_VERSION}", f"STATE_VERSION = {NEXT}")
    edit(package / "platform" / "migrations.py", "MIGRATIONS: Migrations = {}", MIGRATION % STATE_VERSION)
    return {"PYTHONPATH": str(root), "PYTHONSAFEPATH": "1"}


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, f"{file} is not what this test takes for the next release"
    file.write_text(text.replace(old, new))


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A home of this release, with rows and keys."""
    made = make_shell(tmp_path)
    made.load_days(0, 5)
    for label in ("one", "two"):
        assert made.run("keys", "create", "stock_prices/stock_prices", label).code == 0
    return made


def refused(done: Done, *said: str) -> None:
    assert done.code == 12, done
    assert "Traceback" not in done.err
    assert all(words in done.err for words in said), done.err


def labels(done: Done) -> set[str]:
    assert done.code == 0, done.err
    return {key["label"] for key in done.json}


def test_state_of_the_previous_release_is_migrated_and_the_previous_one_goes_back(
    shell: Shell, release: Mapping[str, str]
) -> None:
    for command in (("status",), ("serve",), ("keys", "list")):
        refused(shell.process(*command, **release), f"has version {STATE_VERSION}", "Run 'mlplatform state migrate'")

    killed = shell.process("state", "migrate", **release, KILLED_BEHIND_THE_FIRST="1")
    assert killed.code == -signal.SIGKILL
    refused(shell.process("keys", "list", **release), "Run 'mlplatform state migrate'")
    (untouched,) = shell.root.glob("home.before-migration-*.tar")

    migrated = shell.process("state", "migrate", "--json", **release)
    assert migrated.code == 0, migrated.err
    assert migrated.json["steps"][1:] == [f"version {STATE_VERSION} → {NEXT}: say of each API key that it is of before"]
    assert shell.process("state", "migrate", "--json", **release).json["steps"] == []
    assert labels(shell.process("keys", "list", "--json", **release)) == {"one, of before", "two, of before"}
    assert shell.process("state", "check", **release).code == 0

    for command in (("status",), ("serve",), ("state", "migrate")):
        refused(shell.process(*command), f"{NEXT}", "nstall the", "newer")
    (tmp := shell.root / "newer.tar").unlink(missing_ok=True)
    assert shell.process("state", "backup", str(tmp), **release).code == 0
    refused(shell.process("state", "restore", str(tmp), "--replace"), f"state of version {NEXT}", "newer release")

    assert shell.process("state", "restore", str(untouched), "--replace").code == 0
    assert labels(shell.run("keys", "list", "--json")) == {"one", "two"}
    assert shell.run("state", "check").code == 0


def test_the_next_release_is_what_runs(shell: Shell, release: Mapping[str, str]) -> None:
    said = shell.process("state", "version", "--json", **release).json
    assert (said["state_version"], said["reads"]) == (STATE_VERSION, NEXT)
    assert os.environ.get("PYTHONPATH") != release["PYTHONPATH"]
