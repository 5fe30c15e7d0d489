"""The published JSON Schema is that of the code, takes what runs, and refuses what the loader refuses."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from mlplatform.components.system import SystemScaffolder
from mlplatform.spec.json_schema import profile_schema, schemas, system_schema, write_schemas
from mlplatform.spec.scaffold import make_project
from mlplatform_tests.cli.commands import make_shell
from mlplatform_tests.spec.editing import edit

REPOSITORY = Path(__file__).parents[2]
PUBLISHED = REPOSITORY / "docs" / "reference" / "schema"
SYSTEMS = [
    REPOSITORY / "mlplatform" / "defs" / "stock_prices" / "defs.yaml",
    REPOSITORY / "mlplatform" / "spec" / "templates" / "system" / "defs.yaml",
    REPOSITORY / "examples" / "passengers" / "defs.yaml",
]
LINE = re.compile(r"^# yaml-language-server: \$schema=(\S+)\n")


def named(path: Path) -> Any:
    """The schema that a YAML file's first line names, as an editor finds it."""
    found = LINE.match(path.read_text())
    assert found, path
    return json.loads((path.parent / found[1]).read_text())


def complaints(schema: Any, path: Path) -> list[str]:
    return [e.message for d in yaml.safe_load_all(path.read_text()) for e in Draft7Validator(schema).iter_errors(d)]


@pytest.mark.parametrize("name", ["system.json", "profile.json"])
def test_the_published_schema_is_in_step_with_the_code(name: str) -> None:
    assert (PUBLISHED / name).read_text("utf-8") == schemas()[name], "run: make docs"
    Draft7Validator.check_schema(json.loads(schemas()[name]))


@pytest.mark.parametrize("path", SYSTEMS, ids=lambda p: p.parent.name)
def test_it_takes_every_shipped_system(path: Path) -> None:
    assert complaints(system_schema(), path) == []


def test_it_takes_every_shipped_profile() -> None:
    assert complaints(profile_schema(), REPOSITORY / "profiles" / "local.yaml") == []


def test_files_of_this_repository_name_it() -> None:
    for path in (SYSTEMS[0], SYSTEMS[2]):
        assert named(path)["title"] == "A station of a system of mlplatform"
    assert named(REPOSITORY / "profiles" / "local.yaml")["title"] == "A profile of mlplatform"


def test_files_of_a_project_name_the_projects_own(tmp_path: Path) -> None:
    made = make_project("shop", tmp_path / "shop")
    assert {"schema/system.json", "schema/profile.json"} <= set(made.files)
    assert complaints(named(made.defs / "shop_system" / "defs.yaml"), made.defs / "shop_system" / "defs.yaml") == []
    assert named(made.folder / "profiles" / "local.yaml") == profile_schema()


def test_a_scaffolded_system_names_it_also_where_it_has_to_be_written_first(tmp_path: Path) -> None:
    made = make_project("shop", tmp_path / "shop")
    shutil.rmtree(made.folder / "schema")
    request: Any = type("Request", (), {"target_path": made.defs / "churn"})
    SystemScaffolder().scaffold(request)
    assert named(made.defs / "churn" / "defs.yaml") == system_schema()


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("partition_key: ticker_symbol", "partition_kee: ticker_symbol", "'partition_kee' was unexpected"),
        ("shards: 2", "shards: 0", "0 is less than the minimum of 1"),
        ("change, type: double", "change, type: float", "'float' is not valid under any of the given schemas"),
        ("name: stock_monitor", "name: Stock-Monitor", "'Stock-Monitor' does not match"),
        ("task: regression", "task: regresion", "'regresion' is not one of ['regression', 'binary', 'multiclass']"),
        ("type: mlplatform.Notify", "type: mlplatform.Notif", "is not valid under any of the given schemas"),
    ],
)
def test_it_refuses_a_typo(tmp_path: Path, before: str, after: str, said: str) -> None:
    path = tmp_path / "defs.yaml"
    path.write_text(SYSTEMS[0].read_text())
    edit(path, before, after)
    assert [c for c in complaints(system_schema(), path) if said in c]


def test_documents_of_other_types_are_left_alone() -> None:
    document = {"type": "dagster.DefsFolderComponent", "attributes": {"anything": 1}}
    assert list(Draft7Validator(system_schema()).iter_errors(document)) == []


def test_the_command_writes_it_into_a_folder_or_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = make_shell(tmp_path / "site")
    assert shell.run("schema", str(tmp_path / "here")).code == 0
    assert {p.name: p.read_text() for p in (tmp_path / "here").iterdir()} == schemas()
    made = make_project("shop", tmp_path / "shop")
    (made.folder / "schema" / "system.json").write_text("{}")
    monkeypatch.chdir(made.defs)
    assert shell.run("schema").code == 0
    assert (made.folder / "schema" / "system.json").read_text() == schemas()["system.json"]
    monkeypatch.chdir(tmp_path.anchor)
    assert shell.run("schema", "--json").error["next_step"] == "Name a folder: mlplatform schema FOLDER."


def test_writing_twice_leaves_the_same(tmp_path: Path) -> None:
    assert [p.name for p in write_schemas(tmp_path)] == ["system.json", "profile.json"]
    before = {p: p.read_bytes() for p in tmp_path.iterdir()}
    write_schemas(tmp_path)
    assert {p: p.read_bytes() for p in tmp_path.iterdir()} == before
