"""Corrections as a check: whether the rows a model was trained on are still those that the table has for that time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlplatform.ports.asset_events import CheckOutcome
from mlplatform.spec.monitor import CorrectionsSpec

NAME = "corrections"


def check_corrections(
    spec: CorrectionsSpec, manifest: Mapping[str, Any], *, trained_rows: int, since_loaded: int | None
) -> CheckOutcome:
    """Judge the share of rows that came late, were corrected, or were erased.

    Args:
        manifest: of the snapshot that was trained on; its ``erased`` counts rows that were erased since.
        trained_rows: rows of that snapshot.
        since_loaded: rows of the training window that were loaded since; None where nobody knows.
    """
    erased = sum(int(note["rows"]) for note in manifest.get("erased", []))
    metadata: dict[str, Any] = {"trained_rows": trained_rows, "erased_rows": erased, "threshold": spec.max_share}
    if since_loaded is None:
        why = "not judged: when rows of its training window were loaded is not known"
        return CheckOutcome(NAME, True, blocking=False, metadata=metadata, description=why)
    share = (since_loaded + erased) / max(1, trained_rows)
    said = (
        f"{since_loaded} rows of its training window came late or were corrected since, {erased} were erased: "
        f"{share:.2%} of {trained_rows}"
    )
    metadata |= {"late_or_corrected_rows": since_loaded, "share": share}
    return CheckOutcome(NAME, share <= spec.max_share, blocking=False, metadata=metadata, description=said)
