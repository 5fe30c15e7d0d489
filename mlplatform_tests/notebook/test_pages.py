"""The pages on notebooks and rehearsals are followed to the letter: commands run, cells executed, outputs compared."""

from __future__ import annotations

import ast
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlplatform.errors import PlatformError
from mlplatform_tests.cli.commands import OWN
from mlplatform_tests.docs.walkthrough import Walkthrough, blocks, says

REPOSITORY = Path(__file__).parents[2]
PAGES = REPOSITORY / "docs" / "how-to"


def shown(cell: str, names: dict[str, Any]) -> str:
    """What a notebook shows for a cell: its last expression's value, or the error that ended it."""
    tree = ast.parse(cell)
    last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
    try:
        exec(compile(tree, "cell", "exec"), names)  # noqa: S102 - the page
        value = None if last is None else eval(compile(last, "cell", "eval"), names)  # noqa: S307
    except PlatformError as error:
        return f"{type(error).__name__}: {error}"
    if isinstance(value, pd.DataFrame):
        return value.to_string()
    return "" if value is None else repr(value)


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Walkthrough:
    """A terminal in an empty folder, whose systems are the shipped examples."""
    for name in OWN:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLPLATFORM_DEFS", str(REPOSITORY / "mlplatform" / "defs"))
    return Walkthrough(tmp_path, dict(os.environ))


def test_the_page_on_notebooks(reader: Walkthrough) -> None:
    names: dict[str, Any] = {}
    found = ""
    for block in blocks(PAGES / "notebooks.md"):
        if block.language == "console":
            reader.follow(block)
        elif block.language == "python":
            found = shown(block.text, names)
        else:
            assert says(block.text, found), f"expected:\n{block.text}\nfound:\n{found}"
    names["project"].close()


@pytest.mark.slow
def test_the_page_on_rehearsals(reader: Walkthrough) -> None:
    for block in blocks(PAGES / "test-a-system.md"):
        reader.follow(block)
