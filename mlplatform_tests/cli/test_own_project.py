"""A user's own project, and this repository, through the commands of Dagster and `dg` that CI uses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from dotenv import dotenv_values

from mlplatform_tests.cli.commands import OWN, Shell
from mlplatform_tests.spec.editing import edit

REPOSITORY = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def run(folder: Path, *command: str, **env: str) -> subprocess.CompletedProcess[str]:
    """One of the environment's commands in `folder`, with the settings of its `.env` alone unless more are given."""
    inherited = {k: v for k, v in os.environ.items() if k not in OWN}
    path = f"{BIN}{os.pathsep}{inherited.get('PATH', '')}"
    return subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=folder,
        env={**inherited, "PATH": path, **env},
        capture_output=True,
        text=True,
        timeout=240,
    )


def good(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project as `mlplatform init` makes it in an empty folder, and a second system in it."""
    here = tmp_path_factory.mktemp("own")
    made = json.loads(good(run(here, "mlplatform", "init", "my_project", "--json")))
    assert made["folder"] == str(here / "my_project")
    good(run(here / "my_project", "dg", "scaffold", "defs", "mlplatform.System", "churn"))
    return here / "my_project"


def test_its_yaml_and_definitions_are_right(project: Path) -> None:
    assert "validated successfully" in good(run(project, "dg", "check", "yaml"))
    assert "loaded successfully" in good(run(project, "dg", "check", "defs"))


def test_its_assets_are_those_of_its_systems(project: Path) -> None:
    found = json.loads(good(run(project, "dg", "list", "defs", "--json")))
    keys = {asset["key"] if "key" in asset else asset["asset_key"] for asset in found["assets"]}
    assert {"churn/churn_table", "my_project_system/my_project_system_table"} <= keys
    assert not any(key.startswith("stock_prices/") for key in keys)


def test_its_key_of_masks_is_its_own_and_readable_by_its_owner_alone(project: Path, tmp_path: Path) -> None:
    good(run(tmp_path, "mlplatform", "init", "other"))
    files = project / ".env", tmp_path / "other" / ".env"
    keys = {dotenv_values(file)["MLPLATFORM_SECRET_CAPTURE_MASK_KEY"] for file in files}
    assert [len(key or "") for key in keys] == [64, 64]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_its_workspace_is_valid(project: Path) -> None:
    done = run(project, "dagster", "definitions", "validate", "-w", "workspace.yaml")
    assert done.returncode == 0, done.stderr
    assert "Validation successful for code location my_project" in done.stderr + done.stdout


def test_its_own_tests_pass(project: Path) -> None:
    assert "1 passed" in good(run(project, "pytest", "-q", "-p", "no:cacheprovider"))


def test_commands_in_it_use_its_systems_home_and_profile(project: Path) -> None:
    plans = json.loads(good(run(project, "mlplatform", "plan", "--json")))
    assert [(p["system"], p["new"]) for p in plans] == [("churn", True), ("my_project_system", True)]
    version = json.loads(good(run(project, "mlplatform", "state", "version", "--json")))
    assert version["home"] == str(project / ".mlplatform")
    profile = project / "profiles" / "local.yaml"
    before = profile.read_text()
    try:
        profile.write_text(before + "\naddresses: {gateway_port: 70000}\n")
        done = run(project / "my_project", "mlplatform", "status")
        assert done.returncode == 4
        assert f"{profile}: addresses.gateway_port" in done.stderr
    finally:
        profile.write_text(before)


def test_what_the_shell_sets_wins_over_its_env_file(project: Path, tmp_path: Path) -> None:
    done = run(project, "mlplatform", "state", "version", MLPLATFORM_HOME=str(tmp_path / "other"))
    assert done.returncode == 6
    assert f"There is no state at '{tmp_path / 'other'}'" in done.stderr


def test_a_typo_in_its_yaml_is_named_with_file_and_line(project: Path) -> None:
    path = project / "my_project" / "defs" / "churn" / "defs.yaml"
    before = path.read_text()
    try:
        line = edit(path, "partition_key: id", "partition_kee: id")
        for command in (("dg", "check", "yaml"), ("dg", "check", "defs")):
            done = run(project, *command)
            assert done.returncode != 0
            assert f"{path}:{line}" in done.stdout + done.stderr
            assert "partition_kee" in done.stdout + done.stderr
        done = run(project, "mlplatform", "plan")
        assert done.returncode == 3
        assert "did you mean 'partition_key'?" in done.stderr
    finally:
        path.write_text(before)


def test_init_and_scaffold_overwrite_nothing_and_take_no_bad_name(shell: Shell, project: Path) -> None:
    assert shell.run("init", "my_project", "--folder", str(project)).code == 7
    bad = shell.run("init", "My-Project", "--folder", str(shell.root / "x"))
    assert bad.code == 3
    assert "'My-Project' is no name" in bad.err
    assert not (shell.root / "x").exists()
    again = run(project, "dg", "scaffold", "defs", "mlplatform.System", "churn")
    assert again.returncode != 0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A home with Dagster's in it, for commands in this repository, and ten rows to load."""
    from mlplatform.platform import open_platform

    home = tmp_path_factory.mktemp("repository") / "home"
    env = {"MLPLATFORM_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}
    platform = open_platform({**os.environ, **env})
    platform.asset_events.prepare()
    rows = "".join(f"KO,Consumer Staples,,{n}.5,2026-01-{n + 1:02}\n" for n in range(10))
    platform.store.put("stock_prices/base/ten.csv", b"ticker_symbol,sector,change,price,trading_day\n" + rows.encode())
    return env


def test_this_repository_is_valid(site: dict[str, str]) -> None:
    good(run(REPOSITORY, "dg", "check", "yaml", **site))
    good(run(REPOSITORY, "dg", "check", "defs", **site))
    assert "stock_prices/stock_table" in good(run(REPOSITORY, "dg", "list", "defs", "--json", **site))
    good(run(REPOSITORY, "dagster", "definitions", "validate", "-w", "workspace.yaml", **site))


def test_an_asset_is_materialized_by_either_command(site: dict[str, str]) -> None:
    key = "stock_prices/stock_table"
    good(run(REPOSITORY, "dg", "launch", "--assets", key, **site))
    sql = ("query", "stock_prices", "SELECT count(*) AS n FROM stock_table", "--json")
    assert json.loads(good(run(REPOSITORY, "mlplatform", *sql, **site)))["rows"] == [{"n": 10}]
    module = ("-m", "mlplatform.definitions")
    good(run(REPOSITORY, "dagster", "asset", "materialize", *module, "--select", f"key:{key}", **site))
    assert json.loads(good(run(REPOSITORY, "mlplatform", *sql, **site)))["rows"] == [{"n": 10}]
