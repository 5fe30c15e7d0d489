"""How commands speak: tables and words for people, one JSON document for machines."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from cyclopts.validators import Number

from mlplatform.errors import DataError, NotFoundError, PlatformError

Json = Annotated[bool, Parameter(name="--json", negative=(), help="Print one JSON document instead of text.")]
Count = Annotated[int, Parameter(validator=Number(gte=1))]
Seconds = Annotated[float, Parameter(validator=Number(gt=0))]


_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?\+00:00")
"""A time in UTC as JSON has it; people get it without fractions of a second."""


def plain(value: Any) -> Any:
    """`value` as JSON knows it: dataclasses as objects, times as ISO text, bytes as text where they are, else as hex."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [plain(v) for v in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.hex()
    return str(value)


def show(data: Any, *, as_json: bool, text: str | None = None, columns: Sequence[str] = ()) -> None:
    """Print `data`: as JSON, else `text`, else a table of its rows; of `columns` only, where they are named."""
    if as_json:
        print(json.dumps(plain(data), ensure_ascii=False))
        return
    if text is None:
        rows = plain(data)
        text = table([{name: row[name] for name in columns} for row in rows] if columns else rows)
    print(text)


def table(rows: Any) -> str:
    """Rows of one shape as aligned columns; one object as its keys and values."""
    if isinstance(rows, Mapping):
        width = max((len(k) for k in rows), default=0)
        return "\n".join(f"{k:<{width}}  {_cell(v)}" for k, v in rows.items())
    if not rows:
        return "(nothing)"
    if not isinstance(rows[0], Mapping):
        return "\n".join(_cell(r) for r in rows)
    names = list(rows[0])
    cells = [names, *[[_cell(r.get(n)) for n in names] for r in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(names))]
    numeric = [all(isinstance(r.get(n), int | float) or r.get(n) is None for r in rows) for n in names]
    lines = [
        "  ".join(
            c.rjust(w) if right else c.ljust(w) for c, w, right in zip(row, widths, numeric, strict=True)
        ).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("─" * w for w in widths), *lines[1:]])


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{k}={_cell(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(_cell(v) for v in value)
    text = str(value)
    return _TIME.sub(r"\1 \2Z", text) if _TIME.fullmatch(text) else text


def complain(error: PlatformError, *, as_json: bool) -> None:
    """Say on stderr what failed and what to do about it."""
    if as_json:
        body = {"error": {"code": error.code, "message": error.message, "next_step": error.next_step}}
        print(json.dumps(body, ensure_ascii=False), file=sys.stderr)
        return
    print(f"error: {error.message}", file=sys.stderr)
    print(f"  → {error.next_step}", file=sys.stderr)


def complain_of_use(message: str) -> None:
    """Say on stderr, as JSON, that the command was called wrongly."""
    body = {"error": {"code": "wrong_use", "message": message, "next_step": "Add --help for what it takes."}}
    print(json.dumps(body, ensure_ascii=False), file=sys.stderr)


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises as `readable` does."""
    return readable(path).read_bytes()


def readable(path: Path) -> Path:
    """`path`, which is a file, pipe or device that can be read.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is a folder, or closed to this user.
    """
    if not path.exists():
        raise NotFoundError(f"There is no file '{path}'.", next_step=f"Look in '{path.absolute().parent}'.")
    if path.is_dir():
        raise DataError(f"'{path}' is a folder, expected a file.", next_step="Name a file in it.")
    if not os.access(path, os.R_OK):
        raise DataError(f"'{path}' cannot be read by this user.", next_step=f"chmod u+r {path}")
    return path
