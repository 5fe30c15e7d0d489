"""The page on connections: every adapter of every port, with the settings that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from inspect import getdoc

from pydantic import BaseModel

from mlplatform.cli.tables import GENERATED, settings_table

_ADAPTERS = "mlplatform.adapters."

SETTINGS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "object_store": {
        "directory": ("object_store.directory:DirectorySettings",),
        "s3": ("object_store.s3:S3Settings",),
    },
    "arrivals": {"sqs": ("arrivals.sqs:SqsSettings",)},
    "stream": {"sqlite": (), "kinesis": ("stream.kinesis:KinesisSettings",)},
    "warehouse": {
        "ducklake": ("warehouse.ducklake_team:TeamSettings",),
        "redshift": (
            "warehouse.redshift_settings:RedshiftSettings",
            "warehouse.redshift_settings:ClusterSettings",
            "warehouse.redshift_settings:WorkgroupSettings",
            "warehouse.redshift_settings:DataApiSettings",
        ),
        "snowflake": ("warehouse.snowflake_settings:SnowflakeSettings",),
        "hive": ("warehouse.hive_settings:HiveSettings",),
    },
    "compute": {"subprocess": (), "sagemaker": ("compute.sagemaker_settings:SageMakerComputeSettings",)},
    "endpoints": {"local": (), "sagemaker": ("endpoints.sagemaker_settings:SageMakerEndpointSettings",)},
    "tracking": {"mlflow": ("tracking.mlflow_settings:MlflowSettings",)},
    "item_store": {"sqlite": (), "dynamodb": ("item_store.dynamodb:DynamoDbSettings",)},
    "secrets": {
        "environment": (),
        "ssm": ("secrets.ssm:SsmSettings",),
        "secrets_manager": ("secrets.secrets_manager:SecretsManagerSettings",),
    },
    "notifications": {
        "apprise": ("notifications.apprise:AppriseSettings",),
        "sns": ("notifications.sns:SnsSettings",),
    },
    "metrics": {"cloudwatch": ("metrics.cloudwatch:CloudWatchSettings",)},
    "asset_events": {"dagster": ()},
}
"""Adapters by port, the embedded one first, each with the models of its settings; several where one of them is chosen."""

_HEAD = (
    "A profile's connection names a port, an adapter and its settings; these are all there are. A setting never holds a secret: "
    "those marked so hold the *name* of one, which the profile's `secrets` connection looks up. `${NAME}` in a setting is the "
    "environment's, `${NAME:-text}` where it may be missing; `$${` is a plain `${`.\n"
)
_NOTES = {
    "cloudwatch": "Without a connection of this port, none are told.",
    "sqs": "Without a connection of this port, objects are listed.",
    "ducklake": "Without settings, a catalogue a system under MLPLATFORM_HOME. With them, for a team:",
    "mlflow": "Without settings, under MLPLATFORM_HOME, with its pages at the tracker's port.",
    "redshift": "One of four shapes, chosen by `access`.",
}


def connections_page() -> str:
    """Every port with its adapters and their settings."""
    parts = [f"# Connections\n\n{GENERATED}\n{_HEAD}"]
    for port, adapters in SETTINGS.items():
        parts.append(f"## {port}\n")
        for adapter, models in adapters.items():
            parts.append(f"### {port}: {adapter}\n")
            parts += [f"{_NOTES[adapter]}\n"] if adapter in _NOTES else []
            parts += [_settings(model, several=len(models) > 1) for model in models] or ["It takes no settings.\n"]
    return "\n".join(parts)


def settings_model(name: str) -> type[BaseModel]:
    """The model that an entry of `SETTINGS` names."""
    module, _, attribute = name.partition(":")
    found: type[BaseModel] = getattr(import_module(_ADAPTERS + module), attribute)
    return found


def _settings(name: str, *, several: bool) -> str:
    model = settings_model(name)
    said = f"**{' '.join((getdoc(model) or '').split())}**\n\n" if several else ""
    return f"{said}{settings_table(model)}"
