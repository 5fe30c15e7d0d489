"""Fitted transforms: rows and tables are encoded alike, and what does not fit is named."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.core.features.encoder import Encoded, Encoder
from mlplatform.core.features.fitted import FittedField, fit, read_transforms, write_transforms
from mlplatform.core.packages.manifest import InputField
from mlplatform.errors import DataError, SpecError, StateError

CATEGORIES = ("a", "b", "é")
ENCODER = Encoder(
    (
        InputField("kind", "varchar"),
        InputField("place", "varchar", missing="keep", unseen="refuse"),
        InputField("kept", "double", missing="keep"),
        InputField("filled", "double", missing="median", minimum=-5),
        InputField("needed", "double", maximum=10),
    ),
    (
        FittedField("kind", CATEGORIES),
        FittedField("place", CATEGORIES),
        FittedField("kept"),
        FittedField("filled", median=1.5),
        FittedField("needed"),
    ),
)
SCHEMA = pa.schema(
    [("kind", pa.string()), ("place", pa.string())] + [(n, pa.float64()) for n in ("kept", "filled", "needed")]
)
GOOD: dict[str, Any] = {"kind": "b", "place": "a", "kept": 1.0, "filled": 2.0, "needed": 3.0}


def _text() -> st.SearchStrategy[str | None]:
    return st.sampled_from([*CATEGORIES, *CATEGORIES, *CATEGORIES, "new", "", None])


def _number() -> st.SearchStrategy[float | None]:
    return st.one_of(st.none(), st.floats(-6, 11), st.floats(width=64))


ROWS = st.lists(
    st.fixed_dictionaries(
        {"kind": _text(), "place": _text(), "kept": _number(), "filled": _number(), "needed": _number()}
    ),
    max_size=5,
)


def _encoded(encode: Callable[[Any], Encoded], what: Any) -> Encoded | str:
    try:
        return encode(what)
    except DataError as error:
        return str(error)


@given(ROWS)
def test_rows_and_tables_are_encoded_alike(rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    expected, found = (_encoded(ENCODER.rows, rows), _encoded(ENCODER.table, table))
    if isinstance(expected, Encoded) and isinstance(found, Encoded):
        np.testing.assert_array_equal(found.matrix, expected.matrix)
        assert found.flags == expected.flags
    else:
        assert found == expected


ODD = st.one_of(_number(), st.integers(), st.booleans(), st.just(10**400), st.just("7"))


@given(st.fixed_dictionaries({"kind": _text(), "place": _text(), "kept": ODD, "filled": ODD, "needed": ODD}))
def test_a_row_alone_is_encoded_as_among_others(row: dict[str, Any]) -> None:
    alone, among = _encoded(ENCODER.rows, [row]), _encoded(ENCODER.rows, [row, GOOD])
    if isinstance(among, str):
        assert alone == among
    else:
        assert isinstance(alone, Encoded)
        np.testing.assert_array_equal(alone.matrix, among.matrix[:1])
        assert (alone.matrix.dtype, alone.flags) == (np.float32, among.flags[:1])


def test_known_unseen_and_missing_values_become_their_numbers() -> None:
    encoded = ENCODER.rows(
        [GOOD, {**GOOD, "kind": "zebra", "place": None, "kept": None, "filled": None}, {**GOOD, "filled": math.nan}]
    )
    np.testing.assert_array_equal(
        encoded.matrix,
        np.array([[1, 0, 1, 2, 3], [3, np.nan, np.nan, 1.5, 3], [1, 0, 1, 1.5, 3]], dtype=np.float32),
    )
    assert encoded.flags == [(), ("unseen:kind",), ()]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": None}, "Row 2, field 'kind': expected text, found nothing. Send a value."),
        ({"kind": 7}, "Row 2, field 'kind': expected text, found 7."),
        ({"kind": True}, "Row 2, field 'kind': expected text, found true."),
        ({"place": "z"}, "Row 2, field 'place': expected one of the 3 known values (a, b, é), found the text 'z'."),
        ({"needed": None}, "Row 2, field 'needed': expected a number, found nothing. Send a value."),
        ({"needed": math.nan}, "Row 2, field 'needed': expected a number, found nan. Send a value."),
        ({"needed": "3"}, "Row 2, field 'needed': expected a number, found the text '3'."),
        ({"needed": True}, "Row 2, field 'needed': expected a number, found true."),
        ({"needed": [1]}, "Row 2, field 'needed': expected a number, found a list."),
        ({"needed": 10.5}, "Row 2, field 'needed': expected a finite number to 10, found 10.5."),
        ({"filled": -6}, "Row 2, field 'filled': expected a finite number from -5, found -6."),
        ({"kept": math.inf}, "Row 2, field 'kept': expected a finite number, found inf."),
        ({"kept": 1e39}, "Row 2, field 'kept': expected a finite number, found 9.9999999999999994e+38."),
        ({"kept": 10**400}, "Row 2, field 'kept': expected a finite number, found 1" + "0" * 79 + "."),
    ],
)
def test_a_value_that_does_not_fit_is_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as refused:
        ENCODER.rows([GOOD, {**GOOD, **change}])
    assert str(refused.value) == message


def test_an_absent_field_is_missing_not_zero() -> None:
    with pytest.raises(DataError, match="Row 1, field 'needed': expected a number, found nothing"):
        ENCODER.rows([{k: v for k, v in GOOD.items() if k != "needed"}])


def test_a_table_without_a_column_is_refused_with_those_it_has() -> None:
    table = pa.Table.from_pylist([GOOD], schema=SCHEMA).drop_columns(["kept"])
    with pytest.raises(DataError, match="no column 'kept'; they have: kind, place, filled, needed"):
        ENCODER.table(table)


def test_a_column_of_another_type_is_refused_not_guessed() -> None:
    table = pa.Table.from_pylist([GOOD], schema=SCHEMA)
    numbers_as_text = table.set_column(4, "needed", pa.array(["3"]))
    with pytest.raises(DataError, match="Column 'needed' has type string, expected numbers"):
        ENCODER.table(numbers_as_text)
    text_as_number = table.set_column(0, "kind", pa.array([3]))
    with pytest.raises(DataError, match="Column 'kind' has type int64, expected text"):
        ENCODER.table(text_as_number)


def test_chunked_and_dictionary_columns_are_encoded_like_plain_ones() -> None:
    one = pa.table({"kind": ["a", "new"]})
    two = pa.table({"kind": ["é", None]})
    encoder = Encoder((InputField("kind", "varchar", missing="keep"),), (FittedField("kind", CATEGORIES),))
    chunked = pa.concat_tables([one, two])
    dictionary = pa.table({"kind": chunked.column("kind").dictionary_encode()})
    expected = np.array([[0], [3], [2], [np.nan]], dtype=np.float32)
    for table in (chunked, dictionary):
        found = encoder.table(table)
        np.testing.assert_array_equal(found.matrix, expected)
        assert found.flags == [(), ("unseen:kind",), (), ()]
    assert encoder.table(chunked.slice(0, 0)).matrix.shape == (0, 1)


def test_fitting_sorts_categories_and_takes_the_median_of_what_is_there() -> None:
    inputs = (InputField("kind", "varchar"), InputField("n", "double", missing="median"), InputField("m", "double"))
    table = pa.table({"kind": ["b", None, "a", "b"], "n": [1.0, None, math.nan, 4.0], "m": [1, 2, 3, 4]})
    assert fit(inputs, table) == (FittedField("kind", ("a", "b")), FittedField("n", median=2.5), FittedField("m"))


def test_a_feature_without_any_value_cannot_be_fitted() -> None:
    table = pa.table({"kind": pa.array([None, None], pa.string()), "n": pa.array([None, None], pa.float64())})
    with pytest.raises(DataError, match="Feature 'kind' has no value in any of 2 training rows"):
        fit((InputField("kind", "varchar"),), table)
    with pytest.raises(DataError, match="Feature 'n' has no value in any of 2 training rows, so no median"):
        fit((InputField("n", "double", missing="median"),), table)


def test_a_category_has_no_median() -> None:
    with pytest.raises(SpecError, match="'kind' is a category and has no median"):
        fit((InputField("kind", "varchar", missing="median"),), pa.table({"kind": ["a"]}))


def test_transforms_are_read_back_as_they_were_written(tmp_path: Any) -> None:
    fitted = (FittedField("kind", CATEGORIES), FittedField("n", median=0.1), FittedField("m"))
    write_transforms(tmp_path, fitted)
    assert read_transforms(tmp_path) == fitted


def test_damaged_transforms_are_refused(tmp_path: Any) -> None:
    (tmp_path / "transforms.json").write_text('{"format_version": 1}')
    with pytest.raises(StateError, match="no readable transforms"):
        read_transforms(tmp_path)
    (tmp_path / "transforms.json").write_text('{"format_version": 2, "fields": []}')
    with pytest.raises(StateError, match="have format 2; this release reads 1"):
        read_transforms(tmp_path)


def test_transforms_of_another_signature_are_refused() -> None:
    with pytest.raises(StateError, match="fitted for b; the signature has a"):
        Encoder((InputField("a", "double"),), (FittedField("b"),))


@pytest.mark.parametrize("value", ["73915", 73915.0, True, float("inf")])
def test_of_a_personal_field_the_kind_of_value_is_told_and_not_the_value(value: object) -> None:
    encoder = Encoder((InputField("salary", "double", maximum=5, personal=True),), (FittedField("salary"),))
    with pytest.raises(
        DataError, match=r"Row 1, field 'salary': expected a .*number.*, found a (text|number|boolean) \(•••\)"
    ):
        encoder.rows([{"salary": value}])


@pytest.mark.parametrize(
    "row", [{"age": "Smith", "salary": 1}, {"age": 1234, "salary": 1}, {"city": "Smith"}, {"city": 5}]
)
def test_beside_a_personal_field_no_value_is_told_since_texts_may_have_slipped(row: dict[str, object]) -> None:
    fields = (InputField("age", "double", "keep", maximum=120), InputField("salary", "double", "keep", personal=True))
    city = InputField("city", "varchar", "keep", unseen="refuse")
    fitted = (FittedField("age"), FittedField("salary"), FittedField("city", ("Lund",)))
    with pytest.raises(DataError, match=r"(?m)found a (text|number) \(•••\)\.$"):
        Encoder((*fields, city), fitted).rows([row])


def test_who_asks_for_it_is_told_no_value_of_any_field() -> None:
    encoder = Encoder((InputField("age", "double"),), (FittedField("age"),), masked=True)
    with pytest.raises(DataError, match=r"(?m)found a text \(•••\)\.$"):
        encoder.rows([{"age": "Smith"}])
