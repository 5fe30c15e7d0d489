"""Commands in README and docs are commands: each parses, and those that need nothing else are run."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from mlplatform.cli.main import STANDARD_INPUT, command_line
from mlplatform_tests.cli.commands import Shell, make_shell

REPOSITORY = Path(__file__).parents[2]
PAGES = [
    REPOSITORY / "README.md",
    # The tutorial has a test of its own.
    *(page for page in sorted((REPOSITORY / "docs").glob("*.md")) if page.name != "tutorial.md"),
    *sorted((REPOSITORY / "docs" / "how-to").glob("*.md")),
]
RUN = ("upload", "put", "query", "quarantine list", "quarantine replay", "keys create", "keys list", "models", "receipts", "requests", "plan", "apply", "evaluations", "destroy", "state version", "state check")  # fmt: skip
"""Commands that can be run on an installation that nothing serves."""


def commands(path: Path) -> Iterator[str]:
    """Command lines of mlplatform on a page: in blocks, and in running text."""
    text = path.read_text("utf-8")
    for found in re.findall(r"^    (mlplatform [^\n]+)$|`(mlplatform [^`\n]+)`", text, re.MULTILINE):
        line = re.sub(r"\s+#.*$", "", found[0] or found[1])
        if not line.endswith("…") and not line.startswith("mlplatform."):
            yield line


def words(line: str) -> list[str]:
    return [STANDARD_INPUT if w == "-" else w for w in shlex.split(line)[1:]]


def only_named(line: str) -> bool:
    """Whether a line names a command that there is, and gives it nothing: running text does that."""
    app = command_line()
    for word in words(line):
        if word not in app:
            return False
        app = app[word]
    return True


def parses(line: str) -> bool:
    try:
        command_line().parse_args(words(line), exit_on_error=False, print_error=False)
    except CycloptsError:
        return False
    return True


EVERY = [pytest.param(line, id=f"{page.name}: {line[:60]}") for page in PAGES for line in dict.fromkeys(commands(page))]


def to_run(line: str) -> bool:
    return line.removeprefix("mlplatform ").startswith(RUN) and (parses(line) or not only_named(line))


def test_there_are_commands_to_look_at() -> None:
    assert len(list(commands(REPOSITORY / "README.md"))) >= 12
    assert len(EVERY) > 30


@pytest.mark.parametrize("line", EVERY)
def test_a_command_in_the_docs_parses(line: str) -> None:
    assert parses(line) or only_named(line)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """An installation, and the files that the docs name, where one stands."""
    shell = make_shell(tmp_path_factory.mktemp("docs"))
    for system in shell.platform().specs:
        shell.platform().system(system).prepare()
    return shell


@pytest.mark.parametrize("line", [p for p in EVERY if to_run(str(p.values[0]))])
def test_a_command_in_the_docs_does_what_it_says(
    line: str, site: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if "churn" in line:
        row = {"id": "a", "happened_on": "2026-01-01", "category": "x", "amount": 1.0, "target": 2.0}
    else:
        row = {"ticker_symbol": "AAPL", "sector": "Energy", "change": 1.0, "price": 2.0, "trading_day": "2026-01-02"}
    Path("history.csv").write_text(",".join(row) + "\n" + ",".join(map(str, row.values())) + "\n")
    Path("days.jsonl").write_text(json.dumps(row) + "\n")
    done = site.run(*words(line))
    assert done.code == 0, f"{line}\n{done.err}"


def test_links_between_pages_lead_somewhere() -> None:
    broken = [
        f"{page.name}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert broken == []
