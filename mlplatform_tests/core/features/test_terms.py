"""Free text as a model's input: which terms are chosen, what they weigh, and what a text becomes by them."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from mlplatform.core.features.encoder import Encoder
from mlplatform.core.features.fitted import FittedField, fit, read_transforms, write_transforms
from mlplatform.core.features.terms import Terms, choose, words
from mlplatform.core.packages.manifest import InputField
from mlplatform.core.training.hosts import ALONE
from mlplatform.errors import DataError, SpecError
from mlplatform_tests.core.training.shared import on_hosts

TEXTS = ["Late train, dirty train", "clean and late", "a clean train", "ﬁne weather", "Fine and CLEAN", "Straße 7"]
FIELD = InputField("review", "varchar", missing="keep", terms=6)


def table(texts: Sequence[str | None]) -> pa.Table:
    return pa.table({"review": pa.array(texts, pa.string()), "n": pa.array([1.0] * len(texts), pa.float64())})


def test_words_are_runs_of_letters_and_digits_in_lower_case() -> None:
    assert words("It's 20°C – ﬁne, NAÏVE_x!") == ["it", "20", "fine", "naïve_x"]
    assert words("a – b") == []


def test_terms_are_those_that_most_texts_have_and_weigh_by_how_rare_they_are() -> None:
    terms, weights = choose(TEXTS, 4, ALONE)
    # clean is in three texts; and, fine, late and train in two: the first three of these by their letters.
    assert terms == ("and", "clean", "fine", "late")
    assert weights == pytest.approx([np.log(7 / 3) + 1, np.log(7 / 4) + 1, np.log(7 / 3) + 1, np.log(7 / 3) + 1])


def test_a_text_becomes_what_scikit_learn_makes_of_it() -> None:
    theirs = TfidfVectorizer(
        ngram_range=(1, 2),
        min_df=2,
        token_pattern=r"\w{2,}",
        preprocessor=lambda t: unicodedata.normalize("NFKC", t).lower(),
    ).fit(TEXTS)
    terms, weights = choose(TEXTS, 1000, ALONE)
    assert list(terms) == sorted(theirs.get_feature_names_out())
    ours = Terms(terms, weights)
    asked = [*TEXTS, "clean clean late train", "nothing of it"]
    np.testing.assert_allclose([ours.of(text)[0][:-1] for text in asked], theirs.transform(asked).toarray(), rtol=1e-12)
    assert [ours.of(text)[0][-1] for text in asked[-2:]] == [4, 3]


def test_hosts_choose_the_same_terms_together_as_one_of_all_rows() -> None:
    alone = choose(TEXTS * 3, 5, ALONE)
    assert on_hosts([TEXTS] * 3, lambda texts, hosts: choose(texts, 5, hosts)) == [alone] * 3


TEXT = st.none() | st.lists(st.sampled_from(["late", "clean", "train", "fine", "new"]), max_size=5).map(" ".join)


@given(st.lists(st.fixed_dictionaries({"review": TEXT, "n": st.floats(width=32)}), max_size=5), st.booleans())
def test_rows_and_tables_with_texts_are_encoded_alike(rows: list[dict[str, object]], refuse: bool) -> None:
    field = InputField("review", "varchar", missing="keep", unseen="refuse" if refuse else "flag", terms=3)
    inputs = (field, InputField("n", "double", missing="keep"))
    encoder = Encoder(inputs, fit(inputs, table(TEXTS)))
    given_table = pa.Table.from_pylist(rows, schema=table([]).schema)
    results = []
    for encode, what in ((encoder.rows, rows), (encoder.table, given_table)):
        try:
            matrix, flags = encode(what)  # type: ignore[operator]
            assert matrix.shape == (len(rows), encoder.width)
            results.append((matrix.tobytes(), flags))
        except DataError as error:
            results.append((str(error), []))
    assert results[0] == results[1]


def test_what_no_word_of_is_known_is_flagged_or_refused_and_what_is_missing_stays_missing() -> None:
    fitted = fit([FIELD], table(TEXTS))
    encoder = Encoder([FIELD], fitted)
    known, unknown, none = encoder.rows([{"review": "late"}, {"review": "xyz uvw qrs"}, {"review": None}]).matrix
    assert encoder.rows([{"review": "xyz"}]).flags == [("unseen:review",)]
    assert (known[-1], unknown[-1], np.count_nonzero(unknown[:-1])) == (1, 3, 0)
    assert np.isnan(none).all()
    strict = Encoder([InputField("review", "varchar", unseen="refuse", terms=6)], fitted)
    with pytest.raises(DataError, match="Row 1, field 'review': expected a text with a word that training met, found "):
        strict.rows([{"review": "xyz"}])
    with pytest.raises(DataError, match="Row 1, field 'review': expected text, found nothing"):
        strict.rows([{}])
    with pytest.raises(DataError, match="field 'review': expected text, found 7"):
        strict.rows([{"review": 7}])


def test_terms_are_kept_in_the_package_and_others_fields_as_they_were(tmp_path: Path) -> None:
    fitted = (*fit([FIELD], table(TEXTS)), FittedField("n", median=1.5))
    write_transforms(tmp_path, fitted)
    assert read_transforms(tmp_path) == fitted
    assert '{"name":"n","categories":null,"median":1.5}' in (tmp_path / "transforms.json").read_text()


def test_texts_without_a_common_word_and_medians_of_texts_are_refused() -> None:
    with pytest.raises(DataError, match="Feature 'review' is a text, and no word is in 2 of 2 training rows"):
        fit([FIELD], table(["one", "two"]))
    with pytest.raises(SpecError, match="Feature 'review' is a text and has no median"):
        fit([InputField("review", "varchar", missing="median", terms=6)], table(TEXTS))
