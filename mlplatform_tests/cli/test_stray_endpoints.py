"""Endpoints that no YAML has any more: the status shows them, and `destroy` ends them, alone or with their system."""

from __future__ import annotations

import shutil

import pytest

from mlplatform.ports.endpoints import Deployment
from mlplatform.stations.removed_endpoint import removed_endpoint
from mlplatform_tests.cli.commands import Shell

STRAY, WANTED = "stock_prices/earlier", "stock_prices/stock_prices"


def deploy(shell: Shell, endpoint: str) -> None:
    """A record of the first generation, as a release leaves it."""
    at = "2026-01-02T03:04:05+00:00"
    shell.platform().endpoints.deploy(
        Deployment(endpoint, 1, "stock_prices.stock_model", 1, "0" * 64, "refresh", "run-1", at)
    )


@pytest.fixture
def deployed(shell: Shell) -> Shell:
    """Two endpoints of a system, of which the YAML has one."""
    assert shell.run("apply").code == 0
    deploy(shell, STRAY)
    deploy(shell, WANTED)
    return shell


def test_the_status_shows_one_and_what_ends_it(deployed: Shell) -> None:
    done = deployed.run("status", "--json")
    assert done.code == 10
    (row,) = [e for e in done.json["endpoints"] if e["endpoint"] == STRAY]
    assert (row["version"], row["message"].split("; ")[0]) == (1, "not in the YAML")
    assert [t for t in done.json["troubles"] if "not in the YAML" in t] == [
        f"endpoint {STRAY} is not in the YAML, but still deployed; to end it: mlplatform destroy {STRAY}"
    ]


def test_where_its_system_is_gone_too_the_system_is_named(deployed: Shell) -> None:
    shutil.rmtree(deployed.defs / "stock_prices")
    troubles = [t for t in deployed.run("status", "--json").json["troubles"] if "not in the YAML" in t]
    assert [t.rpartition(": ")[2] for t in troubles] == ["mlplatform destroy stock_prices"] * 2
    assert deployed.run("destroy", "stock_prices", "--yes").code == 0
    assert deployed.platform().endpoints.list() == []
    assert "not in the YAML" not in deployed.run("status").out


def test_it_can_be_ended_alone_and_its_generations_are_not_given_again(deployed: Shell) -> None:
    said = deployed.run("destroy", STRAY)
    assert said.out.splitlines()[:2] == [f"Would remove of endpoint '{STRAY}':", f"  endpoint: {STRAY}"]
    platform = deployed.platform()
    assert platform.endpoints.list() == [STRAY, WANTED]
    assert deployed.run("destroy", STRAY, "--yes", "--json").json["removed"]
    assert platform.endpoints.list() == [WANTED]
    ended = removed_endpoint(platform.items, STRAY)
    assert ended is not None
    assert ended.generation == 1
    assert "not in the YAML" not in deployed.run("status").out


def test_one_that_the_yaml_has_or_that_is_not_there_is_refused(deployed: Shell) -> None:
    wanted = deployed.run("destroy", WANTED, "--yes", "--json")
    assert (wanted.code, wanted.error["next_step"]) == (7, "Take it out of the YAML first.")
    none = deployed.run("destroy", "stock_prices/none", "--yes", "--json")
    assert none.code == 6
    assert none.error["message"].endswith(f"without a YAML there are: {STRAY}.")
    assert deployed.platform().endpoints.list() == [STRAY, WANTED]
