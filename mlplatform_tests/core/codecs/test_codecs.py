"""Requests and answers in JSON and CSV, chosen by content type."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.core.codecs import RequestFields, UnsupportedContentTypeError, answer_codec, codec_for
from mlplatform.core.packages.manifest import InputField
from mlplatform.errors import DataError
from mlplatform.ports.runtimes import Prediction

FIELDS = RequestFields((InputField("ticker", "varchar"), InputField("change", "double")), keys=("day",), max_rows=3)
JSON = codec_for("application/json")
CSV = codec_for("text/csv; header=present")
BARE = codec_for("text/csv")
ROW = {"ticker": "A", "change": 1.5}


@pytest.mark.parametrize("content", [{"instances": [ROW]}, [ROW], ROW])
def test_json_takes_three_shapes(content: Any) -> None:
    assert JSON.decode(json.dumps(content).encode(), FIELDS) == [ROW]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "The body is not readable as JSON"),
        (b'{"ticker": "A", "change": NaN}', "The body is not readable as JSON"),
        (b'"text"', "found str in JSON"),
        (b'{"instances": 3}', "found int in JSON"),
        (b"[[1, 2]]", r"Row 1: expected an object with ticker, change, day, found \[1,2\]"),
        (f'["a{"é" * 60}"]'.encode(), r"(?m)Row 1: expected an object with ticker, change, day, found \"aé{39}\.$"),
        (b"[]", "The request has no rows; expected 1 to 3"),
        (b"[{},{},{},{}]", "The request has 4 rows; expected at most 3. Send several requests."),
        (b'[{"ticker": "A"}, {"chnage": 1}]', "Row 2: there is no field 'chnage'; .* Did you mean 'change'?"),
        (b'{"ticker": "\xff"}', "The body is not readable as JSON"),
        (b"[" * 100_000, "The body is not readable as JSON"),
    ],
)
def test_json_that_does_not_fit_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        JSON.decode(body, FIELDS)


def test_csv_with_a_header_goes_by_names_and_declared_types() -> None:
    body = b'change,ticker,day\r\n1.5,"A, ""B""",2020-01-02\r\n,7,\r\n'
    assert CSV.decode(body, FIELDS) == [
        {"change": 1.5, "ticker": 'A, "B"', "day": "2020-01-02"},
        {"change": None, "ticker": "7", "day": None},
    ]


def test_csv_without_a_header_goes_by_the_signature_s_order() -> None:
    assert BARE.decode(b"A,1.5\nB,NaN\n", FIELDS) == [ROW, {"ticker": "B", "change": None}]
    assert BARE.decode(b"A,1.5,2020-01-02\n", FIELDS) == [{**ROW, "day": "2020-01-02"}]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "The request has no rows"),
        (b"ticker,change\n", "The request has no rows"),
        (b"ticker,chnage\nA,1\n", "The header: there is no field 'chnage'"),
        (b"ticker,ticker\nA,B\n", "The header names a field twice"),
        (b"ticker,change\nA\n", r"Row 1: expected 2 fields \(ticker, change\), found 1"),
        (b"ticker,change\nA,1\nB,two\n", "Row 2, field 'change': expected a number, found the text 'two'"),
        (b"ticker,change\nA,1_0\n", "field 'change': expected a number, found the text '1_0'"),
        (b"ticker,change\nA,inf\n", "field 'change': expected a number, found the text 'inf'"),
        (b"ticker,change\nA, 1\n", "field 'change': expected a number, found the text ' 1'"),
        ("ticker,change\nA,١\n".encode(), "field 'change': expected a number"),
        (b'ticker,change\n"A,1\n', "not readable as CSV: unexpected end of data"),
        (b'ticker,change\n"A"x,1\n', "not readable as CSV: .*, in line 2"),
        (b"ticker,change\n\xff,1\n", "The body is not UTF-8: invalid start byte at byte 14"),
        (b"ticker,change\n" + b"A,1\n" * 9, "The request has 9 rows; expected at most 3"),
    ],
)
def test_csv_that_does_not_fit_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        CSV.decode(body, FIELDS)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "ticker": st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")).map(
                    lambda t: t or None
                ),
                "change": st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
            }
        ),
        min_size=1,
        max_size=3,
    )
)
def test_both_codecs_read_the_same_rows(rows: list[dict[str, Any]]) -> None:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, ["ticker", "change"], quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    assert CSV.decode(out.getvalue().encode(), FIELDS) == rows
    assert JSON.decode(json.dumps(rows).encode(), FIELDS) == rows


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/xml", "text/csv; header=maybe", "application/json; charset=latin-1"],
)
def test_other_content_types_are_refused(content_type: str | None) -> None:
    with pytest.raises(
        UnsupportedContentTypeError, match="expected application/json, application/jsonlines or text/csv"
    ):
        codec_for(content_type)


def test_parameters_and_case_of_a_content_type_do_not_matter() -> None:
    assert codec_for('Application/JSON; charset="UTF-8"').content_type == "application/json"
    assert codec_for("TEXT/CSV;Header=Present").decode(b"ticker,change\nA,1.5\n", FIELDS) == [ROW]


def test_the_answer_follows_accept_and_else_the_request() -> None:
    assert answer_codec(None, CSV) is CSV
    assert answer_codec("*/*", CSV) is CSV
    assert answer_codec("text/html, text/csv", JSON).content_type.startswith("text/csv")
    assert answer_codec("application/json", CSV).content_type == "application/json"


ANSWERS = [Prediction(12.5, None, ()), Prediction(3.0, None, ("unseen:ticker",))]


def test_answers_in_json_name_the_value_and_carry_the_envelope() -> None:
    assert json.loads(JSON.encode("price", ANSWERS, {"inference_id": "x"})) == {
        "predictions": [{"price": 12.5, "flags": []}, {"price": 3.0, "flags": ["unseen:ticker"]}],
        "inference_id": "x",
    }


def test_answers_with_probabilities() -> None:
    answers = [Prediction("yes", {"no": 0.25, "yes": 0.75})]
    assert json.loads(JSON.encode("rises", answers, {}))["predictions"] == [
        {"rises": "yes", "probabilities": {"no": 0.25, "yes": 0.75}, "flags": []}
    ]
    assert CSV.encode("rises", answers, {}) == b"rises,flags,probability_no,probability_yes\r\nyes,,0.25,0.75\r\n"


def test_answers_in_csv_have_a_header_and_join_flags() -> None:
    assert CSV.encode("price", ANSWERS, {}) == b"price,flags\r\n12.5,\r\n3.0,unseen:ticker\r\n"


PERSONAL = RequestFields(FIELDS.inputs, FIELDS.keys, FIELDS.max_rows, frozenset({"day"}))


@pytest.mark.parametrize(
    ("codec", "body"),
    [
        (JSON, b'"Smith"'),
        (JSON, b'["Smith"]'),
        (JSON, b'[{"Smith": 1}]'),
        (JSON, b'{"day": "Smith'),
        (CSV, b"Smith,A\n"),
        (CSV, b"change,ticker\nSmith,A\n"),
        (CSV, b"change,ticker\nSmith,A,B\n"),
        (BARE, b"A,Smith\n"),
    ],
)
def test_where_a_field_is_personal_no_refusal_repeats_what_was_sent(codec: Any, body: bytes) -> None:
    with pytest.raises(DataError) as caught:
        codec.decode(body, PERSONAL)
    assert "Smith" not in str(caught.value)


def test_json_lines_are_a_row_each_in_both_directions() -> None:
    codec = codec_for("application/jsonlines")
    body = b'{"ticker": "a", "change": 1}\n\n{"ticker": "b\\nc", "change": null}\n'
    assert codec.decode(body, FIELDS) == [{"ticker": "a", "change": 1}, {"ticker": "b\nc", "change": None}]
    answers = [Prediction(1.5, None, ("unseen:ticker",)), Prediction("yes", {"no": 0.25, "yes": 0.75}, ())]
    assert codec.encode("price", answers, {"inference_id": "x"}) == (
        b'{"price":1.5,"flags":["unseen:ticker"]}\n{"price":"yes","probabilities":{"no":0.25,"yes":0.75},"flags":[]}\n'
    )
    assert answer_codec("application/jsonlines", codec_for("text/csv")).content_type == "application/jsonlines"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"ticker": "a"}\n{"ticker"', "not readable as JSON lines"),
        (b'{"ticker": "a"}\n[1]\n', r"Row 2: expected an object with .*, found \[1\]"),
        (b'{"ticker": "a", "chnge": 1}\n', "Row 1: there is no field 'chnge'"),
        (b"\n", "The request has no rows"),
    ],
)
def test_json_lines_that_do_not_fit_are_refused(body: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        codec_for("application/jsonlines").decode(body, FIELDS)
