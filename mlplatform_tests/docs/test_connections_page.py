"""The page on connections has every adapter that a profile may name, and a meaning for each of its settings."""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any, get_args

import pytest

from mlplatform.cli.connections_page import SETTINGS, connections_page, settings_model
from mlplatform.errors import ProfileError
from mlplatform.platform import connections
from mlplatform.spec.home import Home
from mlplatform.spec.profile import Connection, Port

MAKERS: dict[str, Callable[..., Any]] = {
    port: getattr(connections, port) for port in get_args(Port) if hasattr(connections, port)
}


def adapters_of(port: Any, tmp_path: Path) -> set[str]:
    """Those that a wrong name is answered with."""
    unknown, make = Connection(port=port, adapter="none"), MAKERS[port]
    arguments: dict[str, Any] = {
        name: Home(tmp_path) if name == "home" else None
        for name, parameter in signature(make).parameters.items()
        if name != "connection" and parameter.default is parameter.empty
    }
    with pytest.raises(ProfileError, match="there are: ") as refused:
        make(unknown, **arguments)
    return set(refused.value.message.partition("there are: ")[2].rstrip(".").split(", "))


def test_every_port_is_there() -> None:
    assert set(SETTINGS) == set(get_args(Port)) == set(MAKERS)


@pytest.mark.parametrize("port", SETTINGS)
def test_every_adapter_is_there(port: str, tmp_path: Path) -> None:
    assert set(SETTINGS[port]) == adapters_of(port, tmp_path)


def test_every_setting_has_a_meaning() -> None:
    assert [row for row in connections_page().splitlines() if re.search(r"\|\s*\|$", row)] == []


def test_a_setting_that_is_not_listed_is_refused() -> None:
    models = [settings_model(name) for adapters in SETTINGS.values() for names in adapters.values() for name in names]
    assert {model.model_config.get("extra") for model in models} == {"forbid"}
