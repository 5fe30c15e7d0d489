"""What to do with an object, by its receipts and the table's policy."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlplatform.core.loads.arrivals import ChangedObject, Decision, decide
from mlplatform.core.loads.plan import Outcome, Receipt
from mlplatform.core.loads.receipts import balanced
from mlplatform.errors import BugError


def receipt(etag: str, outcome: Outcome = "loaded", *, arrived: int = 3, loaded: int = 3, batch: str = "") -> Receipt:
    return Receipt(
        batch_id=batch or f"batch-{etag}",
        table="t",
        shard="objects/p/",
        last="",
        upto="1",
        epoch=0,
        key="p/k",
        etag=etag,
        content_sha256=etag,
        outcome=outcome,
        arrived=arrived,
        loaded=loaded,
        quarantined=0,
        duplicates=0 if outcome == "loaded" else arrived,
        filtered=0,
        loaded_at=datetime(2020, 1, 1, tzinfo=UTC),
    )


LOADED, REFUSED, BROKEN = receipt("1"), receipt("2", "refused", loaded=0), receipt("1", "unparseable", loaded=0)


@pytest.mark.parametrize(
    ("receipts", "etag", "policy", "expected"),
    [
        ([], "1", "refuse", Decision("load")),
        ([LOADED], "1", "refuse", Decision("nothing")),
        ([LOADED, REFUSED], "2", "refuse", Decision("nothing")),
        ([LOADED, REFUSED], "1", "refuse", Decision("nothing")),
        ([BROKEN], "1", "refuse", Decision("nothing")),
        ([BROKEN], "2", "refuse", Decision("load")),
        ([LOADED], "2", "replace", Decision("load", supersedes=("batch-1",))),
        ([LOADED, receipt("2")], "1", "replace", Decision("load", supersedes=("batch-1", "batch-2"))),
        ([LOADED], "2", "append", Decision("load", skip_rows=3, appends_to="1")),
        ([LOADED, receipt("2", arrived=5)], "3", "append", Decision("load", skip_rows=5, appends_to="2")),
    ],
)
def test_decisions(receipts: list[Receipt], etag: str, policy: ChangedObject, expected: Decision) -> None:
    assert decide("p/k", etag, receipts, policy) == expected


def test_a_refusal_names_the_object_and_both_versions() -> None:
    decision = decide("p/k", "9", [LOADED], "refuse")
    assert decision.action == "refuse"
    assert "'p/k'" in decision.why
    assert "expected ETag 1, found 9" in decision.why


def test_a_receipt_that_does_not_add_up_is_a_bug() -> None:
    assert balanced(LOADED) is LOADED
    with pytest.raises(BugError, match="arrived 4, found loaded 3"):
        balanced(receipt("1", arrived=4))


def _loaded(contents: Sequence[tuple[int, ...]], policy: ChangedObject) -> list[int]:
    """A table's rows after one key held `contents`, a version after the other, and each was loaded as decided."""
    receipts: list[Receipt] = []
    rows: dict[str, tuple[int, ...]] = {}
    for number, content in enumerate(contents):
        etag = repr(content)
        decision = decide("p/k", etag, receipts, policy)
        grown = etag[:-1].startswith(decision.appends_to.rstrip(")").rstrip(","))
        batch = f"{number}"
        if decision.action == "load" and grown:
            for replaced in decision.supersedes:
                rows.pop(replaced, None)
            rows[batch] = content[decision.skip_rows :]
            receipts.append(receipt(etag, arrived=len(content), loaded=len(rows[batch]), batch=batch))
        elif decision.action != "nothing":
            receipts.append(receipt(etag, "refused", arrived=len(content), loaded=0, batch=batch))
        again = decide("p/k", etag, receipts, policy)
        assert again == Decision("nothing"), "what was decided once is not decided again"
    return [row for loaded in rows.values() for row in loaded]


VERSIONS = st.lists(st.lists(st.integers(0, 1), min_size=1, max_size=4).map(tuple), min_size=1, max_size=8)


@given(VERSIONS)
def test_refused_changes_leave_the_first_version(contents: list[tuple[int, ...]]) -> None:
    assert _loaded(contents, "refuse") == list(contents[0])


@given(VERSIONS)
def test_replaced_is_the_last_version_whatever_came_before(contents: list[tuple[int, ...]]) -> None:
    assert _loaded(contents, "replace") == list(contents[-1])


@given(VERSIONS)
def test_appended_is_the_longest_that_each_version_went_on_from(contents: list[tuple[int, ...]]) -> None:
    expected = contents[0]
    for content in contents[1:]:
        if content[: len(expected)] == expected:
            expected = content
    assert _loaded(contents, "append") == list(expected)
