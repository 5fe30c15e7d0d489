"""What to do with an object that lies in the store, given the receipts of its key: nothing, load it, or refuse it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from mlplatform.core.loads.plan import Receipt

ChangedObject = Literal["refuse", "replace", "append"]


@dataclass(frozen=True)
class Decision:
    """`action` and what a plan needs for it: batches to replace, records to skip, or why it is refused."""

    action: Literal["nothing", "load", "refuse"]
    supersedes: tuple[str, ...] = ()
    skip_rows: int = 0
    appends_to: str = ""
    why: str = ""


NOTHING = Decision("nothing")


def decide(key: str, etag: str, receipts: Sequence[Receipt], on_changed_object: ChangedObject) -> Decision:
    """`receipts` are those of the same key and table, oldest first.

    An object of which nothing was loaded (it was unparseable, or refused) is loaded when it changes: that is its repair.
    """
    if not receipts:
        return Decision("load")
    loaded = [r for r in receipts if r.outcome == "loaded"]
    known = [receipts[-1].etag] if on_changed_object == "replace" else [receipts[-1].etag, *(r.etag for r in loaded)]
    if etag in known:
        return NOTHING
    if not loaded:
        return Decision("load")
    if on_changed_object == "replace":
        return Decision("load", supersedes=tuple(r.batch_id for r in loaded))
    if on_changed_object == "append":
        return Decision("load", skip_rows=loaded[-1].arrived, appends_to=loaded[-1].content_sha256)
    return Decision(
        "refuse",
        why=f"Object '{key}' changed after it was loaded: expected ETag {loaded[-1].etag}, found {etag}. "
        "Give new data a new key, or set on_changed_object to replace or append.",
    )
