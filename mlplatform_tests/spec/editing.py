"""Edits of a system's YAML, as a user makes them."""

from __future__ import annotations

from pathlib import Path

import mlplatform

EXAMPLES = Path(mlplatform.__path__[0]) / "defs"


def edit(path: Path, before: str, after: str) -> int:
    """Replace `before` (must be there once); the line it stood on."""
    text = path.read_text()
    assert text.count(before) == 1
    path.write_text(text.replace(before, after))
    return text[: text.index(before)].count("\n") + 1
