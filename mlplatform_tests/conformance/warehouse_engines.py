"""The warehouses as data: what each can do, what its suite runs against, and what that cannot show, with the reason.

`docs/warehouses.md` is written from this. A test that an engine cannot pass is named in a gap, and nowhere else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from mlplatform.adapters.object_store.directory import DirectoryObjectStore
from mlplatform.adapters.secrets.environment import EnvironmentSecrets
from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse
from mlplatform.adapters.warehouse.ducklake_team import TeamPlace, TeamSettings
from mlplatform.adapters.warehouse.hive import HiveWarehouse
from mlplatform.adapters.warehouse.hive_settings import HiveSettings
from mlplatform.adapters.warehouse.redshift import RedshiftWarehouse
from mlplatform.adapters.warehouse.redshift_settings import RedshiftSettings
from mlplatform.adapters.warehouse.snowflake import SnowflakeWarehouse
from mlplatform.adapters.warehouse.snowflake_settings import SnowflakeSettings
from mlplatform.ports.warehouse import Warehouse


@dataclass(frozen=True)
class Gap:
    """Something that the suite does not show of an engine, and why. `tests`: those of the suite that it skips therefore."""

    what: str
    why: str
    tests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Engine:
    """A warehouse as a user may choose it.

    Attributes:
        adapter: its name in a profile.
        made: gives one, without connecting.
        settings: of its connection; None: it has none.
        extra: what to install beside the package; "": nothing.
        runs_on: what the suite runs against.
        good_for: when to choose it.
        case: its name in the suite; "": the adapter's.
    """

    adapter: str
    title: str
    made: Callable[[], Warehouse]
    settings: type[BaseModel] | None
    extra: str
    good_for: str
    runs_on: str
    gaps: tuple[Gap, ...] = ()
    case: str = ""


LOGINS = (
    "test_a_wrong_password_is_refused_with_host_user_and_secret_by_name",
    "test_an_unknown_user_is_refused_by_name",
    "test_a_load_with_a_wrong_password_changes_nothing_and_the_right_one_loads",
)
PERMISSIONS = (
    "test_who_may_only_read_reads_and_is_told_which_table_he_may_not_load",
    "test_who_may_not_read_a_table_is_told_which",
)
SESSIONS = (
    "test_a_query_answers_although_its_session_died_before_it",
    "test_rows_come_in_batches_although_the_session_died_before_them",
    "test_a_load_whose_session_dies_in_the_middle_is_whole_or_not_there_and_comes_next_time",
)
JOBS = ("test_a_job_that_is_ended_takes_its_query_along",)

_NONE = EnvironmentSecrets({})
_NOWHERE = Path(tempfile.gettempdir()) / "nowhere"


def _ducklake() -> Warehouse:
    return DuckLakeWarehouse(_NOWHERE)


def _ducklake_team() -> Warehouse:
    settings = TeamSettings(host="h", database="d", user="u", bucket="b")
    return DuckLakeWarehouse(_NOWHERE, place=TeamPlace(settings, _NONE, system="s"))


def _redshift() -> Warehouse:
    return RedshiftWarehouse(RedshiftSettings(host="h", user="u"), _NONE, system="s")


def _snowflake() -> Warehouse:
    return SnowflakeWarehouse(SnowflakeSettings(account="a", user="u", database="d"), _NONE, system="s")


def _hive() -> Warehouse:
    return HiveWarehouse(HiveSettings(host="h"), _NONE, DirectoryObjectStore(Path(tempfile.mkdtemp())), system="s")


ENGINES = (
    Engine(
        "ducklake",
        "DuckLake",
        _ducklake,
        None,
        "",
        "One machine, nothing to install or to run beside the platform.",
        "itself",
        (
            Gap("logins and permissions", "it asks nobody: who may open its files may all", LOGINS + PERMISSIONS),
            Gap("sessions that are lost", "it has none", SESSIONS),
            Gap("a query that outlives who asked", "it is computed in his own process", JOBS),
        ),
    ),
    Engine(
        "ducklake",
        "DuckLake of a team",
        _ducklake_team,
        TeamSettings,
        "postgres",
        "Several machines that load and read the same tables, without a warehouse to run: a catalogue in PostgreSQL, a schema "
        "a system, and Parquet files in S3. A connection with settings is one.",
        "PostgreSQL, and ministack as S3",
        (
            Gap("credentials that S3 renews while a lake is open", "ministack's do not end"),
            Gap("a bucket that refuses its reader", "ministack refuses nobody"),
            Gap("a query that outlives who asked", "it is computed in his own process", JOBS),
        ),
        case="ducklake-team",
    ),
    Engine(
        "redshift",
        "Amazon Redshift",
        _redshift,
        RedshiftSettings,
        "redshift",
        "Tables that outgrow a machine, on AWS. Objects lie in S3, from where it loads and to where it unloads.",
        "PostgreSQL behind a proxy that speaks Redshift's dialect, refuses what Redshift refuses, and loads from an S3 server",
        (
            Gap("its planner, sizes and load-error tables", "PostgreSQL has none of them"),
            Gap(
                "what IAM's policies allow, and the roles of COPY and UNLOAD",
                "AWS's answers come from a server that knows one cluster, one workgroup and one caller",
            ),
            Gap(
                "what the Data API answers where its pages are silent: a session that is gone, the kind of an error",
                "a stand-in answers for it, as they say and beyond that as is likely",
            ),
            Gap("locks beyond those on whole tables and snapshots", "PostgreSQL locks rows, Redshift tables"),
            Gap(
                "distribution and sort keys, and SUPER",
                "none is sent: Redshift chooses where rows lie, and JSON is kept as text",
            ),
        ),
    ),
    Engine(
        "snowflake",
        "Snowflake",
        _snowflake,
        SnowflakeSettings,
        "snowflake",
        "Tables that outgrow a machine, where they are computed on when asked. Any object store will do: rows go through a "
        "stage of the session, and come back as Arrow.",
        "fakesnow over HTTP, met by Snowflake's own driver; logins, locks, cancelling, lost sessions and errors by number "
        "are added around it",
        (
            Gap("privileges beyond one role that may only read", "fakesnow has no roles"),
            Gap(
                "an unload by the warehouse itself (COPY INTO a location)",
                "rows come to this machine as Arrow and are written here, so that any object store will do",
            ),
            Gap(
                "MERGE and SAMPLE",
                "neither is sent: known rows are found by a join, samples by hash as on every engine",
            ),
            Gap(
                "a result in several chunks, and a stage in a cloud's store",
                "fakesnow answers in one, and keeps files itself",
            ),
            Gap(
                "transactions that time travel reads, and so snapshots",
                "fakesnow has none; Snowflake's end with its retention",
            ),
            Gap("that erased rows are gone for time travel too", "they are not, until the schema's retention ends"),
            Gap("whole numbers between 64 bits and 38 digits in a table", "fakesnow keeps NUMBER(38, 0) in 64 bits"),
            Gap("sums of whole numbers above 2^53", "fakesnow adds them up as doubles"),
            Gap("that a time cast to text has no microseconds there", "fakesnow writes as many places as there are"),
            Gap(
                "that a killed client's transaction ends after five minutes in another's way", "it is Snowflake's word"
            ),
        ),
    ),
    Engine(
        "hive",
        "Hive",
        _hive,
        HiveSettings,
        "hive",
        "A cluster that is there already: Spark behind HiveServer2, over Parquet files in an object store that both reach. "
        "Load no more often than once a minute, and run the upkeep.",
        "the Spark Thrift Server behind TLS, with an LDAP directory; slow tests: with two executor processes",
        (
            Gap(
                "files that the server reads from S3 (s3a)",
                "pyspark's wheel lacks the jars; the log of commits is run on S3",
            ),
            Gap(
                "stopping a nested loop join",
                "Spark's never look whether they were cancelled: set spark.task.reaper.enabled",
            ),
            Gap(
                "Hive's own engine, Kerberos, the HTTP transport",
                "Spark's SQL and the binary transport are what is spoken",
            ),
            Gap("snapshots", "the log could tell earlier states, upkeep does not keep them"),
            Gap(
                "that an unload of many rows in order is cut at the same rows each time",
                "Spark draws the values at which it cuts: the rows are the same, the snapshot's id may be another",
                ("test_the_same_rows_in_order_are_the_same_bytes_in_the_same_parts",),
            ),
            Gap(
                "stopping rows that are being made for a job that is ended",
                "Spark makes them within the answer, and sees that nobody listens when it has the next of them",
                JOBS,
            ),
            Gap(
                "missing permissions in the server",
                "it has none: what its errors become is shown on their texts",
                PERMISSIONS,
            ),
        ),
    ),
)
"""In the order in which somebody would look at them."""


def gap(case: str, test: str) -> Gap | None:
    """Why the engine of the case skips the suite's test, if it does."""
    gaps = (gap for engine in ENGINES if (engine.case or engine.adapter) == case for gap in engine.gaps)
    return next((gap for gap in gaps if test in gap.tests), None)
