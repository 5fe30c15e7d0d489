"""The reference says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mlplatform.cli.reference import main, pages

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", ["yaml.md", "cli.md", "errors.md"])
def test_the_reference_is_in_step_with_the_code(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == pages()[name], "run: make docs"


def test_every_key_has_a_meaning() -> None:
    assert [row for row in pages()["yaml.md"].splitlines() if re.search(r"\|\s*\|$", row)] == []


def test_every_key_that_has_no_default_has_an_example() -> None:
    bare = []
    for row in pages()["yaml.md"].splitlines():
        if row.startswith("| `"):
            key, kind, default, example, _ = (cell.strip() for cell in row[2:-2].split(" | "))
            if default in ("required", "none") and not example and kind != "object" and "of object" not in kind:
                bare.append(key)
    assert [key for key in bare if not key.endswith("description`")] == []


def test_every_type_of_station_has_an_example_that_was_taken_from_a_running_system() -> None:
    page = pages()["yaml.md"]
    for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        if section.startswith("mlplatform."):
            assert f"```yaml\ntype: {section.splitlines()[0]}\n" in section


def test_errors_have_the_numbers_of_the_table() -> None:
    page = pages()["errors.md"]
    assert "| `data_error` | A record, object or request body does not fit its schema. | 5 | 400 | no |" in page
    assert "| `throttled_error` | Too much at once. | 10 | 429 | yes |" in page


def test_the_pages_are_written_where_one_says(tmp_path: Path) -> None:
    assert main([str(tmp_path / "new")]) == 0
    assert {p.name for p in (tmp_path / "new").iterdir()} == {"yaml.md", "cli.md", "errors.md", "schema"}
    assert main([]) == 2
