"""The tutorial, followed to the letter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from mlplatform_tests.docs.walkthrough import Block, Walkthrough, blocks, reader, says
from mlplatform_tests.servers.ports import free_port

REPOSITORY = Path(__file__).parents[2]
TUTORIAL = blocks(REPOSITORY / "docs" / "tutorial.md")
EXAMPLE = REPOSITORY / "examples" / "passengers"
SYSTEM = "titanic/defs/passengers/"


@pytest.fixture
def walk(tmp_path: Path) -> Iterator[Walkthrough]:
    names = ("MLPLATFORM_GATEWAY_PORT", "MLPLATFORM_UI_PORT", "MLPLATFORM_TRACKER_PORT")
    walk = reader(tmp_path, {name: free_port() for name in names})
    yield walk
    walk.close()


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_following_the_tutorial_gives_what_it_says(walk: Walkthrough) -> None:
    for block in TUTORIAL:
        walk.follow(block)


def test_its_files_are_those_of_the_finished_example(tmp_path: Path) -> None:
    walk = reader(tmp_path / "titanic", {})
    for block in TUTORIAL:
        if block.title:
            walk.follow(block)
    written, example = (
        list(yaml.safe_load_all(path.read_text()))
        for path in (walk.folder / SYSTEM / "defs.yaml", EXAMPLE / "defs.yaml")
    )
    assert written == example
    assert (walk.folder / SYSTEM / "features.sql").read_text() == (EXAMPLE / "features.sql").read_text()
    assert (walk.folder / "lists.py").read_text() == (EXAMPLE / "lists.py").read_text()


def test_there_is_a_block_for_every_step() -> None:
    assert len([b for b in TUTORIAL if b.language == "console"]) >= 15
    assert [b.title for b in TUTORIAL if b.title].count(f"{SYSTEM}defs.yaml") == 3


@pytest.mark.parametrize(
    ("expected", "printed", "right"),
    [
        ("a\n", "a\n", True),
        ("a\n", "b\n", False),
        ("a\n", "a\nb\n", False),
        ("a\n...\n", "a\nb\nc\n", True),
        ("...\nc\n", "a\nb\nc\n", True),
        ("...\nd\n", "a\nb\nc\n", False),
        ("x 1 …\n", "x   1   rest\n", True),
        ("port people\nS 2\n", "port  people\n────  ──────\nS          2\n", True),
        ("", "something\n", False),
        ("...\n", "", True),
    ],
)
def test_output_is_compared_line_by_line(expected: str, printed: str, right: bool) -> None:
    assert says(expected, printed) == right


def test_a_command_is_a_line_with_a_prompt() -> None:
    block = Block("console", "", "$ a b\nout\n$ c\n", "")
    assert block.commands == [("a b", "\nout\n"), ("c", "\n")]
