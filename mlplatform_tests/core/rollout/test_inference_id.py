"""Inference ids, read back and refused."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.core.rollout.inference_id import InferenceId, parse_inference_id
from mlplatform.errors import DataError

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,62}", fullmatch=True)


@given(NAMES, st.integers(1, 10**9), NAMES, st.uuids())
def test_an_id_is_read_back_as_it_was_made(endpoint: str, generation: int, variant: str, unique: uuid.UUID) -> None:
    made = InferenceId(endpoint, generation, variant, str(unique))
    assert parse_inference_id(str(made)) == made


@pytest.mark.parametrize("text", ["", "a.g0.main." + "0" * 36, "a.g1.main.xyz", "../a.g1.main." + "0" * 36])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="is no inference id; expected <endpoint>"):
        parse_inference_id(text)


def test_what_the_gateway_makes_is_read_back() -> None:
    from mlplatform.serving.inference_id import uuid7

    text = f"stock_prices.g12.main.{uuid7()}"
    parsed = parse_inference_id(text)
    assert (parsed.endpoint, parsed.generation, parsed.variant) == ("stock_prices", 12, "main")
