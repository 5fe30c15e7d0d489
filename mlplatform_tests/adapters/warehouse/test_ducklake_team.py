"""A team's DuckLake where something is wrong: errors name the place and tell no secret, and a lost session is opened anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.object_store.s3 import S3ObjectStore
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.adapters.warehouse.ducklake_team import TeamPlace, TeamSettings
from mlplatform.errors import DataError, NotFoundError, PlatformError, UnavailableError
from mlplatform.platform.connections import warehouse
from mlplatform.spec.home import Home
from mlplatform.spec.profile import Connection
from mlplatform_tests.conformance.object_stores import ministack_server
from mlplatform_tests.conformance.team_ducklake import TeamLake, team_lake
from mlplatform_tests.conformance.warehouses import HEADER, PRICES, Case
from mlplatform_tests.servers.redshift.postgres import PASSWORD, postgres

__all__ = ["ministack_server", "team_lake"]

SECRETS = EnvironmentSecrets({"MLPLATFORM_SECRET_DUCKLAKE_PASSWORD": PASSWORD})


@pytest.fixture
def loaded(team_lake: TeamLake, tmp_path: Path) -> Iterator[Case]:
    opened = team_lake.opener(tmp_path / "lake")
    case = Case("ducklake-team", opened(), DirectoryObjectStore(tmp_path / "objects"), opened)
    case.warehouse.create(PRICES)
    case.load("in/a.csv", HEADER + b"A,,1,,2020-01-01\n")
    yield case
    case.warehouse.close()  # type: ignore[attr-defined]


def test_a_profile_with_settings_means_a_teams_lake(team_lake: TeamLake, tmp_path: Path) -> None:
    connection = Connection(port="warehouse", adapter="ducklake", settings=team_lake.settings().model_dump())
    with closing(warehouse(connection, Home(tmp_path), "shop", lambda: SECRETS)) as found:  # type: ignore[type-var]
        found.create(PRICES)
        assert found.query("SELECT count(*) AS n FROM prices").to_pylist() == [{"n": 0}]
    rows = team_lake.catalogue.psql("SELECT count(*) FROM shop.ducklake_table WHERE table_name = 'prices'")
    assert rows == [["1"]]
    assert not (tmp_path / "warehouse" / "shop" / "catalog.sqlite").exists()


def test_a_server_that_is_not_there_is_named_without_the_password(team_lake: TeamLake, tmp_path: Path) -> None:
    settings = team_lake.settings().model_copy(update={"port": 1})
    lake = DuckLakeWarehouse(tmp_path, place=TeamPlace(settings, SECRETS, system="shop"))
    with pytest.raises(UnavailableError, match=r"database 'postgres' at 127\.0\.0\.1:1") as told:
        lake.create(PRICES)
    assert PASSWORD not in f"{told.value}{told.value.__cause__}"
    lake.close()


def test_a_bucket_that_is_not_there_is_named(team_lake: TeamLake, tmp_path: Path) -> None:
    settings = team_lake.settings().model_copy(update={"bucket": "nowhere-at-all"})
    lake = DuckLakeWarehouse(tmp_path / "lake", place=TeamPlace(settings, SECRETS, system="no_bucket"))
    case = Case("ducklake-team", lake, DirectoryObjectStore(tmp_path / "objects"), lambda: lake)
    lake.create(PRICES)
    with pytest.raises(NotFoundError, match="nowhere-at-all"):
        case.load("in/a.csv", HEADER + b"A,,1,,2020-01-01\n")
    lake.close()


def test_missing_credentials_are_an_error_that_says_so(
    team_lake: TeamLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    lake = DuckLakeWarehouse(tmp_path, place=TeamPlace(team_lake.settings(), SECRETS, system="shop"))
    with pytest.raises(PlatformError, match="no credentials for s3://"):
        lake.create(PRICES)


def test_sessions_that_the_server_ended_are_opened_anew(team_lake: TeamLake, loaded: Case) -> None:
    ended = team_lake.catalogue.psql(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )
    assert int(ended[0][0]) > 0
    found = []
    for number in range(4):
        try:
            found.append(loaded.load(f"in/{number}.csv", HEADER + b"B%d,,1,,2020-01-01\n" % number).loaded)
        except UnavailableError:
            continue
    assert sum(found) == len(found) >= 3
    assert loaded.count() == 1 + sum(found)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM postgres_query('__ducklake_metadata_w', 'SELECT 1')",
        "SELECT * FROM read_parquet('s3://another-bucket/file.parquet')",
        "SELECT * FROM read_csv('/etc/passwd')",
    ],
)
def test_a_query_reaches_nothing_but_the_lake(loaded: Case, sql: str) -> None:
    with pytest.raises(DataError):
        loaded.warehouse.query(sql)


def test_no_draft_stays_behind_on_this_machine_and_none_that_was_not_committed_in_the_bucket(
    team_lake: TeamLake, loaded: Case, tmp_path: Path
) -> None:
    def files() -> list[str]:
        return [path.name for path in (tmp_path / "lake").rglob("*.parquet")]

    def objects() -> int:
        settings = team_lake.settings()
        with closing(S3ObjectStore(settings.bucket, endpoint_url=settings.endpoint_url)) as store:
            return sum(found.key.endswith(".parquet") for found in store.list("lake/"))

    before = objects()
    assert loaded.load("in/b.csv", HEADER + b"B,,1,,2020-01-01\nB,,1,,2020-01-01\n").duplicates == 1
    assert files() == []
    # Its rows, and nothing of the draft that had them twice; the books' rows lie in the catalogue.
    assert objects() == before + 1


def test_settings_that_are_wrong_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="bukket"):
        TeamSettings.model_validate({"host": "h", "database": "d", "user": "u", "bukket": "b"})


def test_a_query_while_the_catalogue_is_away_says_so(team_lake: TeamLake, tmp_path: Path) -> None:
    with postgres() as catalogue:
        lake = TeamLake(catalogue, team_lake.objects, team_lake.store)
        found = lake.opener(tmp_path / "lake")()
        found.create(PRICES)
        assert found.query("SELECT count(*) AS n FROM prices").to_pylist() == [{"n": 0}]
    with pytest.raises(UnavailableError, match="query"):
        found.query("SELECT count(*) AS n FROM prices")
    with pytest.raises(UnavailableError):
        found.unload({"u": "SELECT ticker FROM prices"}, lake.store)
    found.close()
