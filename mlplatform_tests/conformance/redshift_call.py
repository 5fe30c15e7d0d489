"""A statement by Redshift's Data API as a call of the suite of faults."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from mlplatform.adapters.warehouse.redshift_data_api import RedshiftDataApi
from mlplatform.adapters.warehouse.redshift_settings import DataApiSettings
from mlplatform_tests.conformance.aws_calls import Call
from mlplatform_tests.servers.ministack.faults import faults_before
from mlplatform_tests.servers.redshift.aws.control_plane import WORKGROUP, ControlPlane
from mlplatform_tests.servers.redshift.aws.data_api import DataApi
from mlplatform_tests.servers.redshift.aws.server import aws
from mlplatform_tests.servers.redshift.server import Redshift

TABLE = "public.told"


def redshift_data_api(server: Redshift, read_timeout_s: float) -> Iterator[Call]:
    """A row that is inserted in a session that is open."""
    server.server.psql(
        f"DROP TABLE IF EXISTS {TABLE}", f"CREATE TABLE {TABLE} (n BIGINT)", f"GRANT ALL ON {TABLE} TO PUBLIC"
    )
    settings = DataApiSettings(access="data-api", workgroup=WORKGROUP, database="postgres")
    data_api = DataApi(ControlPlane(server.server, server.proxy.port))
    with (
        aws(data_api.answer) as found,
        faults_before(found.port, read_timeout_s=read_timeout_s) as faults,
    ):
        with closing(RedshiftDataApi(settings, client_options=faults.impatient_options, pauses_s=(0.0,))) as session:
            session.execute("SELECT 1 AS one")
            yield Call(
                lambda: session.execute(f"INSERT INTO {TABLE} VALUES (1)"),
                f"Redshift at {settings.place}",
                "ExecuteStatement",
                "redshift-data:ExecuteStatement",
                faults,
                lambda: int(server.server.psql(f"SELECT count(*) FROM {TABLE}")[0][0]),
            )
            faults.mend()
        data_api.close()
