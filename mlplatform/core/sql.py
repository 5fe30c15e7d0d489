"""Names and texts inside SQL, quoted."""

from __future__ import annotations


def identifier(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """`text` as an SQL string (where a backslash is only a backslash)."""
    return "'" + text.replace("'", "''") + "'"
