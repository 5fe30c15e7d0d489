"""The reference says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mlplatform.cli.reference import main, pages
from mlplatform.gateway.reference import main as http_main
from mlplatform.gateway.reference import pages as http_pages

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", ["yaml.md", "connections.md", "cli.md", "errors.md"])
def test_the_reference_is_in_step_with_the_code(name: str) -> None:
    assert (FOLDER / name).read_text("utf-8") == pages()[name], "run: make docs"


def test_every_key_has_a_meaning() -> None:
    assert [row for row in pages()["yaml.md"].splitlines() if re.search(r"\|\s*\|$", row)] == []


def test_every_key_has_an_example_or_keys_below_it_that_do() -> None:
    bare = []
    for row in pages()["yaml.md"].splitlines():
        if row.startswith("| `"):
            key, kind, _, example, _ = (cell.strip() for cell in row[2:-2].split(" | "))
            if not example and kind != "object" and "of object" not in kind:
                bare.append(key)
    assert bare == []


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
    assert {p.name for p in (tmp_path / "new").iterdir()} == {
        "yaml.md",
        "connections.md",
        "cli.md",
        "errors.md",
        "schema",
    }
    assert main([]) == 2


@pytest.fixture(scope="module")
def http() -> dict[str, str]:
    return http_pages()


@pytest.mark.parametrize("name", ["http.md", "openapi.json"])
def test_the_reference_of_the_http_api_is_in_step_with_the_gateway(name: str, http: dict[str, str]) -> None:
    assert (FOLDER / name).read_text("utf-8") == http[name], "run: make docs"


def test_every_route_of_the_gateway_is_on_its_page(http: dict[str, str]) -> None:
    routes = json.loads(http["openapi.json"])["paths"]
    assert {"/predict/stock_prices", "/invocations", "/ping", "/health", "/endpoints"} == set(routes)
    titles = [line.split()[-1] for line in http["http.md"].splitlines() if line.startswith("## ")]
    assert titles == list(routes)


def test_fields_of_a_row_are_those_of_the_signature(http: dict[str, str]) -> None:
    assert "| `change` | number or null | no | May be null or left out. |" in http["http.md"]
    assert "| `ticker_symbol` | string | yes | An unseen value is flagged. |" in http["http.md"]


def test_the_pages_of_the_http_api_are_written_where_one_says(tmp_path: Path) -> None:
    assert http_main([str(tmp_path / "new")]) == 0
    assert {p.name for p in (tmp_path / "new").iterdir()} == {"http.md", "openapi.json"}
    assert http_main([]) == 2
