"""Homes that earlier code made, kept beside this file: this release's own processes read them, and go on where they were."""

from __future__ import annotations

import json
import lzma
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mlplatform.spec.scaffold import make_project
from mlplatform_tests.cli.commands import make_shell
from mlplatform_tests.faults.homes.make import DAYS, RUN
from mlplatform_tests.faults.served import Served
from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.serving.until import until

HOMES = sorted((Path(__file__).parent / "homes").glob("*.tar.xz"))
ROWS = (DAYS + 1) * 20
COUNT = "SELECT count(*) AS n FROM stock_table"
ROW = {"ticker_symbol": "AAPL", "sector": "Information Technology", "change": 1.0}


@pytest.fixture(params=HOMES, ids=lambda path: path.name.partition(".")[0])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    """A home restored from a backup that earlier code made."""
    project = make_project("then", tmp_path / "project")
    shutil.rmtree(project.defs)
    shell = make_shell(project.defs.parent)
    shell.more["MLPLATFORM_GATEWAY_PORT"] = str(free_port())
    shell.more["MLPLATFORM_GATEWAY_WORKERS"] = "1"
    (tmp_path / "home.tar").write_bytes(lzma.decompress(request.param.read_bytes()))
    assert shell.process("state", "restore", str(tmp_path / "home.tar")).code == 0
    made = Served(shell)
    yield made
    made.close()


def test_there_is_one() -> None:
    assert HOMES


@pytest.mark.slow
def test_a_home_of_earlier_code_is_whole_and_goes_on(served: Served) -> None:
    shell = served.shell
    migrated = shell.process("state", "migrate")
    assert migrated.code == 0, migrated.err
    assert shell.process("state", "check").code == 0
    assert rows(served) == ROWS
    (waiting,) = shell.run("quarantine", "list", "stock_prices/stock_table", "--json").json
    assert "price" in waiting["raw"]
    assert [k["label"] for k in shell.run("keys", "list", "--json").json] == ["of then"]

    token = shell.run("keys", "create", "stock_prices/stock_prices", "me", "--json").json["token"]
    started = served.start().wait_ready()
    answer = predict(served, token)
    assert answer["model"]["version"] == 1
    assert answer["model"]["generation"] == 1
    # What earlier code left on the stream is delivered and loaded, each record once.
    until(lambda: rows(served) == ROWS + 20, timeout_s=60)
    assert started.stop() == 0
    lineage = json.dumps(shell.run("lineage", answer["inference_id"], "--json").json)
    assert RUN in lineage
    assert shell.process("state", "check").code == 0


def rows(served: Served) -> int:
    return int(served.shell.run("query", "stock_prices", COUNT, "--json").json["rows"][0]["n"])


def predict(served: Served, token: str) -> dict[str, object]:
    port = served.shell.more["MLPLATFORM_GATEWAY_PORT"]
    answer = httpx.post(
        f"http://127.0.0.1:{port}/predict/stock_prices",
        json=ROW,
        headers={"authorization": f"Bearer {token}"},
        timeout=30,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    return dict(answer.json())
