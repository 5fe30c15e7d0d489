"""`mlplatform test`: systems on sample rows, and what a CI sees of them: a table, one JSON document, an exit code."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from mlplatform_tests.cli.commands import Done, Shell, make_shell
from mlplatform_tests.spec.editing import edit

STAGES = [
    ("yaml", "churn"),
    ("sample", "churn"),
    ("arrive", "churn_table"),
    ("load", "churn_table"),
    ("quarantine", "churn_table"),
    ("features", "churn_features"),
    ("data tests", "churn_features"),
    ("train", "churn_model"),
    ("gate", "churn_model"),
    ("register", "churn_model"),
    ("deploy", "churn"),
    ("predict", "churn"),
    ("capture", "churn"),
    ("lineage", "churn"),
    ("monitor", "churn_monitor"),
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """The scaffolded system, its quality judged by what was captured, and a gate that made-up rows cannot pass."""
    shell = make_shell(tmp_path_factory.mktemp("rehearsed"))
    path = shell.defs / "churn" / "defs.yaml"
    edit(path, "quality: {metric: r2, threshold: 0.1}", "quality: {metric: r2, threshold: 0.1, predictions: captured}")
    edit(path, "gate: {metric: r2, threshold: 0.1,", "gate: {metric: r2, threshold: 0.9999,")
    return shell


@pytest.fixture(scope="module")
def rehearsed(site: Shell) -> Done:
    return site.run("test", "churn", "--count", "600", "--keep", str(site.root / "kept"), "--json")


def stage(done: Done, name: str) -> dict[str, Any]:
    (found,) = [s for s in done.json["systems"][0]["stages"] if s["stage"] == name]
    return dict(found)


def test_a_system_goes_through_all_its_stations(rehearsed: Done) -> None:
    assert rehearsed.code == 0, rehearsed.err
    stages = rehearsed.json["systems"][0]["stages"]
    assert [(s["stage"], s["station"]) for s in stages] == STAGES
    assert {s["status"] for s in stages} == {"passed", "noted"}


def test_rows_are_told_stage_by_stage(rehearsed: Done) -> None:
    # Seventy-two days of eight ids each; a sixth of the days is held back for the monitor.
    assert [stage(rehearsed, name)["rows"] for name in ("load", "quarantine", "features")] == [576, 8, 480]
    assert [stage(rehearsed, name)["rows"] for name in ("predict", "capture", "monitor")] == [96, 96, 96]
    assert stage(rehearsed, "lineage")["rows"] == 480


def test_a_missed_gate_is_noted_and_what_lies_behind_it_is_rehearsed(rehearsed: Done) -> None:
    gate = stage(rehearsed, "gate")
    assert gate["status"] == "noted"
    assert "misses the threshold: expected at least 0.9999" in gate["detail"]
    assert stage(rehearsed, "deploy")["detail"] == "generation 1 serves version 1"


def test_quality_is_judged_on_the_predictions_that_were_captured(rehearsed: Done) -> None:
    assert "r2 0." in stage(rehearsed, "monitor")["detail"]


def test_the_users_own_home_is_not_made(site: Shell, rehearsed: Done) -> None:
    assert rehearsed.code == 0
    assert not site.home.exists()
    assert {p.name for p in (site.root / "kept" / "warehouse").iterdir()} == {"churn"}


def test_with_gate_a_missed_gate_ends_it(site: Shell) -> None:
    done = site.run("test", "churn", "--count", "300", "--gate")
    assert done.code == 9
    lines = [line.split()[:2] for line in done.out.splitlines()]
    assert ["failed", "gate"] in lines
    assert ["skipped", "register"] in lines
    assert "  → Give a sample that a model can learn from, or leave out --gate.\n" in done.out
    assert "churn: failed in " in done.out


def test_a_query_that_fails_is_named_with_what_there_is(shell: Shell) -> None:
    edit(
        shell.defs / "churn" / "features.sql", "FROM my_system_table".replace("my_system", "churn"), "FROM churn_tabel"
    )
    done = shell.run("test", "churn", "--json")
    failed = stage(done, "features")
    assert (done.code, failed["error"]["exit_code"]) == (6, 6)
    assert "churn_tabel" in failed["error"]["message"]
    assert stage(done, "monitor")["detail"] == "needs capture of churn"


def test_a_job_that_fails_is_named_with_its_own_words(shell: Shell) -> None:
    edit(shell.defs / "churn" / "defs.yaml", "max_depth: 6", "max_deep: 6")
    done = shell.run("test", "churn", "--count", "300")
    assert done.code == 11
    assert "XGBoost's container has no hyperparameter 'max_deep'" in done.out


def test_all_systems_are_tested_and_a_faulty_one_hides_no_other(shell: Shell) -> None:
    shutil.rmtree(shell.defs / "stock_prices")
    (shell.defs / "churn" / "defs.yaml").write_text("type: mlplatform.Tabel\n")
    shutil.copytree(shell.defs / "churn", shell.defs / "other")
    done = shell.run("test")
    assert done.code == 3
    assert done.out.count("there is no 'mlplatform.Tabel'; did you mean 'mlplatform.Table'?") == 2


def test_a_home_that_is_there_is_not_rehearsed_in(shell: Shell) -> None:
    shell.home.mkdir()
    (shell.home / "state.json").write_text("{}")
    done = shell.run("test", "churn", "--keep", str(shell.home))
    assert done.code == 7
    assert f"'{shell.home}' is there and not empty." in done.err
    assert [p.name for p in shell.home.iterdir()] == ["state.json"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["test", "chrun"], 6, "There is no system 'chrun' under"),
        (["test", "--rows", "x.csv"], 5, "--rows is for one system"),
        (["test", "churn", "--rows", "x.csv"], 6, "There is no file 'x.csv'"),
    ],
)
def test_a_wrong_call_is_told(shell: Shell, arguments: list[str], code: int, said: str) -> None:
    done = shell.run(*arguments)
    assert done.code == code
    assert said in done.err + done.out


def test_rows_of_ones_own_are_taken_and_judged(shell: Shell, tmp_path: Path) -> None:
    expectation = (
        "  expectations: [{type: expect_column_values_to_be_in_set, kwargs: {column: category, value_set: [a]}}]\n"
    )
    edit(
        shell.defs / "churn" / "defs.yaml",
        "    - {name: amount, missing: keep}\n",
        f"    - {{name: amount, missing: keep}}\n{expectation}",
    )
    days = [
        f"{i},2024-0{m}-{d:02},{'b' if i % 5 == 0 else 'a'},1.5,{i}"
        for i, (m, d) in enumerate([(m, d) for m in (1, 2, 3, 4) for d in range(1, 29)])
    ]
    (tmp_path / "churn_table.csv").write_text("\n".join(["id,happened_on,category,amount,target", *days]) + "\n")
    done = shell.run("test", "churn", "--rows", str(tmp_path / "churn_table.csv"))
    assert done.code == 9
    assert (
        "The sample's rows do not pass the data tests of 'churn_features': expect_column_values_to_be_in_set"
        in done.out
    )
    assert " unexpected (b, b" in done.out
