"""Connections to adapters: one function a port; the profile says which adapter, its module is imported when first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import ValidationError

from mlplatform.errors import ProfileError
from mlplatform.platform.locate import dagster_template, project_folder
from mlplatform.spec.home import Home
from mlplatform.spec.profile import Addresses, Connection

if TYPE_CHECKING:
    from mlplatform.ports.arrivals import Arrivals
    from mlplatform.ports.asset_events import AssetEvents
    from mlplatform.ports.compute import Compute
    from mlplatform.ports.endpoints import Endpoints
    from mlplatform.ports.expectations import Expectations
    from mlplatform.ports.item_store import ItemStore
    from mlplatform.ports.metrics import Metrics
    from mlplatform.ports.notifications import Notifications
    from mlplatform.ports.object_store import ObjectStore
    from mlplatform.ports.secrets import Secrets
    from mlplatform.ports.stream import Stream
    from mlplatform.ports.tracking import Tracking
    from mlplatform.ports.warehouse import Warehouse
    from mlplatform.spec.stream import StreamSpec

T = TypeVar("T")


def object_store(connection: Connection, home: Home) -> ObjectStore:
    """`directory` (`DirectorySettings`), or `s3` (`S3Settings`)."""

    def directory() -> ObjectStore:
        from mlplatform.adapters.object_store.directory import DirectoryObjectStore, DirectorySettings

        return DirectoryObjectStore(DirectorySettings.model_validate(connection.settings).path or home.objects)

    def s3() -> ObjectStore:
        from mlplatform.adapters.object_store.s3 import S3ObjectStore, S3Settings

        found = S3Settings.model_validate(connection.settings)
        return S3ObjectStore(
            found.bucket, found.prefix, endpoint_url=found.endpoint_url, region=found.region, kms_key=found.kms_key
        )

    return _choose(connection, {"directory": directory, "s3": s3})


def arrivals(connection: Connection, objects: Connection) -> Arrivals:
    """`sqs` (`SqsSettings`): S3's events on the objects of the connection `objects`, in a queue."""

    def sqs() -> Arrivals:
        from mlplatform.adapters.arrivals.sqs import SqsArrivals, SqsSettings
        from mlplatform.adapters.object_store.s3 import S3Settings

        if objects.adapter != "s3":
            raise ProfileError(
                f"Arrivals by SQS tell of objects in S3, and this profile's are kept by '{objects.adapter}'.",
                next_step="Keep them in S3, or remove the connection 'arrivals': then they are listed.",
            )
        return SqsArrivals(SqsSettings.model_validate(connection.settings), S3Settings.model_validate(objects.settings))

    return _choose(connection, {"sqs": sqs})


def stream(connection: Connection, home: Home, system: str, spec: StreamSpec) -> Stream:
    """`sqlite`: a file a shard; `kinesis` (`KinesisSettings`): a stream of Kinesis."""

    def sqlite() -> Stream:
        from mlplatform.adapters.stream.sqlite import SqliteStream

        return SqliteStream(home.streams / system / spec.name, spec)

    def kinesis() -> Stream:
        from mlplatform.adapters.stream.kinesis import KinesisSettings, KinesisStream

        return KinesisStream(KinesisSettings.model_validate(connection.settings), system, spec)

    return _choose(connection, {"kinesis": kinesis, "sqlite": sqlite})


def warehouse(
    connection: Connection, home: Home, system: str, secrets: Callable[[], Secrets], *, masked: bool = False
) -> Warehouse:
    """`ducklake`: a catalogue a system under the home, or with settings (`TeamSettings`) in PostgreSQL and S3; `redshift`
    (`redshift_settings`: one shape a way in) and `snowflake` (`SnowflakeSettings`): a schema a system; `hive` (`HiveSettings`), a prefix of its object store and a database a system.

    `masked`: its errors do not tell values.
    """

    def ducklake() -> Warehouse:
        from mlplatform.adapters.warehouse.ducklake import DuckLakeWarehouse

        place = None
        if connection.settings:
            from mlplatform.adapters.warehouse.ducklake_team import TeamPlace, TeamSettings

            place = TeamPlace(TeamSettings.model_validate(connection.settings), secrets(), system=system)
        return DuckLakeWarehouse(home.warehouse(system), masked=masked, place=place)

    def redshift() -> Warehouse:
        from mlplatform.adapters.warehouse.redshift import RedshiftWarehouse
        from mlplatform.adapters.warehouse.redshift_settings import redshift_settings

        settings = redshift_settings(connection.settings)
        return RedshiftWarehouse(settings, secrets(), system=system, masked=masked)

    def snowflake() -> Warehouse:
        from mlplatform.adapters.warehouse.snowflake import SnowflakeWarehouse
        from mlplatform.adapters.warehouse.snowflake_settings import SnowflakeSettings

        settings = SnowflakeSettings.model_validate(connection.settings)
        return SnowflakeWarehouse(settings, secrets(), system=system, masked=masked)

    def hive() -> Warehouse:
        from mlplatform.adapters.warehouse.hive import HiveWarehouse
        from mlplatform.adapters.warehouse.hive_settings import HiveSettings

        settings = HiveSettings.model_validate(connection.settings)
        place = Connection(port="object_store", adapter=settings.store.adapter, settings=settings.store.settings)
        return HiveWarehouse(settings, secrets(), object_store(place, home), system=system, masked=masked)

    return _choose(connection, {"ducklake": ducklake, "hive": hive, "redshift": redshift, "snowflake": snowflake})


def item_store(connection: Connection, home: Home) -> ItemStore:
    """`sqlite`: one file; `dynamodb` (`DynamoDbSettings`): a table."""

    def sqlite() -> ItemStore:
        from mlplatform.adapters.item_store.sqlite import SqliteItemStore

        return SqliteItemStore(home.items)

    def dynamodb() -> ItemStore:
        from mlplatform.adapters.item_store.dynamodb import DynamoDbItemStore, DynamoDbSettings

        return DynamoDbItemStore(DynamoDbSettings.model_validate(connection.settings))

    return _choose(connection, {"dynamodb": dynamodb, "sqlite": sqlite})


def secrets(connection: Connection, env: Mapping[str, str]) -> Secrets:
    """`environment`: variables MLPLATFORM_SECRET_<NAME>; `secrets_manager` (`SecretsManagerSettings`) and `ssm` (`SsmSettings`): AWS's."""

    def environment() -> Secrets:
        from mlplatform.adapters.secrets.environment import EnvironmentSecrets

        return EnvironmentSecrets(env)

    def secrets_manager() -> Secrets:
        from mlplatform.adapters.secrets.secrets_manager import SecretsManagerSecrets, SecretsManagerSettings

        return SecretsManagerSecrets(SecretsManagerSettings.model_validate(connection.settings))

    def ssm() -> Secrets:
        from mlplatform.adapters.secrets.ssm import SsmSecrets, SsmSettings

        return SsmSecrets(SsmSettings.model_validate(connection.settings))

    return _choose(connection, {"environment": environment, "secrets_manager": secrets_manager, "ssm": ssm})


def compute(
    connection: Connection, home: Home, store: ObjectStore, defs: Path, cache: Path, secrets: Callable[[], Secrets]
) -> Compute:
    """`subprocess`: jobs as processes of this machine; `sagemaker` (`SageMakerComputeSettings`): training jobs there.

    Containers of the project of `defs` come before the package's.
    """

    def folders() -> tuple[Path, ...]:
        from mlplatform.adapters.compute.container import container_folders

        project = project_folder(defs)
        return (*([project / "containers"] if project is not None else []), *container_folders())

    def subprocess() -> Compute:
        from mlplatform.adapters.compute.subprocess import SubprocessCompute

        return SubprocessCompute(home.jobs, store, containers=folders(), cache=cache, secrets=secrets)

    def sagemaker() -> Compute:
        from mlplatform.adapters.compute.sagemaker import SageMakerCompute
        from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
        from mlplatform.adapters.secrets.environment import EnvironmentSecrets

        settings = SageMakerComputeSettings.model_validate(connection.settings)
        local = isinstance(secrets(), EnvironmentSecrets)
        return SageMakerCompute(settings, home.jobs, store, containers=folders(), local_secrets=local)

    return _choose(connection, {"sagemaker": sagemaker, "subprocess": subprocess})


def tracking(
    connection: Connection,
    home: Home,
    addresses: Addresses,
    secrets: Callable[[], Secrets],
    store: Callable[[], ObjectStore],
    *,
    cache: Path | None = None,
) -> Tracking:
    """`mlflow` (`MlflowSettings`); `cache`: where local copies of packages lie, None = in the home."""

    def mlflow() -> Tracking:
        from mlplatform.platform.trackers import mlflow_tracking

        return mlflow_tracking(connection.settings, home, addresses, secrets, store, cache or home.packages)

    return _choose(connection, {"mlflow": mlflow})


def endpoints(
    connection: Connection,
    home: Home,
    items: Callable[[], ItemStore],
    store: Callable[[], ObjectStore],
    packages: Callable[[str, str], Path],
) -> Endpoints:
    """`local`: served by this machine's gateway; `sagemaker` (`SageMakerEndpointSettings`): by SageMaker.

    `packages`: (model, digest) → directory of the package.
    """

    def local() -> Endpoints:
        from mlplatform.adapters.endpoints.local import LocalEndpoints

        return LocalEndpoints(home.root / "endpoints")

    def sagemaker() -> Endpoints:
        from mlplatform.adapters.endpoints.sagemaker import SageMakerEndpoints
        from mlplatform.adapters.endpoints.sagemaker_settings import SageMakerEndpointSettings

        settings = SageMakerEndpointSettings.model_validate(connection.settings)
        return SageMakerEndpoints(settings, items(), store(), packages)

    return _choose(connection, {"local": local, "sagemaker": sagemaker})


def notifications(connection: Connection, home: Home, items: ItemStore, secrets: Secrets) -> Notifications:
    """`apprise`: to a file and the log; settings.targets names secrets that hold Apprise URLs. `sns` (`SnsSettings`): a topic."""

    def apprise() -> Notifications:
        from mlplatform.adapters.notifications.apprise import AppriseNotifications, AppriseSettings

        found = AppriseSettings.model_validate(connection.settings)
        return AppriseNotifications(items, secrets, log=home.logs / "notifications.jsonl", targets=found.targets)

    def sns() -> Notifications:
        from mlplatform.adapters.notifications.sns import SnsNotifications, SnsSettings

        return SnsNotifications(SnsSettings.model_validate(connection.settings), items)

    return _choose(connection, {"apprise": apprise, "sns": sns})


def metrics(connection: Connection) -> Metrics:
    """`cloudwatch` (`CloudWatchSettings`)."""

    def cloudwatch() -> Metrics:
        from mlplatform.adapters.metrics.cloudwatch import CloudWatchMetrics, CloudWatchSettings

        return CloudWatchMetrics(CloudWatchSettings.model_validate(connection.settings))

    return _choose(connection, {"cloudwatch": cloudwatch})


def asset_events(connection: Connection, home: Home, defs: Path) -> AssetEvents:
    """`dagster`: the instance under the home."""

    def dagster() -> AssetEvents:
        from mlplatform.adapters.asset_events.dagster import DagsterAssetEvents

        return DagsterAssetEvents(home.dagster, dagster_template(start=defs))

    return _choose(connection, {"dagster": dagster})


def expectations(home: Home) -> Expectations:
    """Great Expectations, with its pages under the home."""
    from mlplatform.adapters.expectations.great_expectations import GreatExpectations

    return GreatExpectations(home.reports / "data_docs")


def _choose(connection: Connection, adapters: Mapping[str, Callable[[], T]]) -> T:
    make = adapters.get(connection.adapter)
    if make is None:
        raise ProfileError(
            f"There is no adapter '{connection.adapter}' for a {connection.port}; there are: {', '.join(sorted(adapters))}.",
            next_step="Correct 'adapter' of the connection in the profile.",
        )
    try:
        return make()
    except (TypeError, ValidationError) as error:
        wrong = [e["loc"][0] for e in error.errors() if e["loc"]] if isinstance(error, ValidationError) else []
        raise ProfileError(
            f"Settings of a {connection.port} connection ({connection.adapter}) are wrong: {error}{connection.origins(wrong)}.",
            next_step="Correct them in the profile.",
        ) from error
