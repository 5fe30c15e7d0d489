"""`plan`, `apply`, `destroy`: what an edit would change, taking it over, and the end of a system."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mlplatform_tests.cli.commands import Shell
from mlplatform_tests.spec.editing import edit


@pytest.fixture
def applied(shell: Shell) -> Shell:
    """Both systems are live as their YAML says."""
    assert shell.run("apply").out == "churn: applied\nstock_prices: applied\n"
    return shell


def test_plan_of_what_is_not_applied_yet_is_all_new(shell: Shell) -> None:
    done = shell.run("plan")
    assert done.code == 0
    assert "stock_prices: not applied yet" in done.out
    assert "  + stock_table: makes the table and loads what lies under its sources' prefixes" in done.out


def test_plan_says_what_an_edit_changes_and_apply_takes_it(applied: Shell) -> None:
    assert applied.run("plan").out == "churn: as it is\nstock_prices: as it is\n"
    path = applied.defs / "stock_prices" / "defs.yaml"
    edit(path, "shards: 2", "shards: 3")
    edit(path, "last: 250", "last: 500")
    done = applied.run("plan", "stock_prices")
    assert done.code == 0
    assert done.out.splitlines()[0] == "stock_prices: 2 changes"
    assert "  ~ stock_stream.shards: 2 → 3; new shards take their share" in done.out
    assert "  ~ stock_features.window: the next refresh trains on other rows" in done.out
    (plan,) = applied.run("plan", "stock_prices", "--json").json
    assert [(c["station"], c["field"], c["reach"]) for c in plan["changes"]] == [
        ("stock_features", "window", "retraining"),
        ("stock_stream", "shards", "assets"),
    ]
    assert applied.run("apply").out == "stock_prices: applied\n"
    assert applied.run("plan", "stock_prices").out == "stock_prices: as it is\n"


def test_what_live_state_cannot_become_is_refused_with_7_and_not_applied(applied: Shell) -> None:
    edit(applied.defs / "stock_prices" / "defs.yaml", "shards: 2", "shards: 1")
    done = applied.run("plan")
    assert done.code == 7
    assert "~ stock_stream.shards: 2 → 1; refused: shards cannot be taken away" in done.out
    refused = applied.run("apply", "--json")
    assert refused.code == 7
    assert "stock_stream.shards" in refused.error["message"]
    assert applied.run("plan").code == 7


def test_plan_says_which_secret_a_masking_endpoint_lacks(applied: Shell) -> None:
    edit(
        applied.defs / "stock_prices" / "defs.yaml",
        "  prediction: price\n",
        "  prediction: price\n  capture: {mask: [sector]}\n",
    )
    done = applied.run("plan", "stock_prices")
    # Where it is planned, in CI say, need not be where it is served: it is said, and no error.
    assert done.code == 0
    assert "! missing here: endpoint 'stock_prices' masks sector in what it captures." in done.out
    assert "Set MLPLATFORM_SECRET_CAPTURE_MASK_KEY" in done.out
    given = applied.run("plan", "stock_prices", MLPLATFORM_SECRET_CAPTURE_MASK_KEY="long and random")
    assert "missing" not in given.out


def test_a_system_without_its_yaml_is_planned_as_removed(applied: Shell) -> None:
    shutil.rmtree(applied.defs / "churn")
    done = applied.run("plan")
    assert "churn: removed from defs/" in done.out
    assert "- churn_table: loading stops; the rows stay until 'mlplatform destroy'" in done.out


def fill_churn(shell: Shell, tmp_path: Path) -> None:
    record = {"id": "a", "happened_on": "2026-01-01", "category": "x", "amount": 1, "target": 2}
    assert shell.run("put", "churn/churn_stream", "--record", json.dumps(record)).code == 0
    (tmp_path / "base.csv").write_text("id,happened_on,category,amount,target\nb,2026-01-02,y,1,2\n")
    assert shell.run("upload", str(tmp_path / "base.csv"), "churn/base/base.csv").code == 0
    ingest = shell.platform().system("churn").ingest("churn_table")
    ingest.create()
    assert sum(r.loaded for r in ingest.run()) == 1


def test_destroy_says_what_goes_and_removes_nothing_without_yes(applied: Shell, tmp_path: Path) -> None:
    fill_churn(applied, tmp_path)
    done = applied.run("destroy", "churn")
    assert done.code == 0
    for words in ("Would remove of system 'churn':", "1 under churn/base/", f"{applied.home}/warehouse/churn", "Nothing was removed. To do it: mlplatform destroy churn --yes"):  # fmt: skip
        assert words in done.out
    rows = applied.run("query", "churn", "SELECT count(*) AS n FROM churn_table", "--json").json["rows"]
    assert rows == [{"n": 1}]


def test_destroy_removes_a_system_and_no_other(applied: Shell, tmp_path: Path) -> None:
    fill_churn(applied, tmp_path)
    assert applied.load_days(0, 2) == 40
    assert applied.run("keys", "create", "stock_prices/stock_prices", "me").code == 0
    done = applied.run("destroy", "churn", "--yes", "--json")
    assert (done.code, done.json["removed"]) == (0, True)
    assert applied.run("objects", "churn/").out == "(nothing)\n"
    assert not [p for p in applied.home.rglob("*churn*") if p.is_file()]
    rows = applied.run("query", "stock_prices", "SELECT count(*) AS n FROM stock_table", "--json").json["rows"]
    assert rows == [{"n": 40}]
    assert [o["key"] for o in applied.run("objects", "--json").json] == ["stock_prices/base/days-0-2.csv"]
    assert applied.run("plan", "churn").out.startswith("churn: not applied yet")
    assert applied.run("plan", "stock_prices").out == "stock_prices: as it is\n"


def test_destroy_removes_a_system_whose_yaml_is_gone(applied: Shell, tmp_path: Path) -> None:
    fill_churn(applied, tmp_path)
    shutil.rmtree(applied.defs / "churn")
    assert "1 under churn/base/" in applied.run("destroy", "churn").out
    assert applied.run("destroy", "churn", "--yes").code == 0
    assert applied.run("objects", "churn/").out == "(nothing)\n"
    assert applied.run("destroy", "churn").code == 6


def test_objects_that_another_system_reads_too_stay(applied: Shell, tmp_path: Path) -> None:
    fill_churn(applied, tmp_path)
    edit(
        applied.defs / "stock_prices" / "defs.yaml",
        "{prefix: stock_prices/base/, suffix: .csv}",
        "{prefix: churn/base/, suffix: .csv}",
    )
    done = applied.run("destroy", "churn", "--yes")
    assert "objects: churn/base/, which system 'stock_prices' reads too" in done.out.split("Kept:")[1]
    assert [o["key"] for o in applied.run("objects", "churn/", "--json").json] == ["churn/base/base.csv"]
