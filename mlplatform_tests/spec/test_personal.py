"""Personal columns: what of a query is made of them, what endpoints mask for it, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlplatform.errors import SpecError
from mlplatform.spec.endpoint import EndpointSpec
from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.loader import load_system
from mlplatform.spec.personal import UntoldError, personal_outputs
from mlplatform.spec.table import TableSpec
from mlplatform_tests.personal.people import write_people
from mlplatform_tests.spec.editing import edit

COLUMNS = [{"name": "ticket"}, {"name": "name", "personal": True}, {"name": "cabin", "personal": True}, {"name": "age"}]
TABLES = [
    TableSpec.model_validate({"name": "passengers", "columns": COLUMNS}),
    TableSpec.model_validate({"name": "ports", "columns": [{"name": "ticket"}, {"name": "name"}]}),
]


@pytest.fixture
def people(tmp_path: Path) -> Path:
    """The system `people`, to break."""
    (tmp_path / "house" / "defs").mkdir(parents=True)
    write_people(tmp_path / "house" / "defs")
    return tmp_path / "house" / "defs" / "people" / "defs.yaml"


@pytest.mark.parametrize(
    ("sql", "personal"),
    [
        ("SELECT ticket, age FROM passengers", set()),
        ("SELECT * FROM passengers", {"name", "cabin"}),
        ("FROM passengers", {"name", "cabin"}),
        ("SELECT * EXCLUDE (name) FROM passengers", {"cabin"}),
        ("SELECT upper(p.Name) AS u, substr(cabin, 1, 1) AS deck, age FROM passengers AS p", {"u", "deck"}),
        ("SELECT p.name AS a, q.name AS b FROM passengers p JOIN ports q USING (ticket)", {"a"}),
        ("WITH x AS (SELECT * FROM passengers), y AS (SELECT name AS n FROM x) SELECT n, n || 'x' AS m FROM y", {"n", "m"}),
        ("SELECT age FROM passengers UNION ALL SELECT name FROM passengers", {"age"}),
        ("SELECT count(name) AS n, count(DISTINCT cabin) AS c FROM passengers", set()),
        ("SELECT ticket, (SELECT max(name) FROM passengers) AS m, (SELECT count(*) FROM ports) AS k FROM ports", {"m"}),
        ("SELECT age, lag(age) OVER (PARTITION BY name) AS before, lag(name) OVER () AS n FROM passengers", {"n"}),
        ("SELECT age FROM passengers WHERE name = 'x' ORDER BY cabin", set()),
        ("SELECT passengers AS whole, {'a': name} AS s, [x FOR x IN [name]] AS l FROM passengers", {"whole", "s", "l"}),
        ("SELECT name AS a, a || 'x' AS b, age FROM passengers", {"a", "b"}),
        ("SELECT t.* FROM (SELECT * FROM passengers) t, LATERAL (SELECT t.name AS q) u", {"name", "cabin"}),
        ("SELECT age, word FROM passengers, unnest(string_split(name, ' ')) AS w(word)", {"word"}),
        ("SELECT _source, age FROM passengers", set()),
        ("SELECT age AS a, name AS a FROM passengers", {"a"}),
        ("SELECT name AS a, age AS a FROM passengers", {"a"}),
    ],
)  # fmt: skip
def test_a_column_is_personal_where_a_personal_one_is_in_its_expression(sql: str, personal: set[str]) -> None:
    assert personal_outputs(sql, TABLES) == personal


@pytest.mark.parametrize(
    ("sql", "personal"),
    [
        ("SELECT (SELECT p.name) AS n, (SELECT p.age) AS a FROM passengers p", {"n"}),
        ("SELECT (SELECT name) AS n, (SELECT age) AS a FROM passengers", {"n"}),
        ("SELECT (SELECT max(o.name) || p.cabin FROM ports o WHERE o.ticket = p.ticket) AS n FROM passengers p", {"n"}),
        ("SELECT (SELECT max(o.name) FROM ports o WHERE o.ticket = p.name) AS n FROM passengers p", set()),
        ("SELECT (SELECT (SELECT p.name)) AS n, (SELECT count(p.name)) AS c FROM passengers p", {"n"}),
        ("SELECT (WITH x AS (SELECT p.name AS n) SELECT n FROM x) AS n FROM passengers p", {"n"}),
        ("SELECT (SELECT z.n FROM (SELECT p.name AS n) z) AS n FROM passengers p", {"n"}),
        ("SELECT (SELECT o.ticket FROM ports o UNION SELECT p.name) AS n FROM passengers p", {"n"}),
        ("SELECT (SELECT p) AS n, ARRAY(SELECT p.name) AS l, 'x' IN (SELECT p.name FROM ports) AS i FROM passengers p", {"n", "l", "i"}),
        ("SELECT (SELECT p.name FROM ports p) AS n FROM passengers p", set()),
        ("WITH p AS (SELECT name FROM ports) SELECT (SELECT p.name) AS n FROM passengers p", {"n"}),
        ("SELECT l.q, p.age FROM passengers p, LATERAL (SELECT p.name AS q) l", {"q"}),
    ],
)  # fmt: skip
def test_a_subquery_tells_what_it_takes_from_the_query_around_it(sql: str, personal: set[str]) -> None:
    assert personal_outputs(sql, TABLES) == personal


@pytest.mark.parametrize(
    ("sql", "personal"),
    [
        ("SELECT age AS a, name AS b FROM passengers UNION ALL BY NAME SELECT age AS b, ticket AS a FROM passengers", {"b"}),
        ("SELECT age AS a, ticket AS b FROM passengers UNION ALL BY NAME SELECT name AS b, ticket AS a FROM passengers", {"b"}),
        ("SELECT age AS a FROM passengers UNION BY NAME SELECT ticket AS a, name AS c FROM passengers", {"c"}),
        ("SELECT age AS a FROM passengers UNION ALL BY NAME (SELECT 1 AS a UNION ALL BY NAME SELECT name AS b FROM passengers)", {"b"}),
        ("SELECT b FROM (SELECT age AS a FROM passengers UNION ALL BY NAME SELECT name AS b FROM passengers)", {"b"}),
        ("SELECT age AS a, age AS b FROM passengers UNION ALL (SELECT ticket, name FROM passengers)", {"b"}),
    ],
)  # fmt: skip
def test_sides_of_a_union_are_met_as_it_says_by_place_or_by_name(sql: str, personal: set[str]) -> None:
    assert personal_outputs(sql, TABLES) == personal


@pytest.mark.parametrize(
    ("sql", "personal"),
    [
        ("WITH RECURSIVE t(a, b, c) AS (SELECT age, age, name FROM passengers UNION ALL SELECT b, c, c FROM t) SELECT a, b FROM t", {"a", "b"}),
        ("WITH RECURSIVE t AS (SELECT age FROM passengers UNION ALL SELECT age FROM t) SELECT age FROM t", set()),
        ("WITH RECURSIVE t AS (SELECT ticket FROM ports UNION ALL SELECT name FROM passengers), u AS (FROM t) SELECT ticket FROM u", {"ticket"}),
    ],
)  # fmt: skip
def test_what_a_query_that_calls_itself_takes_may_come_to_stand_in_any_column(sql: str, personal: set[str]) -> None:
    assert personal_outputs(sql, TABLES) == personal


def test_a_column_is_named_as_the_query_spells_it_too() -> None:
    assert personal_outputs("SELECT name AS Label, age AS Years FROM passengers", TABLES) == {"label", "Label"}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT age, name FROM passengers UNION ALL SELECT age FROM passengers",
        "SELECT l.q FROM passengers p, (SELECT p.name AS q) l",
        "SELECT l.q FROM passengers, (SELECT cabin AS q) l",
        "SELECT #2 FROM passengers",
        "SELECT age FROM passengers AS p(a, b, c, age)",
        "SELECT COLUMNS('n.*') FROM passengers",
        "SELECT a FROM others",
        "PIVOT passengers ON name USING count(*)",
    ],
)
def test_where_it_cannot_be_told_nothing_is_guessed(sql: str) -> None:
    with pytest.raises(UntoldError):
        personal_outputs(sql, TABLES)


def test_without_personal_columns_no_query_is_looked_at() -> None:
    assert personal_outputs("no SQL at all", TABLES[1:]) == frozenset()


def test_personal_inputs_and_keys_are_masked_in_capture_without_being_named(people: Path) -> None:
    system = load_system(people)
    assert system.personal(system.get(FeatureSetSpec, "people_features")) == {"email", "salary"}
    assert system.get(EndpointSpec, "spending").capture.mask == ["salary", "email"]


@pytest.mark.parametrize(
    ("capture", "masked"),
    [
        ("{keep: [email]}", ["salary"]),
        ("{drop: [email]}", ["salary"]),
        ("{mask: [city, email]}", ["city", "email", "salary"]),
    ],
)
def test_what_the_yaml_says_of_a_field_counts(people: Path, capture: str, masked: list[str]) -> None:
    edit(people, "  keys: [email]\n", f"  keys: [email]\n  capture: {capture}\n")
    assert load_system(people).get(EndpointSpec, "spending").capture.mask == masked


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("anonymous: [provider]", "anonymous: []", r"features\[3\].transform: 'provider' is made of a personal column, and its values would be listed in the model's package"),
        ("anonymous: [provider]", "anonymous: [provide]", r"anonymous\[0\]: 'features.sql' selects no column 'provide'"),
        ("segments: [city]", "segments: [email]", r"gate.segments\[0\]: 'email' is made of a personal column, and its values would name the segments"),
        ("target: spent", "target: email", "task: target 'email' is made of a personal column"),
        ("{name: day, type: date,", "{name: day, type: date, personal: true,", "event_time: receipts tell from when to when rows are, and 'day' is personal"),
        ("quality: {metric: rmse, threshold: 0}", "quality: {metric: rmse, threshold: 0, predictions: captured}", "joined by key 'email', which is personal, .* name it in its capture.keep"),
        ("  keys: [email]\n", "  keys: [email]\n  capture: {keep: [email], mask: [email]}\n", "'email' is kept, and masked or dropped"),
        ("  keys: [email]\n", "  keys: [email]\n  capture: {keep: [name]}\n", r"capture.keep\[0\]: no request field is called 'name'"),
    ],
)  # fmt: skip
def test_what_would_tell_a_value_is_refused_with_what_to_write(
    people: Path, before: str, after: str, fault: str
) -> None:
    load_system(people)
    if "target: email" in after:
        edit(people, "task: regression", "task: multiclass")
        edit(people, "metric: r2", "metric: accuracy")
    edit(people, before, after)
    with pytest.raises(SpecError, match=fault):
        load_system(people)


def test_a_personal_key_that_is_kept_may_be_joined_by(people: Path) -> None:
    edit(people, "threshold: 0}", "threshold: 0, predictions: captured}")
    edit(people, "  keys: [email]\n", "  keys: [email]\n  capture: {keep: [email]}\n")
    assert load_system(people).get(EndpointSpec, "spending").capture.mask == ["salary"]


def test_a_query_that_hides_its_columns_is_refused(people: Path) -> None:
    (people.parent / "features.sql").write_text(
        "SELECT COLUMNS('.*'), split_part(email, '@', 2) AS provider FROM people"
    )
    with pytest.raises(SpecError, match="which columns are made of personal ones cannot be told"):
        load_system(people)


def test_other_faults_of_a_personal_system_are_still_told(people: Path) -> None:
    edit(people, "model: people_model", "model: nobodys")
    edit(
        people, "quality: {metric: rmse, threshold: 0}", "quality: {metric: rmse, threshold: 0, predictions: captured}"
    )
    with pytest.raises(SpecError, match=r"no mlplatform\.Model is called 'nobodys'"):
        load_system(people)
