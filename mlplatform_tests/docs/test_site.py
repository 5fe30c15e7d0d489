"""The site builds without a warning, holds every page, and reads from a folder without the internet."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

REPOSITORY = Path(__file__).parents[2]
DOCS = REPOSITORY / "docs"


class _Tags(yaml.SafeLoader):
    """YAML whose own tags stay unread."""


_Tags.add_multi_constructor("!", lambda *_: None)
_Tags.add_multi_constructor("tag:", lambda *_: None)


class Loaded(HTMLParser):
    """What a browser loads by itself when it opens a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "object"):
            self.found += [str(values[name]) for name in ("src", "data") if values.get(name)]
        if tag == "link" and values.get("rel") in ("stylesheet", "icon", "preload", "preconnect", "dns-prefetch"):
            self.found.append(str(values.get("href")))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=REPOSITORY, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return folder


def pages(site: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(site.rglob("*.html")):
        yield str(path.relative_to(site)), path.read_text("utf-8")


def test_every_page_is_in_it(site: Path) -> None:
    missing = [
        str(page.relative_to(DOCS))
        for page in DOCS.rglob("*.md")
        if not (site / page.relative_to(DOCS)).with_suffix(".html").is_file()
    ]
    assert missing == []


def test_every_page_but_the_decisions_is_in_the_menu() -> None:
    config = yaml.load((REPOSITORY / "mkdocs.yml").read_text(), _Tags)  # noqa: S506 - a SafeLoader

    def listed(node: Any) -> Iterator[str]:
        if isinstance(node, str):
            yield node
        for child in node if isinstance(node, list) else node.values() if isinstance(node, dict) else ():
            yield from listed(child)

    there = {str(p.relative_to(DOCS)) for p in DOCS.rglob("*.md") if p.parent.name != "adr"}
    assert there - set(listed(config["nav"])) == set()


def test_every_decision_is_listed() -> None:
    page = (DOCS / "decisions.md").read_text()
    assert [p.name for p in sorted((DOCS / "adr").glob("*.md")) if f"(adr/{p.name})" not in page] == []


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    found = []
    for name, text in pages(site):
        parser = Loaded()
        parser.feed(text)
        found += [f"{name}: {url}" for url in parser.found if re.match(r"(https?:)?//", url)]
    assert found == []


def test_styles_load_nothing_from_elsewhere(site: Path) -> None:
    found = [
        f"{path.name}: {url}"
        for path in site.rglob("*.css")
        for url in re.findall(r"url\(['\"]?((?:https?:)?//[^)'\"]+)", path.read_text("utf-8"))
    ]
    assert found == []


def test_links_work_without_a_server(site: Path) -> None:
    text = (site / "index.html").read_text("utf-8")
    assert 'href="tutorial.html"' in text
    assert 'href="reference/yaml.html"' in text
    assert (site / "search" / "search_index.js").is_file(), "search works from a folder too"
