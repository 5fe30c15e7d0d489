"""What to do with an object, by its receipts and the table's policy."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

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
