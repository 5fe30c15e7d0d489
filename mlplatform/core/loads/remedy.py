"""What to do about data that does not fit: the next step in a receipt's reason, and beside records in quarantine."""

from __future__ import annotations

UPLOAD_AGAIN = "Upload a whole one under the same key."
SAVE_AS_UTF8 = "Save it as UTF-8 and upload it under the same key."
CLOSE_QUOTE = (
    "Close the quote and upload it under the same key, or declare the dialect (format.quote) in the source's YAML."
)


def replay(table: str, system: str = "SYSTEM") -> str:
    """The command that loads a table's quarantined records again."""
    return f"mlplatform quarantine replay {system}/{table}"


def fix_columns(table: str) -> str:
    """The step for an object whose columns are not the table's."""
    return (
        "Correct the columns and upload it under the same key, or correct the table or the source's format in the YAML and: "
        f"{replay(table)}"
    )


def fix_dialect(table: str) -> str:
    """The step for an object that is not written as its source's format says."""
    return f"Declare how it is written (format, in the source's YAML) and: {replay(table)}"


def fix_records(table: str, system: str) -> str:
    """The step for single records that do not fit."""
    return (
        "Correct them at their source and send them again, or correct the table in the YAML and: "
        f"{replay(table, system)}. Those of no use: mlplatform quarantine discard {system}/{table}"
    )
