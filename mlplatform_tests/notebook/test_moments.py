"""A table at a moment: by ledger position, by time, by what features were made from, while more is loaded."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

import mlplatform
from mlplatform.errors import DataError, NotFoundError
from mlplatform.notebook.system import SystemView
from mlplatform_tests.cli.commands import Shell, make_shell


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shell, list[datetime]]:
    shell = make_shell(tmp_path_factory.mktemp("moments"))
    times = []
    for first in (0, 10, 20):
        shell.load_days(first, first + 10)
        times.append(datetime.now(UTC))
    return shell, times


@pytest.fixture
def system(loaded: tuple[Shell, list[datetime]], monkeypatch: pytest.MonkeyPatch) -> Iterator[SystemView]:
    monkeypatch.setenv("MLPLATFORM_DEFS", str(loaded[0].defs))
    with mlplatform.open(home=loaded[0].home) as opened:
        yield opened.system("stock_prices")


def test_a_ledger_position_counts_loads(system: SystemView) -> None:
    assert [system.table("stock_table", at=n).num_rows for n in (1, 2, 3)] == [200, 400, 600]
    with pytest.raises(NotFoundError, match="no ledger position 4; the newest is 3"):
        system.table("stock_table", at=4)


def test_a_time_shows_what_was_loaded_by_then(system: SystemView, loaded: tuple[Shell, list[datetime]]) -> None:
    assert [system.table("stock_table", at=at).num_rows for at in loaded[1]] == [200, 400, 600]
    elsewhere = loaded[1][1].astimezone(tz=None)
    assert system.query("SELECT count(*) AS n FROM stock_table", at=elsewhere).to_pylist() == [{"n": 400}]
    with pytest.raises(NotFoundError, match="There is no version as of 2020"):
        system.table("stock_table", at=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(DataError, match="says no time zone"):
        system.table("stock_table", at=datetime(2030, 1, 1))  # noqa: DTZ001


def test_a_snapshot_of_features_shows_the_table_it_was_made_from(system: SystemView, loaded: Any) -> None:
    stations = loaded[0].platform().system("stock_prices")
    snapshot = stations.features("stock_features").build(datetime.now(UTC))
    loaded[0].load_days(30, 40)
    assert system.table("stock_table", at=snapshot.ref).num_rows == 600
    assert system.table("stock_table").num_rows == 800
    newest = system.query("SELECT max(trading_day) AS day FROM stock_table", at=snapshot.ref).to_pylist()[0]["day"]
    assert date(1990, 1, 1) < newest < system.table("stock_table").to_pandas()["trading_day"].max()


def test_an_expired_version_is_told(system: SystemView, loaded: tuple[Shell, list[datetime]]) -> None:
    warehouse = loaded[0].platform().system("stock_prices").warehouse()
    warehouse.maintain(now=datetime.now(UTC) + timedelta(days=1), keep=timedelta(seconds=1))
    with pytest.raises(NotFoundError, match="ledger position 1 has expired; the next that is kept is at"):
        system.table("stock_table", at=1)


LOADER = """
import pathlib, sys
from mlplatform_tests.cli.commands import Shell

shell = Shell(pathlib.Path(sys.argv[1]))
for first in range(100, 150, 10):
    shell.load_days(first, first + 10)
"""


@pytest.mark.slow
def test_reading_beside_a_loader_sees_whole_loads_and_disturbs_none(loaded: tuple[Shell, list[datetime]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLPLATFORM_DEFS", str(loaded[0].defs))
        with mlplatform.open(home=loaded[0].home) as opened:
            system = opened.system("stock_prices")
            before = system.table("stock_table").num_rows
            loader = subprocess.Popen([sys.executable, "-c", LOADER, str(loaded[0].root)])
            seen = []
            while loader.poll() is None:
                seen.append(system.table("stock_table").num_rows)
                time.sleep(0.05)
            assert loader.returncode == 0
            after = system.table("stock_table").num_rows
    assert after == before + 5 * 200
    assert seen == sorted(seen)
    assert {count % 200 for count in seen} == {0}
