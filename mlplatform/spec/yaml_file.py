"""A YAML file as a person wrote it: what keeps it from being read is told with file, line and key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml


class YamlFileError(ValueError):
    """It is no text, no YAML, or says a thing twice; one fault a line."""


def read_documents(path: Path) -> list[tuple[yaml.Node, Any]]:
    """The file's documents: each with its nodes, which know their lines. Empty ones are left out.

    Raises:
        YamlFileError: with every fault found, one a line: ``file:line: what``.
    """
    try:
        text = path.read_text("utf-8-sig")
        nodes = [n for n in yaml.compose_all(text, Loader=yaml.SafeLoader) if n is not None]
        documents = [d for d in yaml.safe_load_all(text) if d is not None]
    except UnicodeDecodeError as error:
        raise YamlFileError(f"{path}: expected UTF-8, found {error}.") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise YamlFileError(f"{path}:{line}: not readable as YAML: {error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise YamlFileError(f"{path}: not readable as YAML: {error}.") from error
    faults = [f"{path}:{line}: {words}" for node in nodes for line, words in _doubled(node, (), set())]
    if faults:
        raise YamlFileError("\n".join(faults))
    # A document that is an explicit null has a node and no value.
    named = [node for node in nodes if node.tag != "tag:yaml.org,2002:null"]
    return list(zip(named, documents, strict=True))


def _doubled(node: yaml.Node, where: tuple[str, ...], seen: set[int]) -> Iterator[tuple[int, str]]:
    """Lines (from 1) of keys that their mapping has already, of which YAML would keep the last."""
    if id(node) in seen:  # an alias; it may even lead round in a circle
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield from _doubled(value, (*where, str(place)), seen)
    if not isinstance(node, yaml.MappingNode):
        return
    first: dict[str, int] = {}
    for key, value in node.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in first:
            yield line, f"{'.'.join((*where, name))}: expected once, found in line {first[name]} too"
        first.setdefault(name, line)
        yield from _doubled(value, (*where, name), seen)
