"""Batch scoring of a system's models, by what the profile's connection of jobs transforms with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlplatform.spec.feature_set import FeatureSetSpec
from mlplatform.spec.table import TableSpec

if TYPE_CHECKING:
    from mlplatform.platform.root import Platform
    from mlplatform.platform.system import SystemStations
    from mlplatform.ports.transform import Transforms
    from mlplatform.stations.scoring import Scoring


def scoring_of(stations: SystemStations, model: str) -> Scoring:
    """Scores sets of rows with versions of a model. Raises NotFoundError where the system has none of that name."""
    from mlplatform.stations.scoring import Scoring

    spec, platform = stations.model_spec(model), stations.platform
    features = stations.spec.get(FeatureSetSpec, spec.features)
    return Scoring(
        transforms_of(platform),
        platform.tracking,
        platform.endpoints,
        platform.store,
        stations.warehouse_of(model),
        spec,
        system=stations.spec.name,
        query=stations.spec.query(features),
        unique_key=stations.spec.get(TableSpec, features.table).unique_key,
        endpoint=stations.endpoint_of(model),
        personal=stations.spec.personal(features),
    )


def transforms_of(platform: Platform) -> Transforms:
    """Batch transform jobs of SageMaker where jobs run there, else the serving code on this machine."""
    connection = platform.profile.connection("jobs", port="compute")
    if connection.adapter == "sagemaker":
        from mlplatform.adapters.compute.sagemaker_settings import SageMakerComputeSettings
        from mlplatform.adapters.compute.sagemaker_transform import SageMakerTransforms

        settings = SageMakerComputeSettings.model_validate(connection.settings)
        return SageMakerTransforms(settings, platform.home.jobs, platform.store)
    from mlplatform.adapters.compute.local_transform import LocalTransforms

    return LocalTransforms(platform.home.jobs / "transforms", platform.store, platform.runtimes)
