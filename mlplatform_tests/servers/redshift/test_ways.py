"""Ways into Redshift beside a password: what AWS is asked for, what it refuses, and what a profile may say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.redshift_settings import redshift_settings
from mlplatform.core.loads.plan import CsvFormat, LoadPlan
from mlplatform.core.tables.schema import Column, TableSchema
from mlplatform.errors import (
    NotFoundError,
    PermissionDeniedError,
    PlatformError,
    ProfileError,
    ThrottledError,
    UnavailableError,
)
from mlplatform.platform import connections
from mlplatform.ports.object_store import ObjectStore
from mlplatform.ports.warehouse import Warehouse
from mlplatform.spec.home import Home
from mlplatform.spec.profile import Profile
from mlplatform_tests.conformance.object_stores import s3_store
from mlplatform_tests.servers.ministack.server import Ministack
from mlplatform_tests.servers.redshift.sockets import sockets
from mlplatform_tests.servers.redshift.ways import WAYS, RedshiftOnAws

__all__ = ["sockets"]

ONE = "SELECT 1 AS one"
pytestmark = pytest.mark.filterwarnings(r"ignore:ssl\.:DeprecationWarning")
"""The driver's own."""

NOTES = TableSchema("notes", (Column("id", "bigint"), Column("text")))
ASKED = {
    "iam": ("GetClusterCredentials", "DescribeClusters"),
    "serverless": ("GetCredentials", "GetWorkgroup"),
    "data-api": ("ExecuteStatement", "DescribeStatement"),
}


@pytest.fixture(autouse=True)
def found_by_the_environment(on_aws: RedshiftOnAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in on_aws.env.items():
        monkeypatch.setenv(name, value)
    yield
    on_aws.aws.mend()


@pytest.fixture
def store(ministack_server: Ministack) -> Iterator[ObjectStore]:
    found = s3_store(ministack_server)
    yield found
    found.close()


def loaded(warehouse: Warehouse, store: ObjectStore) -> list[dict[str, object]]:
    """What is in a table after a load of three lines, one of them no record."""
    warehouse.create(NOTES)
    info = store.put("in/a.csv", b"id,text\n1,it's\n2,\nx,bad\n")
    guard = warehouse.guard("notes", "objects/in/", claim=True)
    plan = LoadPlan(
        "notes", "objects/in/", guard.last, "1", guard.epoch, "in/a.csv", info.etag, info.size_bytes, CsvFormat()
    )
    receipt = warehouse.load(plan, NOTES, store)
    assert (receipt.arrived, receipt.loaded, receipt.quarantined) == (3, 2, 1)
    rows: list[dict[str, object]] = warehouse.query(
        "SELECT id, text FROM notes WHERE id > ? ORDER BY id", [0]
    ).to_pylist()
    return rows


@pytest.mark.parametrize("way", WAYS)
def test_a_profile_lets_a_system_in_by_each_way(
    on_aws: RedshiftOnAws, store: ObjectStore, tmp_path: Path, way: str
) -> None:
    profile = Profile.model_validate(
        {
            "name": "mine",
            "connections": {
                "warehouse": {"port": "warehouse", "adapter": "redshift", "settings": on_aws.settings(way)}
            },
        }
    )
    before = len(on_aws.aws.calls)
    warehouse = connections.warehouse(
        profile.connections["warehouse"], Home(tmp_path), f"w{list(WAYS).index(way)}", lambda: EnvironmentSecrets({})
    )
    assert loaded(warehouse, store) == [{"id": 1, "text": "it's"}, {"id": 2, "text": None}]
    warehouse.close()  # type: ignore[attr-defined]
    assert set(ASKED[way.partition(" ")[0]]) <= set(on_aws.aws.calls[before:])


@pytest.mark.parametrize("way", ["iam", "serverless"])
def test_a_session_that_is_opened_later_asks_for_another_password(on_aws: RedshiftOnAws, way: str) -> None:
    warehouse = on_aws.warehouse(way)
    before = len(on_aws.aws.calls)
    for _ in range(2):
        assert warehouse.query(ONE).to_pylist() == [{"one": 1}]
        warehouse.close()
    assert [c for c in on_aws.aws.calls[before:] if c == ASKED[way][0]][-2:] == [ASKED[way][0]] * 2


REFUSALS = [
    ("AccessDeniedException", 400, PermissionDeniedError, "Allow redshift[a-z-]*:{asked} on it"),
    ("ExpiredTokenException", 403, PermissionDeniedError, "Renew the credentials"),
    ("InternalServerException", 500, UnavailableError, "Try again later"),
]


@pytest.mark.parametrize(("code", "status", "kind", "step"), REFUSALS)
@pytest.mark.parametrize(
    ("way", "place"), [("iam", "cluster 'analytics'"), ("serverless", "workgroup 'analytics'"), ("data-api", "workgroup 'analytics'")]
)  # fmt: skip
def test_what_aws_refuses_is_told_with_the_place_and_what_to_do(
    on_aws: RedshiftOnAws, way: str, place: str, code: str, status: int, kind: type[PlatformError], step: str
) -> None:
    on_aws.aws.refuse(ASKED[way][0], code, status=status, times=9)
    warehouse = on_aws.warehouse(way)
    with pytest.raises(kind, match=f"{place}.*{ASKED[way][0]}.*{step.format(asked=ASKED[way][0])}"):
        warehouse.query(ONE)
    warehouse.close()
    on_aws.aws.mend()
    assert warehouse.query(ONE).to_pylist() == [{"one": 1}]
    warehouse.close()


@pytest.mark.parametrize(
    ("way", "settings", "told"),
    [
        ("iam", {"cluster": "elsewhere"}, "cluster 'elsewhere'.*Check cluster or workgroup, and region"),
        ("serverless", {"workgroup": "elsewhere"}, "workgroup 'elsewhere'.*Check cluster or workgroup, and region"),
        (
            "data-api",
            {"workgroup": "elsewhere"},
            "workgroup 'elsewhere'.*doesn't exist.*Check the connection's settings",
        ),
    ],
)
def test_a_cluster_or_workgroup_that_is_not_there_is_named(
    on_aws: RedshiftOnAws, way: str, settings: dict[str, str], told: str
) -> None:
    warehouse = on_aws.warehouse(way, **settings)
    with pytest.raises(PlatformError, match=told):
        warehouse.query(ONE)
    warehouse.close()


def test_a_user_whom_the_database_does_not_know_is_named(on_aws: RedshiftOnAws) -> None:
    warehouse = on_aws.warehouse("iam", db_user="nobody_here", create_user=False)
    with pytest.raises(PermissionDeniedError, match="Check user 'nobody_here' by IAM, grants and IAM role"):
        warehouse.query(ONE)
    warehouse.close()


def test_a_profile_of_aws_that_is_not_there_is_named(on_aws: RedshiftOnAws) -> None:
    warehouse = on_aws.warehouse("iam", aws_profile="nowhere")
    with pytest.raises(ProfileError, match=r"nowhere.*Set aws_profile to one that is there"):
        warehouse.query(ONE)


def test_without_a_region_the_setting_is_named(on_aws: RedshiftOnAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    warehouse = on_aws.warehouse("iam")
    with pytest.raises(ProfileError, match="Set region, or AWS_DEFAULT_REGION"):
        warehouse.query(ONE)
    for way in ("iam", "serverless"):
        there = on_aws.warehouse(way, region="us-east-1")
        assert there.query(ONE).to_pylist() == [{"one": 1}]
        there.close()


def test_what_is_asked_too_often_is_asked_again(on_aws: RedshiftOnAws) -> None:
    warehouse = on_aws.warehouse("data-api")
    on_aws.aws.refuse("ExecuteStatement", "ActiveStatementsExceededException", times=2)
    on_aws.aws.refuse("DescribeStatement", "ThrottlingException", status=429, times=2)
    assert warehouse.query(ONE).to_pylist() == [{"one": 1}]
    on_aws.aws.refuse("GetStatementResult", "ThrottlingException", status=429, times=2)
    assert warehouse.query(ONE).to_pylist() == [{"one": 1}]
    warehouse.close()
    assert ThrottledError.retryable


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"access": "iam", "cluster": "c"}, r"iam\.db_user\s+Field required"),
        ({"access": "iam", "cluster": "c", "db_user": "u", "workgroup": "w"}, r"iam\.workgroup\s+Extra inputs"),
        ({"access": "iam", "cluster": "c", "db_user": "u", "ssl": False}, r"iam\.ssl\s+Extra inputs"),
        ({"access": "serverless", "workgroup": "w", "user": "u"}, r"serverless\.user\s+Extra inputs"),
        ({"host": "h", "user": "u", "cluster": "c"}, r"password\.cluster\s+Extra inputs"),
        ({"access": "data-api"}, "expected one of cluster and workgroup, found neither"),
        ({"access": "data-api", "cluster": "c", "workgroup": "w"}, "expected one of cluster and workgroup, found both"),
        ({"access": "data-api", "workgroup": "w", "db_user": "u"}, "db_user: expected a cluster .* found workgroup"),
        ({"access": "data-api", "cluster": "c", "db_user": "u", "secret_arn": "a"}, "db_user: .* found secret_arn"),
        ({"access": "odbc", "host": "h"}, "'odbc' .*'password', 'iam', 'serverless', 'data-api'"),
        ({"access": ["iam"]}, "does not match any of the expected tags"),
    ],
)
def test_settings_that_mix_two_ways_are_refused_by_name(given: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        redshift_settings(given)


def test_settings_that_name_no_access_are_a_passwords() -> None:
    assert redshift_settings({"host": "h", "user": "u"}).access == "password"


def test_a_table_that_is_missing_is_told_alike_by_the_data_api(on_aws: RedshiftOnAws) -> None:
    warehouse = on_aws.warehouse("data-api")
    warehouse.create(NOTES)
    with pytest.raises(NotFoundError, match=r"no table 'nope'; it has: .*notes"):
        warehouse.query("SELECT 1 AS one FROM nope")
    with pytest.raises(NotFoundError, match=r"has a column 'txt'; they have: id, text"):
        warehouse.query("SELECT txt FROM notes")
    warehouse.close()
