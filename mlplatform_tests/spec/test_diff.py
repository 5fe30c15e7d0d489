"""What an edit reaches: nothing, assets, table, endpoint, retraining, or what live state cannot become."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mlplatform.spec.diff import diff, snapshot
from mlplatform.spec.loader import load_system
from mlplatform_tests.spec.editing import edit


def changes(path: Path, *edits: tuple[str, str]) -> list[tuple[str, str, str]]:
    before = snapshot(load_system(path))
    for old, new in edits:
        edit(path, old, new)
    return [
        (c.action, f"{c.station}.{c.field}".rstrip("."), c.reach) for c in diff(before, snapshot(load_system(path)))
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("shards: 2", "shards: 3", ("change", "stock_stream.shards", "assets")),
        ("shards: 2", "shards: 1", ("change", "stock_stream.shards", "refused")),
        ("max_depth: 6, eta", "max_depth: 7, eta", ("change", "stock_model.hyperparameters", "retraining")),
        ("last: 250", "last: 500", ("change", "stock_features.window", "retraining")),
        ("keys: [trading_day]", "keys: []", ("change", "stock_prices.keys", "endpoint")),
        ("type: double, nullable", "type: varchar, nullable", ("change", "stock_table.columns.price", "table")),
        ("type: date, nullable", "type: bigint, nullable", ("change", "stock_table.columns.trading_day", "refused")),
        ("GICS sector.", "Sector by GICS.", ("change", "stock_table.columns.sector", "table")),
        ("Price of a ticker. Follows", "A price. Follows", ("change", "stock_prices.description", "nothing")),
        ("schedule: 0 6 * * *", "schedule: 0 7 * * *", ("change", "stock_refresh.schedule", "assets")),
    ],
)  # fmt: skip
def test_an_edit_reaches_as_far_as_it_must(
    system: Path,
    before: str,
    after: str,
    expected: tuple[str, str, str],
) -> None:
    text = system.read_text()
    if before == "type: double, nullable":
        system.write_text(text.replace(", minimum: 0, description: Adjusted", ", description: Adjusted"))
    assert changes(system, (before, after)) == [expected]


def test_a_new_column_is_added_and_a_dropped_one_stays_in_the_table(system: Path) -> None:
    edits = [
        ("- {name: change, type: double,", "- {name: delta, type: double,"),
        ("- {name: change, missing: keep}", "- {name: delta, missing: keep}"),
    ]
    query = system.parent / "features.sql"
    before = snapshot(load_system(system))
    for old, new in edits:
        edit(system, old, new)
    edit(query, "sector, change,", "sector, delta,")
    found = {(c.action, c.field) for c in diff(before, snapshot(load_system(system))) if c.kind == "mlplatform.Table"}
    assert found == {("add", "columns.delta"), ("remove", "columns.change")}


def test_an_edited_query_trains_anew(system: Path) -> None:
    before = snapshot(load_system(system))
    query = system.parent / "features.sql"
    query.write_text(query.read_text() + "WHERE price > 1\n")
    (change,) = diff(before, snapshot(load_system(system)))
    assert (change.station, change.field, change.reach) == ("stock_features", "features.sql", "retraining")


def test_nothing_changes_nothing(system: Path) -> None:
    same = snapshot(load_system(system))
    assert diff(same, same) == []


def test_a_system_not_applied_yet_is_all_new(system: Path) -> None:
    found = diff(None, snapshot(load_system(system)))
    assert {c.action for c in found} == {"add"}
    assert {c.reach for c in found if c.kind == "mlplatform.Endpoint"} == {"endpoint"}


def test_what_an_earlier_release_did_not_know_is_no_change(system: Path) -> None:
    now = snapshot(load_system(system))
    kept = json.loads(json.dumps(now))
    for column in kept["stations"]["stock_table"]["columns"]:
        del column["personal"]
    del kept["stations"]["stock_features"]["anonymous"]
    del kept["stations"]["stock_prices"]["capture"]["keep"]
    assert diff(kept, now) == []


def test_a_column_that_becomes_personal_is_masked_by_the_endpoint_from_its_next_generation_on(system: Path) -> None:
    assert changes(system, ("{name: change, type", "{name: change, personal: true, type")) == [
        ("change", "stock_prices.capture", "endpoint"),
        ("change", "stock_table.columns.change.personal", "table"),
    ]
